// The tables of the overview: which rows are shown, in which order, and how a row looks.

const CHUNK = 60;
const state = { words: "", section: "", method: "", ood: "", sort: "paper", verdicts: new Set(), open: (row) => row };
for (const row of DATA.rows) {
  const section = DATA.sections[row.s];
  row.words = [row.label, row.ood, row.id, section.title, section.model, section.protocol].join(" ").toLowerCase();
  for (const cell of row.cells) cell.d = cell.p === undefined || cell.v === undefined ? null : cell.v - Number(cell.p);
}

/** The cells of a row that the chosen verdicts leave. */
function wantedCells(row) {
  return state.verdicts.size ? row.cells.filter((cell) => state.verdicts.has(cell.x)) : row.cells;
}

/** Rows that pass every filter, sorted within their section. */
function wantedRows() {
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = DATA.rows.filter(
    (row) =>
      (state.section === "" || row.s === Number(state.section)) &&
      (state.method === "" || row.method === state.method) &&
      (state.ood === "" || row.ood === state.ood) &&
      words.every((word) => row.words.includes(word)) &&
      wantedCells(row).length > 0,
  );
  return rows.sort((a, b) => a.s - b.s || compare(a, b) || a.i - b.i);
}

function largest(row, size) {
  return Math.max(-1, ...wantedCells(row).filter((cell) => cell.d !== null).map(size));
}

function compare(a, b) {
  const by = (size) => largest(b, size) - largest(a, size);
  const worst = (row) => Math.min(...row.cells.map((cell) => ["worse", "better", "undecided", "reproduced", "not comparable", "not run"].indexOf(cell.x)));
  switch (state.sort) {
    case "gap":
      return by((cell) => Math.abs(cell.d));
    case "ratio":
      return by((cell) => (cell.t ? Math.abs(cell.d) / cell.t : 0));
    case "verdict":
      return worst(a) - worst(b);
    case "method":
      return a.label.localeCompare(b.label, "en") || a.ood.localeCompare(b.ood, "en");
    case "ood":
      return a.ood.localeCompare(b.ood, "en");
    default:
      return 0;
  }
}

/** Draws all sections anew. */
function draw() {
  const rows = wantedRows();
  state.rows = rows;
  const groups = new Map();
  for (const row of rows) groups.set(row.s, [...(groups.get(row.s) ?? []), row]);
  byId("results").replaceChildren(...[...groups].map(([place, mine]) => sectionNode(DATA.sections[place], mine)), loneLadders() ?? "");
  const cells = rows.reduce((sum, row) => sum + wantedCells(row).length, 0);
  byId("count").textContent = rows.length ? `${count(cells, "cell")} in ${count(rows.length, "row")} shown.` : "Nothing passes these filters.";
}

function sectionNode(section, rows) {
  const body = el("tbody");
  const several = new Set(DATA.rows.filter((row) => row.s === rows[0].s).map((row) => row.ood)).size > 1;
  const heads = ["Method", ...(several ? ["OOD set"] : [])].map((head) => el("th", { scope: "col" }, head));
  const metrics = section.metrics.map((metric) => el("th", { scope: "col", class: "metric" }, title(metric)));
  const table = el("table", { class: "cells" }, el("thead", {}, el("tr", {}, heads, metrics)), body);
  const more = el("button", { type: "button", class: "more", onclick: () => add() });
  let shown = 0;
  const add = () => {
    body.append(...rows.slice(shown, shown + CHUNK).map((row) => rowNode(row, several)));
    shown = Math.min(shown + CHUNK, rows.length);
    more.hidden = shown === rows.length;
    more.textContent = `Show ${Math.min(CHUNK, rows.length - shown)} more of ${rows.length - shown}`;
  };
  add();
  const fold = () => el("details", { class: "unrun", open: state.section !== "" }, el("summary", {}, "Published numbers"), table, more);
  const inside = rows.every((row) => row.n === 0) ? fold() : [table, more];
  return el("section", { class: "block" }, sectionHead(section, rows, several), inside, multiverses(section));
}

/** What all defensible conventions would make of a section's methods. */
function multiverses(section) {
  if (!section.multiverses.length) return null;
  return el("div", { class: "beside" }, el("h3", {}, "Under all conventions"), section.multiverses.map(multiverseNode));
}

/** Ladders of cells whose records are not among these results. */
function loneLadders() {
  if (!DATA.ladders.length) return null;
  const fold = (one) => el("details", {}, el("summary", {}, `${one.title}: ${one.metric}`), ladderNode(one, true));
  const words = "Their records are not among these results; scores and ladders are.";
  return el("section", { class: "block lone" }, el("header", {}, el("h2", {}, "Why numbers of other cells differ"), el("p", { class: "quiet" }, words)), el("div", { class: "beside" }, DATA.ladders.map(fold)));
}

function sectionHead(section, rows, several) {
  const facts = [["classifier", section.model], ["ID", section.id], ["OOD", several ? "" : rows[0].ood], ["protocol", section.protocol]];
  const about = [section.source ? `Published numbers: ${section.source}.` : "", ...section.notes].filter(Boolean);
  const idle = rows.every((row) => row.n === 0) && section.command;
  return el(
    "header",
    {},
    el("h2", {}, section.title),
    el("p", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => el("span", {}, `${name} `, el("b", {}, value)))),
    section.reference ? el("p", { class: "reference" }, section.reference) : null,
    section.kind === "paper" ? bar(tally(rows.flatMap((row) => row.cells))) : null,
    idle ? el("p", { class: "command" }, "Not run yet: ", el("code", {}, section.command)) : null,
    about.length ? el("details", {}, el("summary", {}, "About the published numbers"), el("ul", {}, about.map((one) => el("li", {}, one)))) : null,
  );
}

function rowNode(row, several) {
  const open = row.n ? () => state.open(row) : null;
  const networks = row.n ? size(row) : "not run";
  const button = { type: "button", class: "open", "data-row": row.i };
  const name = row.n ? el("button", button, row.label) : el("span", { class: "idle" }, row.label);
  const first = el("th", { scope: "row" }, name, el("small", {}, networks));
  const second = several ? el("td", { class: "set" }, row.ood) : null;
  return el("tr", { class: row.n ? "run" : "idle", onclick: open }, first, second, row.cells.map(cellNode));
}

function cellNode(cell) {
  const out = state.verdicts.size && !state.verdicts.has(cell.x);
  const attributes = { class: `cell ${slug(cell.x)}${out ? " out" : ""}${cell.p === undefined ? " alone" : ""}`, "data-label": title(cell.m), title: `${cell.x}: ${cell.why}` };
  const paper = cell.p === undefined ? null : el("span", {}, "paper ", el("b", {}, cell.p));
  if (cell.v === undefined) {
    return el("td", attributes, el("div", { class: "num" }, mark(cell.x), el("span", {}, cell.x)), el("div", { class: "ref" }, paper));
  }
  const spread = cell.s === undefined ? "" : el("span", { class: "sd" }, `± ${cell.said.s}`);
  const gap = cell.d === null ? "" : el("span", {}, cell.said.d);
  return el(
    "td",
    attributes,
    el("div", { class: "num" }, cell.p === undefined ? null : mark(cell.x), el("b", {}, cell.said.v), spread, hidden(cell.x)),
    el("div", { class: "ref" }, paper, gap),
    cell.t === undefined ? null : strip(cell),
  );
}

/** Our mean against the paper's value: three times to either side what chance or the margin allow. */
function strip(cell) {
  const place = cell.t > 0 ? 50 + (100 * cell.d) / (6 * cell.t) : 50;
  const kept = Math.max(2, Math.min(98, place));
  return el("div", { class: `strip${kept === place ? "" : " beyond"}`, "aria-hidden": "true" }, el("i", { style: `left:${kept.toFixed(1)}%` }));
}
