// Elements, numbers and the page's data.

const DATA = JSON.parse(document.getElementById("overview").textContent);
const MARKS = { reproduced: "●", "not reproduced": "▼", undecided: "◐", "not comparable": "◇", "not run": "○" };
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
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
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

/** A value that many rows share, by its number. */
function shared(number) {
  return DATA.shared[number];
}

/** The ID images of a row. */
function idTitle(row) {
  return row.bare ? row.id : shared(row.id);
}

/** A text number with a true minus sign. */
function minus(words) {
  return words.replace("-", "−");
}

function slug(verdict) {
  return `v-${verdict.replace(" ", "-")}`;
}

function mark(verdict) {
  return el("span", { class: `mark ${slug(verdict)}`, "aria-hidden": "true" }, MARKS[verdict]);
}

/** The verdict on a cell in words; of a cell without a published number there is none. */
function verdict(cell) {
  return cell.x === undefined ? "" : DATA.verdicts[cell.x];
}

/** The same, and to which side a number is not reproduced. */
function verdictWords(cell) {
  const word = verdict(cell);
  return word === "not reproduced" ? `${word} (${cell.better ? "better" : "worse"} than published)` : word;
}

/** Mean and deviation of a cell as the tables print them. */
function spread(cell) {
  return cell.s === undefined ? cell.v : `${cell.v} ± ${cell.s}`;
}

/** One bar whose parts are shares of counts by verdict. */
function bar(counts) {
  const parts = DATA.verdicts.filter((one) => counts[one]);
  const label = parts.map((one) => `${counts[one].toLocaleString("en")} ${one}`).join(", ");
  const part = (one) => el("i", { class: slug(one), style: `flex-grow:${counts[one]}`, title: `${counts[one].toLocaleString("en")} ${one}` });
  return el("div", { class: "bar", role: "img", "aria-label": label }, parts.map(part));
}

/** A name that may break behind its underscores and before its brackets. */
function breakable(name) {
  return name.split(/(?<=_)|(?=\()/).flatMap((part, place) => (place ? [el("wbr"), part] : [part]));
}

/** Links as a line of words. */
function links(pairs) {
  return pairs.flatMap(([words, address], place) => [place ? " · " : "", address ? el("a", { href: address }, words) : words]);
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
