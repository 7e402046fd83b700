// What the dialog shows of a row.

const TILE = 48;

function panel(heading, ...children) {
  return el("section", { class: "panel" }, el("h3", {}, heading), ...children);
}

/** The verdict on each metric, with its reason. */
function verdictPanel(row) {
  const cards = row.cells.map((cell) =>
    el(
      "div",
      { class: `verdict ${slug(cell.x)}` },
      el("h4", {}, title(cell.m)),
      el("p", { class: "big" }, cell.said?.v ?? NOTHING, el("small", {}, cell.s === undefined ? "" : ` ± ${cell.said.s}`)),
      el("p", { class: "word" }, mark(cell.x), ` ${cell.x}`, DATA.verdicts[cell.x] === cell.x ? "" : `, ${DATA.verdicts[cell.x]}`),
      el("p", {}, cell.p === undefined ? "" : `paper ${cell.p}, difference ${cell.said?.d ?? NOTHING}`),
      el("p", { class: "why" }, cell.why, cell.c === undefined ? "" : `; were both the same, they would be as far apart in ${fixed(100 * cell.c, cell.c < 0.1 ? 1 : 0)} % of cases`),
    ),
  );
  return el("div", { class: "verdicts" }, cards);
}

/** What people found out about this row. */
function remarksPanel(detail) {
  if (!detail.remarks.length) return null;
  return panel("What was found out", el("ul", {}, detail.remarks.map((one) => el("li", {}, text(one)))));
}

/** A metric of one record, as the tables print it, with its interval. */
function said(metric) {
  return metric ? [metric[3], metric[4] ? el("small", {}, ` ${metric[4]}`) : ""] : NOTHING;
}

function seedsPanel(row, detail) {
  const charts = row.cells.filter((cell) => cell.v !== undefined).map((cell) => seedsChart(cell, detail.seeds));
  const metrics = row.cells.filter((cell) => cell.v !== undefined).map((cell) => cell.m);
  const cells = (one) => metrics.map((metric) => said(one.metrics[metric]));
  const lines = detail.seeds.map((one) => [one.name, ...cells(one)]);
  const values = (pick) => metrics.map((metric) => pick(row.cells.find((cell) => cell.m === metric)));
  lines.push(["mean ± std", ...values((cell) => `${cell.said.v}${cell.s === undefined ? "" : ` ± ${cell.said.s}`}`)]);
  if (row.cells.some((cell) => cell.p !== undefined)) lines.push(["paper", ...values((cell) => cell.p ?? NOTHING)]);
  return panel("Seeds", el("div", { class: "figures small" }, charts), grid(["", ...metrics.map(title)], lines));
}

/** Charts and images of one seed, with buttons for the others. */
function scoresPanel(detail) {
  const place = el("div");
  const withDetails = detail.seeds.filter((one) => one.details);
  if (!withDetails.length && !detail.seeds.some((one) => one.tuning?.curve.length)) {
    const words = "There are no histograms, curves and images of these records. scoring.details=all makes them.";
    return panel("Scores", el("p", { class: "quiet" }, words));
  }
  const button = (one) => el("button", { type: "button", "aria-pressed": "false", onclick: () => choose(one) }, one.name);
  const buttons = detail.seeds.map(button);
  const choose = (one) => {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(detail.seeds[index] === one)));
    place.replaceChildren(...seedFigures(one, detail));
  };
  choose(withDetails[0] ?? detail.seeds[0]);
  return panel("Scores", el("div", { class: "tabs", role: "group", "aria-label": "Seed" }, buttons), place);
}

function seedFigures(one, detail) {
  const figures = [];
  if (one.details) {
    figures.push(histogramChart(one.details.histogram), rocChart(detail.seeds, one), precisionChart(one));
  }
  if (one.tuning?.curve.length) figures.push(searchChart(one.tuning, one.settings));
  const ratios = one.settings.norm_ratio;
  if (ratios && typeof ratios === "object") figures.push(barsChart("NormRatio of each block", ratios, one.settings.tap));
  const rows = el("p", { class: "quiet" }, `${count(one.n_id, "ID row")} and ${count(one.n_ood, "OOD row")} scored.`);
  const objective = one.tuning?.curve.length ? el("p", { class: "quiet" }, `The search compared: ${text(one.tuning.objective)}.`) : null;
  return [el("div", { class: "figures" }, figures), rows, objective, one.details?.images ? tiles(one.details.images) : null, settingsTable(one)].filter(Boolean);
}

/** The images with the highest and lowest scores. */
function tiles(sheet) {
  const scale = TILE / sheet.height;
  const box = el("div", { class: "tiles" });
  box.style.setProperty("--sheet", `url(data:image/${sheet.kind};base64,${sheet.content})`);
  box.style.setProperty("--size", `${sheet.columns * sheet.width * scale}px ${sheet.groups.length * sheet.height * scale}px`);
  sheet.groups.forEach((group, line) => {
    const heading = `${group.side.toUpperCase()}, ${group.end} scores`;
    const hint = (group.side === "id") === (group.end === "lowest") ? "nearest to being mistaken" : "most certain";
    const images = group.rows.map((row, column) => {
      const at = `width:${sheet.width * scale}px;height:${TILE}px;background-position:${-column * sheet.width * scale}px ${-line * TILE}px`;
      const words = score(group.scores[column]);
      return el("li", {}, el("span", { class: "tile", style: at, role: "img", "aria-label": `row ${row}, score ${words}`, title: `row ${row}` }), el("small", {}, words));
    });
    box.append(el("div", {}, el("h4", {}, heading, el("small", {}, hint)), el("ul", {}, images)));
  });
  return box;
}

function settingsTable(one) {
  const entries = Object.entries(one.settings).filter(([, value]) => !Array.isArray(value));
  if (!entries.length) return null;
  const lines = entries.map(([key, value]) => [key, el("code", {}, short(value))]);
  return el("details", { open: entries.length < 6 }, el("summary", {}, "Hyperparameters of this seed"), grid(["setting", "value"], lines, "tight"));
}

/** What the paper does beside what was done here. */
function protocolPanel(row, detail) {
  const section = DATA.sections[row.s];
  const says = section.says;
  const first = detail.seeds[0];
  const networks = detail.seeds.flatMap((one) => one.networks);
  const weights = new Set(networks.map((net) => net.weights));
  const kinds = [...new Set(networks.map((net) => `${net.model}, recipe ${net.recipe}, ${net.epochs} epochs`))];
  const list = (numbers) => numbers.map(text).join("; ");
  const images = detail.images.map((used) => `${used.role}: ${used.title}, ${count(used.n, "image")}`).join("; ");
  const chosen = detail.seeds.map((one) => {
    const single = Object.entries(one.settings).filter(([, value]) => value === null || typeof value !== "object");
    return single.map(([key, value]) => `${key} ${short(value)}`).join(", ");
  });
  const lines = [
    ["Classifier", says.classifier, `${section.model}; ${count(weights.size, "network")} over ${count(row.seeds, "seed")}`],
    ["Training", says.training, kinds.join("; ")],
    ["Images", says.images, images],
    ["Scored rows", says.rows, list(detail.evaluation.rows)],
    ["Tuning saw", says.tuning, list(detail.evaluation.tuned_on)],
    ["Settings", says.settings, [...new Set(chosen)].join("; ") || "nothing to choose"],
    ["Metrics", says.metrics, `${detail.evaluation.convention}: ${text(detail.evaluation.description)}`],
  ];
  const quiet = el("span", { class: "quiet" }, "not recorded");
  const both = lines.map(([name, paper, here]) => [name, paper ?? quiet.cloneNode(true), here]);
  const table = section.kind === "paper" ? grid(["", "paper", "here"], both, "sides") : grid(["", "here"], lines.map(([name, , here]) => [name, here]), "sides alone");
  const method = detail.method && [
    "Method: ",
    detail.method.link ? el("a", { href: detail.method.link }, detail.method.paper) : detail.method.paper,
    detail.method.code ? `; code: ${detail.method.code}` : "",
    ".",
  ];
  const items = (numbers) => el("ul", {}, numbers.map((one) => el("li", {}, text(one))));
  return panel(
    "Protocol",
    table,
    method ? el("p", { class: "quiet" }, method) : null,
    el("h4", {}, "Known differences from the paper"),
    detail.deviations.length ? items(detail.deviations) : el("p", { class: "quiet" }, "None recorded."),
    detail.notes.length ? [el("h4", {}, "Remarks"), items(detail.notes)] : null,
    el("p", { class: "quiet" }, `Scored in ${fixed(first.seconds, 0)} s (${first.name}), revision ${first.revision}.`),
  );
}

function testsPanel(row, detail) {
  if (!detail.tests.length) return null;
  const seeds = [...new Set(detail.tests.map((one) => one.seed))];
  const others = [...new Set(detail.tests.map((one) => one.other))];
  const cell = (one) => {
    if (!one) return NOTHING;
    const p = one.p < 0.001 ? "p < 0.001" : `p = ${fixed(one.p, 3)}`;
    const hint = `bootstrap [${fixed(one.boot[0])}, ${fixed(one.boot[1])}]; ${one.n[0].toLocaleString("en")} ID and ${one.n[1].toLocaleString("en")} OOD images`;
    return el("span", { title: hint }, fixed(one.d, 2, true), el("small", {}, ` [${fixed(one.ci[0])}, ${fixed(one.ci[1])}] ${p}`));
  };
  const lines = others.map((other) => [other, ...seeds.map((seed) => cell(detail.tests.find((one) => one.seed === seed && one.other === other)))]);
  const words = `AUROC of ${row.label} minus that of the other method on the images that both scored, with the 95 % interval and p of DeLong's test, uncorrected for the number of pairs.`;
  return panel("Against other methods", el("p", { class: "quiet" }, words), grid(["", ...seeds.map((seed) => `seed ${seed}`)], lines));
}

function morePanel(detail) {
  const names = [...new Set(detail.seeds.flatMap((one) => Object.keys(one.exact)))];
  const exact = names.map((name) => [title(name), ...detail.seeds.map((one) => said(one.exact[name]))]);
  const network = (net) => [net.model, net.recipe, String(net.seed), net.accuracy, el("code", {}, net.weights)];
  const networks = detail.seeds.flatMap((one) => one.networks.map((net) => [one.name, ...network(net)]));
  const records = detail.seeds.map((one) => [one.name, el("code", {}, one.key), one.created, text(one.machine)]);
  const images = detail.images.map((used) => [used.role, used.title, used.n.toLocaleString("en"), el("code", {}, used.fingerprint)]);
  const fold = (name, table) => el("details", {}, el("summary", {}, name), table);
  return panel(
    "More",
    fold("Exact metrics, without the paper's convention", grid(["metric", ...detail.seeds.map((one) => one.name)], exact)),
    fold("Networks", grid(["", "model", "recipe", "training seed", "ID accuracy", "weights"], networks)),
    fold("Image sets", grid(["role", "set", "images", "fingerprint"], images)),
    fold("Records", grid(["", "cell", "created", "machine"], records)),
  );
}
