// Elements, numbers and the page's data.

const DATA = JSON.parse(document.getElementById("overview").textContent);
const MARKS = { reproduced: "●", undecided: "◐", better: "▲", worse: "▼", "not comparable": "◇", "not run": "○" };
const ORDER = ["reproduced", "undecided", "better", "worse", "not comparable", "not run"];
const NOTHING = "–";

function byId(id) {
  return document.getElementById(id);
}

/** An element with attributes, listeners (`on…`) and children; texts are never read as HTML. */
function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function hidden(text) {
  return el("span", { class: "sr" }, text);
}

/** A number with fixed decimals and no negative zero. */
function fixed(value, places = 2, sign = false) {
  if (value === null || value === undefined) return NOTHING;
  const text = value.toFixed(places);
  if (Number(text) === 0) return text.replace("-", "");
  return sign && value > 0 ? `+${text}` : text.replace("-", "−");
}

/** A score with three digits; very small and very large ones as powers of ten. */
function score(value) {
  if (value === null) return "infinite";
  const size = Math.abs(value);
  const words = size !== 0 && (size < 0.001 || size >= 100000) ? value.toExponential(1) : short(Number(value.toPrecision(3)));
  return words.replace(/-/g, "−");
}

/** A setting's value as short text. */
function short(value) {
  if (typeof value === "number") return Number(value.toPrecision(6)).toString();
  if (value === null) return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** What a row's mean is taken over: networks, and seeds where those are more. */
function size(row) {
  return count(row.n, "network") + (row.seeds === row.n ? "" : ` (${count(row.seeds, "seed")})`);
}

function title(metric) {
  return DATA.titles[metric] ?? metric;
}

function text(number) {
  return DATA.texts[number];
}

/** How often each verdict occurs in some cells. */
function tally(cells) {
  const found = Object.fromEntries(ORDER.map((verdict) => [verdict, 0]));
  for (const cell of cells) found[cell.x] += 1;
  return found;
}

/** One bar whose parts are the verdicts' shares. */
function bar(found) {
  const parts = ORDER.filter((verdict) => found[verdict]);
  const label = parts.map((verdict) => `${found[verdict]} ${verdict}`).join(", ");
  return el(
    "div",
    { class: "bar", role: "img", "aria-label": label },
    parts.map((verdict) => el("i", { class: slug(verdict), style: `flex:${found[verdict]}`, title: `${found[verdict]} ${verdict}` })),
  );
}

function slug(verdict) {
  return `v-${verdict.replace(" ", "-")}`;
}

function mark(verdict) {
  return el("span", { class: `mark ${slug(verdict)}`, "aria-hidden": "true" }, MARKS[verdict]);
}

/** A table from texts and nodes; the first cell of each line is its heading. */
function grid(header, lines, kind = "") {
  const row = (line) => el("tr", {}, line.map((cell, place) => el(place ? "td" : "th", place ? {} : { scope: "row" }, cell)));
  return el(
    "div",
    { class: `scroll ${kind}`, tabindex: "0", role: "region", "aria-label": header.filter(Boolean).join(", ") || "table" },
    el(
      "table",
      {},
      el("thead", {}, el("tr", {}, header.map((cell) => el("th", { scope: "col" }, cell)))),
      el("tbody", {}, lines.map(row)),
    ),
  );
}
