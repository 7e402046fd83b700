// What the dialog shows of how a row was made: protocol, tests, records.

/** What the paper does beside what was done here. */
function protocolPanel(row, detail) {
  const section = DATA.sections[row.s];
  const says = section.says ?? {};
  const networks = detail.seeds.flatMap((one) => one.networks.map(shared));
  const weights = new Set(networks.map((net) => net[5]));
  const kinds = [...new Set(networks.map(([model, recipe, , epochs]) => `${model}, recipe ${recipe}, ${epochs} epochs`))];
  const list = (numbers) => numbers.map(shared).join("; ");
  const images = detail.images.map(shared).map(([role, name, n]) => `${role}: ${name}, ${count(n, "image")}`).join("; ");
  const chosen = detail.seeds.map((one) => {
    const single = Object.entries(shared(one.settings)).filter(([, value]) => value === null || typeof value !== "object");
    return single.map(([key, value]) => `${key} ${short(value)}`).join(", ");
  });
  const lines = [
    ["Classifier", says.classifier, `${section.model}; ${count(weights.size, "network")} over ${count(row.seeds, "seed")}`],
    ["Training", says.training, kinds.join("; ")],
    ["Images", says.images, images],
    ["Scored rows", says.rows, list(detail.evaluation.rows)],
    ["Tuning saw", says.tuning, list(detail.evaluation.tuned_on)],
    ["Settings", says.settings, [...new Set(chosen)].join("; ") || "nothing to choose"],
    ["Metrics", says.metrics, `${detail.evaluation.convention}: ${shared(detail.evaluation.description)}`],
  ];
  const quiet = el("span", { class: "quiet" }, "not recorded");
  const both = lines.map(([name, paper, here]) => [name, paper ?? quiet.cloneNode(true), here]);
  const table = section.kind === "paper" ? grid(["", "paper", "here"], both, "sides") : grid(["", "here"], lines.map(([name, , here]) => [name, here]), "sides alone");
  const items = (numbers) => el("ul", {}, numbers.map((one) => el("li", {}, shared(one))));
  return panel(
    "Protocol",
    table,
    el("h4", {}, "Known differences from the paper"),
    detail.deviations ? items(detail.deviations) : el("p", { class: "quiet" }, "None recorded."),
    ...(detail.notes ? [el("h4", {}, "Remarks"), items(detail.notes)] : []),
  );
}

/** Where to read on: the method's paper and code, the table's paper, config and rule, and the records. */
function linksPanel(row, detail) {
  const section = DATA.sections[row.s];
  const record = (one) => [`${one.name} (${one.key})`, `${shared(one.folder)}/seed${one.seed}-${one.key}.json`];
  const lines = [
    ["Method", links(detail.links === undefined ? [] : shared(detail.links))],
    ["Table", section.reference ? [section.reference, " ", ...links(section.links)] : []],
    ["Records", links(detail.seeds.map(record))],
    ["Cite", section.reference ? `${section.reference}; and ood-bench, with the record's key` : "the method's paper, and ood-bench with the record's key"],
  ];
  const made = [...new Set(detail.seeds.map((one) => `${one.made[2].slice(0, 10)}, revision ${shared(one.made[1])}`))];
  lines.push(["Made", made.join("; ")]);
  return panel("Sources", grid(["", "where"], lines.filter(([, value]) => value.length), "sides alone"));
}

function testsPanel(row, detail) {
  if (!detail.tests) return null;
  const seeds = [...new Set(detail.tests.map((one) => one.seed))];
  const others = [...new Set(detail.tests.map((one) => one.other))];
  const cell = (one) => {
    if (!one) return NOTHING;
    const p = one.p < 0.001 ? "p < 0.001" : `p = ${fixed(one.p, 3)}`;
    const words = `bootstrap [${fixed(one.boot[0])}, ${fixed(one.boot[1])}]; ${one.n[0].toLocaleString("en")} ID and ${one.n[1].toLocaleString("en")} OOD images`;
    return el("span", { title: words }, fixed(one.d, 2, true), el("small", {}, ` [${fixed(one.ci[0])}, ${fixed(one.ci[1])}] ${p}`));
  };
  const lines = others.map((other) => [other, ...seeds.map((seed) => cell(detail.tests.find((one) => one.seed === seed && one.other === other)))]);
  const words = `AUROC of ${row.label} minus that of the other method on the images that both scored, with the 95 % interval and p of DeLong's test, uncorrected for the number of pairs.`;
  return panel("Against other methods", el("p", { class: "quiet" }, words), grid(["", ...seeds.map((seed) => `seed ${seed}`)], lines));
}

function morePanel(detail) {
  const names = Object.keys(detail.exact ?? {});
  const lines = names.map((name) => [title(name), ...detail.seeds.map((_, place) => said(measured(exact(detail, name), place)))]);
  const network = ([model, recipe, seed, , accuracy, weights]) => [model, recipe, String(seed), accuracy, el("code", {}, weights)];
  const networks = detail.seeds.flatMap((one) => one.networks.map((net) => [one.name, ...network(shared(net))]));
  const records = detail.seeds.map((one) => [one.name, el("code", {}, one.key), one.made[2], `${fixed(one.made[3], 0)} s`, shared(one.made[0])]);
  const images = detail.images.map(shared).map(([role, name, n, print]) => [role, name, n.toLocaleString("en"), el("code", {}, print)]);
  const fold = (name, table) => el("details", {}, el("summary", {}, name), table);
  return panel(
    "More",
    names.length ? fold("Exact metrics, without the paper's convention", grid(["metric", ...detail.seeds.map((one) => one.name)], lines)) : null,
    fold("Networks", grid(["", "model", "recipe", "training seed", "ID accuracy", "weights"], networks)),
    fold("Image sets", grid(["role", "set", "images", "fingerprint"], images)),
    fold("Records", grid(["", "cell", "created", "scored in", "machine"], records)),
  );
}
