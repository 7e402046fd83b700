// The page's controls and keys, and its way from address to what is shown.

const SELECTS = ["table", "method", "ood", "metric", "sort"];

function options(select, pairs) {
  byId(select).append(...pairs.map(([value, words]) => el("option", { value }, words)));
}

function names(pick) {
  return [...new Set(DATA.rows.map(pick))].sort((a, b) => a.localeCompare(b, "en")).map((name) => [name, name]);
}

function controls() {
  options("table", DATA.sections.map((section) => [section.key, section.title]));
  options("method", names((row) => row.method));
  options("ood", names((row) => row.ood));
  const metrics = [...new Set(DATA.sections.flatMap((section) => section.metrics))];
  options("metric", metrics.map((metric) => [metric, title(metric)]));
  for (const key of SELECTS) byId(key).addEventListener("change", (event) => change({ [key]: event.target.value }));
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ q: event.target.value }, false), 80);
  });
  byId("clear").addEventListener("click", () => change({ ...DEFAULTS }));
}

/** Makes everything what the state says; the tables only where they have changed. */
function show() {
  const wanted = JSON.stringify({ ...state, cell: "" });
  if (wanted !== show.drawn) {
    show.drawn = wanted;
    keepFocus(draw);
    for (const key of SELECTS) byId(key).value = [...byId(key).options].some((one) => one.value === state[key]) ? state[key] : "";
    if (document.activeElement !== byId("search")) byId("search").value = state.q;
    for (const button of byId("chips").children) button.setAttribute("aria-pressed", String(chosenVerdicts().has(button.dataset.verdict)));
  }
  syncDialog();
}

/** Draws, and gives the focus back to the heading or cell that had it. */
function keepFocus(work) {
  const { sort, row, metric } = document.activeElement?.dataset ?? {};
  work();
  const again = sort !== undefined ? `button[data-sort="${CSS.escape(sort)}"]` : row !== undefined && metric ? `button.cell[data-row="${row}"][data-metric="${metric}"]` : null;
  if (again) document.querySelector(again)?.focus();
}

function follow() {
  const id = readAddress();
  show();
  const target = id && byId(id);
  if (!target) return;
  target.closest("details")?.setAttribute("open", "");
  target.scrollIntoView();
}

function theme() {
  const button = byId("theme");
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const sign = () => (button.textContent = dark() ? "☀" : "☾");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    sign();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sign);
  sign();
}

function keys(event) {
  if (dialog.open || event.altKey || event.ctrlKey || event.metaKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
  }
  if (event.key === "Escape") {
    hideHint();
    if (event.target.id === "search") {
      byId("search").value = "";
      change({ q: "" }, false);
    }
  }
  const next = event.target.id === "search" && event.key === "ArrowDown" ? document.querySelector("button.cell") : beside(event);
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

/** The cell that an arrow key leads to; over the edge of a table up and down lead to the next one. */
function beside(event) {
  const cell = event.target.closest?.("button.cell")?.closest("td");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!cell || !step) return null;
  if (step[1]) {
    let next = cell;
    while ((next = step[1] > 0 ? next.nextElementSibling : next.previousElementSibling)) if (next.querySelector("button.cell")) return next.querySelector("button.cell");
    return null;
  }
  const lines = [...document.querySelectorAll("table.matrix tbody tr")];
  for (let at = lines.indexOf(cell.parentElement) + step[0]; lines[at]; at += step[0]) {
    const found = lines[at].cells[cell.cellIndex]?.querySelector("button.cell") ?? lines[at].querySelector("button.cell");
    if (found) return found;
  }
  return null;
}

/** On paper all folds are open, but for that of papers that were never run. */
function forPaper() {
  const closed = [...document.querySelectorAll("details:not([open]):not(.unrun)")];
  closed.forEach((one) => (one.open = true));
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)), { once: true });
}

byId("title").textContent = DATA.title;
headline();
byId("filters").open = !matchMedia("(max-width: 680px)").matches;
controls();
theme();
byId("remark").textContent = DATA.remark;
byId("margins").textContent = DATA.margins;
byId("project").append(...links(DATA.links));
document.addEventListener("keydown", keys);
addEventListener("popstate", follow);
addEventListener("hashchange", follow);
addEventListener("beforeprint", forPaper);
follow();
