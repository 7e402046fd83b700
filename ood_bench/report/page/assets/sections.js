// The tables of the overview, section by section.

/** The rows that can be opened, in the order shown. */
let order = [];

/** Draws all sections anew. */
function draw() {
  const found = DATA.sections.map((section) => [section, section.matrices.map((matrix) => view(matrix, section)).filter(Boolean)]);
  const shown = found.filter(([, views]) => views.length);
  const nodes = [];
  let kind = "";
  for (const [section, views] of shown) {
    const heading = section.kind === "other" ? DATA.own : "Papers, run again";
    if (heading !== kind) nodes.push(el("h2", { class: "part" }, heading));
    kind = heading;
    nodes.push(sectionNode(section, views));
  }
  byId("results").replaceChildren(...nodes, ...[idleNode(), loneLadders()].filter(Boolean));
  order = shown.flatMap(([, views]) => views.flatMap((one) => one.lines.flatMap((line) => [...new Set(one.columns.map((column) => one.rowAt(line, column)))]))).filter((row) => row?.n);
  const lines = shown.flatMap(([, views]) => views).reduce((sum, one) => sum + one.lines.length, 0);
  byId("count").textContent = lines ? `${count(lines, "line")} in ${count(shown.length, "table")} shown.` : "Nothing passes these filters.";
}

function sectionNode(section, views) {
  const tables = views.map((one) => [imagesHeading(one), ...matrixNode(one), paretoNode(one)]);
  return el("section", { class: "block", id: section.key, "aria-labelledby": `${section.key}-title` }, sectionHead(section), tables, multiverses(section));
}

/** Which ID images a table is of; an exact subset and a copy by JPEG are different tables. */
function imagesHeading(shown) {
  const [name, ...rest] = shown.matrix.id.split(" (");
  const ood = shown.matrix.sets.length === 1 ? `, OOD set: ${shared(shown.matrix.sets[0][1])}` : "";
  return el("h4", { class: "images" }, `ID images: ${name}`, rest.length ? el("small", {}, ` (${rest.join(" (")}`) : null, ood);
}

function sectionHead(section) {
  const facts = [["classifier", section.model], ["protocol", section.protocol]].map(([name, value]) => el("span", {}, `${name} `, el("b", {}, value)));
  const here = el("a", { class: "anchor", href: `#${section.key}`, "aria-label": `Link to ${section.title}` }, "#");
  const head = el("header", {}, el("h3", { id: `${section.key}-title` }, section.title, here), el("p", { class: "facts" }, facts));
  head.querySelector(".facts").append(el("span", {}, links(section.files)));
  if (section.kind !== "paper") return head;
  head.append(
    el("p", { class: "reference" }, section.reference, section.links.length ? [" ", links(section.links)] : null),
    bar(tally(section)),
    el("details", {}, el("summary", {}, "About the published numbers"), el("ul", {}, [`Published numbers: ${section.source}.`, ...section.notes].map((one) => el("li", {}, one)))),
  );
  return head;
}

/** How often each verdict was given in a section. */
function tally(section) {
  const found = {};
  for (const row of DATA.rows.filter((one) => DATA.sections[one.s] === section)) {
    for (const cell of Object.values(row.cells)) if (cell.x !== undefined) found[verdict(cell)] = (found[verdict(cell)] ?? 0) + 1;
  }
  return found;
}

/** What all defensible conventions would make of a section's methods. */
function multiverses(section) {
  if (!section.multiverses.length) return null;
  return el("div", { class: "beside" }, el("h4", {}, "Under all conventions"), section.multiverses.map(multiverseNode));
}

/** Ladders of cells whose records are not among these results. */
function loneLadders() {
  const found = DATA.ladders.filter((one) => hasWords(one.title.toLowerCase()));
  if (!found.length || state.table || state.method || state.ood || state.verdict) return null;
  const words = "Their records are not among these results; their ladders are.";
  const summary = el("summary", {}, el("h2", { class: "part" }, "Why numbers of other cells differ"), el("span", { class: "quiet" }, count(found.length, "ladder")));
  const fold = (one) => {
    const node = el("details", {}, el("summary", {}, `${one.title}: ${one.metric}`));
    node.addEventListener("toggle", () => node.children.length === 1 && node.append(ladderBody(one)));
    return node;
  };
  return el("details", { class: "block unrun", id: "ladders" }, summary, el("div", { class: "beside" }, el("p", { class: "quiet" }, words), found.map(fold)));
}
