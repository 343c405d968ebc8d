(() => {
  const every = Number(document.body.dataset.refreshMs);
  const updated = document.querySelector("#updated");
  const state = document.querySelector("#live-state");
  const patience = 100;
  const longest = 20000;
  let misses = 0;
  let pressed = false;

  function say(words) {
    if (state.textContent !== words) {
      state.textContent = words;
    }
  }

  const controls = (main) => [...main.querySelectorAll("button, input, summary, [tabindex]")];
  const boxes = (main) => [...main.querySelectorAll(".scroll")];
  // What is replaced between a press and its release gets no click.
  for (const [what, is] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
    addEventListener(what, () => { pressed = is; }, true);
  }
  const isUsed = (main) => pressed || isSelected(main);
  const isSelected = (main) => !getSelection().isCollapsed && main.contains(getSelection().anchorNode);

  function focusAgain(now, next) {
    const held = document.activeElement;
    const place = controls(now).indexOf(held);
    const again = (held.id && next.querySelector(`#${CSS.escape(held.id)}`)) || controls(next)[place];
    return () => {
      again?.focus({ preventScroll: true });
      if (again?.type === "search") {
        again.setSelectionRange(held.selectionStart, held.selectionEnd);
      }
    };
  }

  function replace(now, next) {
    document.adoptNode(next);
    page.enhance(next);
    for (const one of now.querySelectorAll("details[open]")) {
      next.querySelector(`#${CSS.escape(one.id)}`)?.setAttribute("open", "");
    }
    const places = new Map(boxes(now).map((one) => [one.getAttribute("aria-label"), [one.scrollLeft, one.scrollTop]]));
    const [x, y, focus] = [scrollX, scrollY, focusAgain(now, next)];
    now.replaceWith(next);
    for (const one of boxes(next)) {
      one.scrollTo(...(places.get(one.getAttribute("aria-label")) ?? [0, 0]));
    }
    focus();
    scrollTo(x, y);
  }

  async function refresh() {
    const now = document.querySelector("main");
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(longest) });
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const read = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = read.querySelector("main");
      misses = 0;
      if (!isUsed(now)) {
        replace(now, next);
        document.title = read.title;
        updated.textContent = `updated at ${next.dataset.made}`;
        say(next.dataset.running === "yes" ? "" : "Nobody is sending this batch now.");
      }
    } catch {
      misses += 1;
      say(`The run has ended, or its page is out of reach: this is how it stood last. Then: batchcredit report ${now.dataset.batch}`);
    }
    if (misses < patience) {
      setTimeout(refresh, every);
    }
  }

  setTimeout(refresh, every);
})();
