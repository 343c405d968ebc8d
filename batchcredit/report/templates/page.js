"use strict";
const page = (() => {
  const view = { words: "", column: "", down: false };

  const rowsOf = (table) => [...table.tBodies[0].rows];

  function search(main) {
    const table = main.querySelector("#needing");
    const wanted = view.words.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = rowsOf(table);
    let found = 0;
    for (const row of rows) {
      row.words ??= `${row.textContent} ${row.textContent.replaceAll(",", "")}`.toLowerCase();
      row.hidden = !wanted.every((word) => row.words.includes(word));
      found += row.hidden ? 0 : 1;
    }
    const all = `${rows.length.toLocaleString("en")} ${rows.length === 1 ? "row" : "rows"}`;
    main.querySelector("#found").value = wanted.length ? `${found.toLocaleString("en")} of ${all}` : all;
    main.querySelector("#searching").dataset.narrowed = wanted.length ? "yes" : "no";
    main.querySelector("#nothing").hidden = found > 0;
  }

  function sort(main) {
    const table = main.querySelector("#needing");
    const way = view.down ? -1 : 1;
    const rows = rowsOf(table).sort((a, b) => way * (a.dataset[view.column] - b.dataset[view.column]));
    table.tBodies[0].append(...rows);
    for (const head of table.tHead.rows[0].cells) {
      if (head.dataset.sort === view.column) {
        head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    }
  }

  function sortBy(main, head) {
    view.down = view.column === head.dataset.sort && !view.down;
    view.column = head.dataset.sort;
    sort(main);
    const name = head.textContent.trim().toLowerCase();
    main.querySelector("#sorted").textContent = `sorted by ${name}, ${view.down ? "descending" : "ascending"}`;
  }

  function copyable(command) {
    const button = document.createElement("button");
    const code = command.querySelector("code");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy the command ${code.textContent}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    command.append(button);
  }

  function enhance(main) {
    main.querySelectorAll(".command").forEach(copyable);
    const box = main.querySelector("#search");
    if (!box) {
      return;
    }
    for (const head of main.querySelectorAll("#needing th[data-sort]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(main, head));
      head.append(button);
    }
    box.value = view.words;
    box.addEventListener("input", () => {
      view.words = box.value;
      search(main);
    });
    search(main);
    if (view.column) {
      sort(main);
    }
  }

  return { enhance };
})();
page.enhance(document.querySelector("main"));
