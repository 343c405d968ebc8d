(() => {
  const every = Number(document.body.dataset.refreshMs);
  const updated = document.querySelector("#updated");
  const state = document.querySelector("#live-state");
  let misses = 0;

  function say(words) {
    if (state.textContent !== words) {
      state.textContent = words;
    }
  }

  function replace(next) {
    const now = document.querySelector("main");
    const open = [...now.querySelectorAll("details[open]")].map((one) => one.id);
    const held = document.activeElement;
    const place = held && now.contains(held) ? held.id || held.closest("th")?.dataset.sort : "";
    const [from, to] = [held?.selectionStart, held?.selectionEnd];
    const [x, y] = [scrollX, scrollY];
    document.adoptNode(next);
    now.replaceWith(next);
    page.enhance(next);
    open.forEach((id) => next.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", ""));
    const again = place && (next.querySelector(`#${CSS.escape(place)}`) ?? next.querySelector(`th[data-sort="${CSS.escape(place)}"] button`));
    again?.focus({ preventScroll: true });
    if (typeof from === "number" && again?.setSelectionRange) {
      again.setSelectionRange(from, to);
    }
    scrollTo(x, y);
    updated.textContent = `updated at ${next.dataset.made}`;
    say(next.dataset.running === "yes" ? "" : "Nobody is sending this batch now.");
  }

  async function refresh() {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(4 * every) });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const read = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = read.querySelector("main");
      document.title = read.title;
      replace(next);
      misses = 0;
    } catch {
      misses += 1;
      say("The run has ended, or its page is out of reach. This is how it stood last.");
    }
    if (misses < 60) {
      setTimeout(refresh, every);
    }
  }

  setTimeout(refresh, every);
})();
