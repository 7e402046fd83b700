// What the dialog shows of a row: verdicts, scores and seeds.

const TILE = 48;

function panel(heading, ...children) {
  return el("section", { class: "panel" }, el("h3", {}, heading), ...children);
}

/** The verdict on each metric, with its reason. */
function verdictPanel(row) {
  const cards = Object.entries(row.cells).map(([metric, cell]) =>
    el(
      "div",
      { class: `verdict ${slug(verdict(cell))}` },
      el("h3", {}, title(metric)),
      el("p", { class: "big" }, cell.v ?? NOTHING, el("small", {}, cell.s === undefined ? "" : ` ± ${cell.s}`)),
      el("p", { class: "word" }, cell.x === undefined ? "no published number" : [mark(verdict(cell)), ` ${verdictWords(cell)}`]),
      cell.p === undefined ? null : el("p", {}, `published ${cell.p}, difference ${cell.d === undefined ? NOTHING : minus(cell.d)}`),
      cell.lo === undefined ? null : el("p", {}, `95 % over images [${cell.lo}, ${cell.hi}]`),
      cell.why === undefined ? null : el("p", { class: "why" }, shared(cell.why), cell.c === undefined ? "" : `; were both the same, they would be as far apart in ${fixed(100 * cell.c, cell.c < 0.1 ? 1 : 0)} % of cases`),
    ),
  );
  return el("div", { class: "verdicts" }, cards);
}

/** What people found out about this row. */
function remarksPanel(detail) {
  return detail.remarks ? panel("What was found out", el("ul", {}, detail.remarks.map((one) => el("li", {}, shared(one))))) : null;
}

/** A metric of one record, as the tables print it, with its interval. */
function said(one) {
  return one ? [one.words, one.interval ? el("small", {}, ` ${one.interval}`) : ""] : NOTHING;
}

function seedsPanel(row, detail) {
  const known = Object.entries(row.cells).filter(([, cell]) => cell.v !== undefined);
  const charts = known.map(([metric, cell]) => seedsChart(metric, cell, detail));
  const lines = detail.seeds.map((one, place) => [one.name, ...known.map(([metric]) => said(measured(detail.metrics[metric], place)))]);
  lines.push(["mean ± std", ...known.map(([, cell]) => spread(cell))]);
  if (known.some(([, cell]) => cell.p !== undefined)) lines.push(["published", ...known.map(([, cell]) => cell.p ?? NOTHING)]);
  return panel("Seeds", el("div", { class: "figures small" }, charts), grid(["", ...known.map(([metric]) => title(metric))], lines));
}

/** Charts and images of one seed, with buttons for the others. */
function scoresPanel(detail) {
  const place = el("div");
  const withDetails = detail.seeds.filter((one) => one.details);
  if (!withDetails.length && !detail.seeds.some((one) => one.tuning)) {
    const words = "There are no histograms, curves and images of these records. scoring.details=all makes them.";
    return panel("Scores", el("p", { class: "quiet" }, words));
  }
  const buttons = detail.seeds.map((one) => el("button", { type: "button", "aria-pressed": "false", onclick: () => choose(one) }, one.name));
  const choose = (one) => {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(detail.seeds[index] === one)));
    place.replaceChildren(...seedFigures(one, detail));
  };
  choose(withDetails[0] ?? detail.seeds[0]);
  return panel("Scores", el("div", { class: "tabs", role: "group", "aria-label": "Seed" }, buttons), place);
}

function seedFigures(one, detail) {
  const settings = shared(one.settings);
  const figures = [];
  if (one.details) figures.push(histogramChart(one.details.histogram), rocChart(detail, one), precisionChart(one));
  if (one.tuning) figures.push(searchChart(one.tuning, settings));
  const ratios = settings.norm_ratio;
  if (ratios && typeof ratios === "object") figures.push(barsChart("NormRatio of each block", ratios, settings.tap));
  const rows = el("p", { class: "quiet" }, `${count(one.n[0], "ID row")} and ${count(one.n[1], "OOD row")} scored.`);
  const objective = one.tuning ? el("p", { class: "quiet" }, `The search compared: ${shared(one.tuning.objective)}.`) : null;
  return [el("div", { class: "figures" }, figures), rows, objective, one.details?.images ? tiles(one.details.images) : null, settingsTable(settings)].filter(Boolean);
}

/** The images with the highest and lowest scores. */
function tiles(sheet) {
  const scale = TILE / sheet.height;
  const box = el("div", { class: "tiles" });
  box.style.setProperty("--sheet", `url(data:image/${sheet.kind};base64,${sheet.content})`);
  box.style.setProperty("--size", `${sheet.columns * sheet.width * scale}px ${sheet.groups.length * sheet.height * scale}px`);
  sheet.groups.forEach((group, line) => {
    const heading = `${group.side.toUpperCase()}, ${group.end} scores`;
    const words = (group.side === "id") === (group.end === "lowest") ? "nearest to being mistaken" : "most certain";
    const images = group.rows.map((row, column) => {
      const at = `width:${sheet.width * scale}px;height:${TILE}px;background-position:${-column * sheet.width * scale}px ${-line * TILE}px`;
      const value = score(group.scores[column]);
      return el("li", {}, el("span", { class: "tile", style: at, role: "img", "aria-label": `row ${row}, score ${value}`, title: `row ${row}` }), el("small", {}, value));
    });
    box.append(el("div", {}, el("h4", {}, heading, el("small", {}, words)), el("ul", {}, images)));
  });
  return box;
}

function settingsTable(settings) {
  const entries = Object.entries(settings).filter(([, value]) => !Array.isArray(value));
  if (!entries.length) return null;
  const lines = entries.map(([key, value]) => [key, el("code", {}, short(value))]);
  return el("details", { open: entries.length < 6 }, el("summary", {}, "Hyperparameters of this seed"), grid(["setting", "value"], lines, "tight"));
}

/** Metrics of correctness and rejection, where records have them. */
function selectivePanel(detail) {
  if (!detail.selective) return null;
  const lines = Object.entries(detail.selective).map(([name, list]) => [title(name), ...detail.seeds.map((_, place) => said(measured(list, place)))]);
  const words = "An ID image fails if its class is predicted wrong; in SCOD every OOD image fails, too. Large is good for OSCR, AUROC and TPR, small for the others.";
  return panel("Classifying and rejecting", el("p", { class: "quiet" }, words), grid(["metric", ...detail.seeds.map((one) => one.name)], lines));
}
