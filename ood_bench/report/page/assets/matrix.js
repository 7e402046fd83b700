// Methods beside OOD sets; beside metrics, where there is one set only.

const CHUNK = matchMedia("(max-width: 680px)").matches ? 15 : 40;

/** The columns of numbers: {key, name, full, group, metric, place}, place being that of the OOD set. */
function columns(matrix, section) {
  if (matrix.sets.length === 1) return section.metrics.map((metric) => ({ key: metric, name: title(metric), full: title(metric), group: "", metric, place: 0 }));
  const metric = metricOf(section);
  return matrix.sets.map(([name, full, group], place) => ({ key: name, name, full: shared(full), group, metric, place }));
}

/** Lines and columns that pass the filters; null where nothing does. */
function view(matrix, section) {
  const all = columns(matrix, section);
  const metrics = [...new Set(all.map((column) => column.metric))];
  const rowAt = (line, column) => DATA.rows[line.rows[column.place]];
  const passes = (line, column) => rowAt(line, column) !== undefined && wanted(rowAt(line, column), metrics);
  const shown = all.filter((column) => matrix.lines.some((line) => passes(line, column)));
  const lines = matrix.lines.filter((line) => shown.some((column) => passes(line, column)));
  if (!lines.length) return null;
  const metric = metricOf(section);
  const several = matrix.mean_of > 1 && lines.some((line) => line.means[metric]);
  const value = (line, key) => {
    if (key === "mean") return line.means[metric] ? Number(line.means[metric][0]) : NaN;
    if (key.startsWith("mean ")) return Number(line.means[metric]?.[2][matrix.groups.indexOf(key.slice(5))] ?? NaN);
    if (key === "passes") return line.passes === "" ? NaN : Number(line.passes);
    const column = shown.find((one) => one.key === key);
    return column ? Number(rowAt(line, column)?.cells[column.metric]?.v ?? NaN) : NaN;
  };
  return { matrix, section, columns: shown, lines: ordered(lines, value, metric), metric, several, rowAt, passes };
}

/** Lines in the chosen order, numbers best first; those without a number come last. */
function ordered(lines, value, metric) {
  const back = state.sort.startsWith("-");
  const key = state.sort.replace("-", "");
  if (!key) return lines;
  const sign = back ? -1 : 1;
  if (key === "method") return [...lines].sort((a, b) => sign * a.label.localeCompare(b.label, "en"));
  const small = key === "passes" || DATA.small.includes(DATA.titles[key] ? key : metric);
  const known = lines.filter((line) => !Number.isNaN(value(line, key)));
  known.sort((a, b) => sign * (small ? 1 : -1) * (value(a, key) - value(b, key)));
  return [...known, ...lines.filter((line) => Number.isNaN(value(line, key)))];
}

/** A heading that sorts by its column. */
function sorter(key, words, full = "", kind = "") {
  const [chosen, back] = [state.sort.replace("-", ""), state.sort.startsWith("-")];
  const press = () => change({ sort: chosen === key && !back ? `-${key}` : key });
  const order = chosen === key ? (back ? "descending" : "ascending") : null;
  const button = el("button", { type: "button", onclick: press, title: full || null, "data-sort": key }, breakable(words), el("span", { "aria-hidden": "true" }, chosen === key ? (back ? " ↓" : " ↑") : ""));
  return el("th", { scope: "col", "aria-sort": order, class: kind }, button);
}

function matrixNode(shown) {
  const body = el("tbody");
  const more = el("button", { type: "button", class: "more", onclick: () => add() });
  let done = 0;
  const add = () => {
    body.append(...shown.lines.slice(done, done + CHUNK).map((line) => lineNode(line, shown)));
    done = Math.min(done + CHUNK, shown.lines.length);
    more.hidden = done === shown.lines.length;
    more.textContent = `Show ${Math.min(CHUNK, shown.lines.length - done)} more of ${shown.lines.length - done} methods`;
    rove(body);
  };
  add();
  const words = `${shown.section.title}, ${shown.matrix.id}: ${shown.matrix.sets.length > 1 ? title(shown.metric) : "metrics"}, percent`;
  const table = el("table", { class: "matrix" }, el("caption", { class: "sr" }, words), el("thead", {}, groupLine(shown), headLine(shown)), body);
  return [el("div", { class: "scroll wide", role: "region", tabindex: "0", "aria-label": words }, table), more];
}

/** Names of groups such as near and far over their columns, if there are any. */
function groupLine(shown) {
  const names = shown.columns.map((column) => column.group);
  if (!names.some(Boolean)) return null;
  const before = 1 + (shown.several ? 2 + shown.matrix.groups.length : 0) + (costly(shown) ? 1 : 0);
  const cells = names.map((name, place) => [name, place]).filter(([name, place]) => name !== names[place - 1]);
  const spans = cells.map(([name, place], index) => el("th", { scope: "colgroup", colspan: (cells[index + 1]?.[1] ?? names.length) - place, class: name ? "group" : null }, name));
  return el("tr", { class: "groups" }, el("td", { colspan: before }), spans);
}

function costly(shown) {
  return shown.lines.some((line) => line.passes !== "");
}

/** Whether means leave out sets that were not run. */
function partial(shown) {
  const single = (_, place) => shown.matrix.lines.every((line) => !DATA.rows[line.rows[place]]?.avg);
  return shown.matrix.mean_of < shown.matrix.sets.filter(single).length;
}

function headLine(shown) {
  const groups = shown.matrix.groups.map((name) => sorter(`mean ${name}`, `mean ${name}`, `mean over the ${name} OOD sets`));
  const mean = shown.several ? [sorter("mean", partial(shown) ? `mean of ${shown.matrix.mean_of}` : "mean", `mean over ${shown.matrix.mean_of} OOD sets`), el("th", { scope: "col", class: "rank" }, "rank"), groups] : [];
  const cost = costly(shown) ? sorter("passes", "passes", `forward passes that scoring takes, measured on ${DATA.cost}`) : null;
  const sets = shown.columns.map((column) => sorter(column.key, column.name, column.full, "set"));
  return el("tr", {}, sorter("method", "method"), mean, cost, sets);
}

function lineNode(line, shown) {
  const mean = line.means[shown.metric];
  const number = mean && (mean[1] === 1 && shown.lines.length > 1 ? el("b", {}, mean[0]) : mean[0]);
  const all = [number ?? NOTHING, mean ? String(mean[1]) : NOTHING, ...(mean?.[2] ?? shown.matrix.groups.map(() => NOTHING))];
  const means = shown.several ? all.map((words) => el("td", { class: "mean" }, words)) : [];
  const cost = costly(shown) ? el("td", { class: "mean" }, line.passes || NOTHING) : null;
  return el("tr", {}, el("th", { scope: "row" }, breakable(line.label)), means, cost, shown.columns.map((column) => cellNode(line, column, shown)));
}

function cellNode(line, column, shown) {
  const row = shown.rowAt(line, column);
  const cell = row?.cells[column.metric];
  if (!cell) return el("td", { class: "none" }, NOTHING);
  const out = shown.passes(line, column) ? "" : " out";
  const paper = cell.p === undefined ? null : el("small", {}, mark(verdict(cell)), `paper ${cell.p}`);
  if (cell.v === undefined) return el("td", { class: `idle${out}` }, row.n ? NOTHING : "not run", paper);
  const said = [hidden(`${row.label} on ${row.ood}, ${title(column.metric)} `), el("span", { class: cell.best ? "best" : "" }, cell.v), cell.best ? hidden(", best") : null];
  const deviation = cell.s === undefined ? null : el("small", {}, ` ±${cell.s}`);
  const attributes = { type: "button", class: "cell", "data-row": line.rows[column.place], "data-metric": column.metric, "aria-describedby": "hint", onclick: () => openCell(row) };
  return el("td", { class: out }, el("button", attributes, said, deviation, paper, paper ? hidden(`, ${verdict(cell)}`) : null));
}

/** One stop for the Tab key in each table; arrow keys go on from there. */
function rove(body) {
  body.querySelectorAll("button.cell").forEach((button, place) => (button.tabIndex = place ? -1 : 0));
}
