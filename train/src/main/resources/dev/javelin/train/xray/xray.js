// Hover, folding, sorting and the slider. All that it shows stands in the page already.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const SVG = "http://www.w3.org/2000/svg";

  // Snapshots: a slider and links choose which of them all sections show.
  const slider = document.getElementById("snapshot");
  const show = n => {
    for (const part of all("[data-snap]")) part.hidden = +part.dataset.snap !== n;
    for (const link of all("a[data-to]")) {
      if (+link.dataset.to === n) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const name = document.querySelector(`a[data-to="${n}"]`).dataset.step;
    slider.value = n;
    slider.setAttribute("aria-valuetext", `${name} steps done`);
    document.getElementById("snapshot-step").textContent = name;
  };
  if (slider) {
    slider.addEventListener("input", () => show(+slider.value));
    for (const link of all("a[data-to]")) {
      link.addEventListener("click", event => { event.preventDefault(); show(+link.dataset.to); });
    }
    const asked = document.querySelector(`a[data-to][href="${CSS.escape(location.hash).replace("\\#", "#")}"]`);
    show(asked ? +asked.dataset.to : 0);
  }

  // Tables: the rows as they were, since pictures point at them, and heads that sort.
  const rows = new Map();
  const rowsOf = id => {
    if (!rows.has(id)) rows.set(id, [...document.getElementById(id).tBodies[0].rows]);
    return rows.get(id);
  };
  const number = text => {
    const found = /^[-\d.e\u202f]+/.exec(text.trim());
    return found ? parseFloat(found[0].replaceAll("\u202f", "")) : NaN;
  };
  const value = cell => {
    const text = cell ? cell.textContent : "";
    return cell && cell.classList.contains("n") ? (Number.isNaN(number(text)) ? -Infinity : number(text)) : text;
  };
  const sort = (table, head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    rowsOf(table.id);
    const sorted = [...table.tBodies[0].rows].map(row => [value(row.cells[head.cellIndex]), row]);
    sorted.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    table.tBodies[0].append(...sorted.map(([, row]) => row));
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  for (const table of all("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head));
    }
  }

  // Pictures: a mark or a cell is a row or a cell of the table beside, and is read out from there.
  const noteOf = svg => document.getElementById(svg.dataset.note);
  const headOf = (table, c) => table.tHead.rows[0].cells[c].textContent.trim();
  const rowText = (id, r) => {
    const table = document.getElementById(id), row = rowsOf(id)[r];
    return row ? [...row.cells].map((cell, c) => c === 0 ? cell.textContent.trim() : `${headOf(table, c)} ${cell.textContent.trim()}`).join(" · ") : "";
  };
  const point = (svg, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [at.x, at.y];
  };
  const marks = svg => all("[data-r]", svg);
  const choose = (svg, mark) => {
    all(".on", svg).forEach(old => old.classList.remove("on"));
    if (!mark) { noteOf(svg).textContent = ""; return; }
    const same = marks(svg).filter(m => m.dataset.r === mark.dataset.r);
    same.forEach(m => m.classList.add("on"));
    svg.at = marks(svg).indexOf(mark);
    noteOf(svg).textContent = rowText(svg.dataset.table, +mark.dataset.r);
  };
  const nearest = (svg, event) => {
    const direct = event.target.closest && event.target.closest("[data-r]");
    if (direct) return direct;
    let best = null, least = 24 * 24;
    for (const mark of marks(svg)) {
      const box = mark.getBoundingClientRect();
      const dx = Math.max(box.left - event.clientX, 0, event.clientX - box.right);
      const dy = Math.max(box.top - event.clientY, 0, event.clientY - box.bottom);
      if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = mark; }
    }
    return best;
  };
  const move = (key, at, last) => ({
    ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last,
  })[key];
  const within = (n, last) => Math.max(0, Math.min(last, n));
  for (const svg of all("svg.marks")) {
    svg.tabIndex = 0;
    svg.addEventListener("pointermove", event => choose(svg, nearest(svg, event)));
    svg.addEventListener("pointerdown", event => choose(svg, nearest(svg, event)));
    svg.addEventListener("keydown", event => {
      const list = marks(svg), to = event.key === "Escape" ? null : move(event.key, svg.at ?? -1, list.length - 1);
      if (to === undefined) return;
      event.preventDefault();
      choose(svg, to === null ? null : list[within(to, list.length - 1)]);
    });
  }

  // Grids: cell r, c of the picture is cell r, c + 1 of the table.
  const cursor = svg => {
    let box = svg.querySelector(".cursor");
    if (!box) {
      box = document.createElementNS(SVG, "rect");
      box.setAttribute("class", "cursor");
      svg.append(box);
    }
    return box;
  };
  const box = (svg, c, r, columns) => {
    const [x, y, w, h] = svg.dataset.grid.split(" ").map(Number), rect = cursor(svg);
    rect.setAttribute("x", x + c * w);
    rect.setAttribute("y", y + r * h);
    rect.setAttribute("width", columns * w);
    rect.setAttribute("height", h);
  };
  const cellText = (id, r, c) => {
    const table = document.getElementById(id), row = rowsOf(id)[r], cell = row.cells[c + 1];
    return `${row.cells[0].textContent.trim()} × ${headOf(table, c + 1)}: ${cell ? cell.textContent.trim() : "hidden by the mask"}`;
  };
  const heads = all("svg.head");
  const attend = (svg, r) => {
    for (const head of heads.filter(h => h.dataset.set === svg.dataset.set)) {
      const size = +head.dataset.rows, id = head.dataset.table, table = document.getElementById(id);
      box(head, 0, r, size);
      const seen = [...rowsOf(id)[r].cells].slice(1, r + 2).map((cell, c) => [number(cell.textContent), c]).sort((a, b) => b[0] - a[0]);
      noteOf(head).textContent = `${rowsOf(id)[r].cells[0].textContent.trim()} looks at ` +
        seen.slice(0, 3).map(([w, c]) => `${headOf(table, c + 1)} ${w}`).join(", ");
    }
    for (const button of all(`button[data-set="${svg.dataset.set}"]`)) {
      button.setAttribute("aria-pressed", String(+button.dataset.row === r));
    }
  };
  for (const button of all("button[data-row]")) {
    const head = heads.find(h => h.dataset.set === button.dataset.set);
    for (const event of ["pointerenter", "focus", "click"]) {
      button.addEventListener(event, () => head && attend(head, +button.dataset.row));
    }
  }
  for (const svg of all("svg.grid")) {
    svg.tabIndex = 0;
    const last = [+svg.dataset.columns - 1, +svg.dataset.rows - 1];
    const at = (c, r) => {
      svg.at = [c, r];
      if (svg.classList.contains("head")) { attend(svg, r); return; }
      box(svg, c, r, 1);
      noteOf(svg).textContent = cellText(svg.dataset.table, r, c);
    };
    const hover = event => {
      const [x, y, w, h] = svg.dataset.grid.split(" ").map(Number), p = point(svg, event);
      const c = Math.floor((p[0] - x) / w), r = Math.floor((p[1] - y) / h);
      if (c >= 0 && r >= 0 && c <= last[0] && r <= last[1]) at(c, r);
    };
    svg.addEventListener("pointermove", hover);
    svg.addEventListener("pointerdown", hover);
    svg.addEventListener("keydown", event => {
      const [c, r] = svg.at ?? [0, -1];
      const to = {
        ArrowRight: [c + 1, r], ArrowLeft: [c - 1, r], ArrowDown: [c, r + 1], ArrowUp: [c, r - 1],
        Home: [0, Math.max(r, 0)], End: [last[0], Math.max(r, 0)],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      at(within(to[0], last[0]), within(to[1], last[1]));
    });
  }

  // Folding.
  for (const button of all("button[data-fold]")) {
    button.addEventListener("click", () => {
      for (const part of all("details", document.getElementById(button.dataset.of))) part.open = button.dataset.fold === "open";
    });
  }
})();
