// Papers that were never run: one folded table.

function idleNode() {
  const found = DATA.idle.filter((one) => hasWords([one.title, one.model, one.id, ...one.methods, ...one.ood].join(" ").toLowerCase()));
  const verdicts = chosenVerdicts();
  if (!found.length || state.table || state.method || state.ood || (verdicts.size && !verdicts.has("not run"))) return null;
  const numbers = found.reduce((sum, one) => sum + one.count, 0);
  const body = el("tbody", {}, found.flatMap(idleLines));
  const head = ["Published table", "network", "ID set", "methods", "OOD sets", "numbers"].map((words) => el("th", { scope: "col" }, words));
  const table = el("table", { class: "idle-table" }, el("caption", { class: "sr" }, "Published tables that were not run"), el("thead", {}, el("tr", {}, head)), body);
  const summary = el("summary", {}, el("h2", { class: "part" }, "Not run yet"), el("span", { class: "quiet" }, `${count(found.length, "published table")}, ${count(numbers, "number")}`));
  return el("details", { class: "block unrun", id: "not-run", open: state.q !== "" && found.length < 8 }, summary, el("div", { class: "scroll wide", role: "region", tabindex: "0", "aria-label": "Published tables that were not run" }, table));
}

/** A line, and one below it that is filled when it is opened. */
function idleLines(one) {
  const inside = el("td", { colspan: "6" });
  const below = el("tr", { class: "numbers", hidden: true }, inside);
  const press = (event) => {
    if (!inside.children.length) inside.append(...publishedNumbers(one));
    below.hidden = !below.hidden;
    event.currentTarget.setAttribute("aria-expanded", String(!below.hidden));
  };
  const button = el("button", { type: "button", class: "open", "aria-expanded": "false", onclick: press }, one.title);
  const cells = [one.model, one.id, one.methods.length, one.ood.length, one.count].map((value) => el("td", {}, String(value)));
  return [el("tr", { id: one.key }, el("th", { scope: "row" }, button), cells), below];
}

/** What the paper prints, a table a metric. */
function publishedNumbers(one) {
  const tables = Object.entries(one.printed).map(([metric, lines]) => {
    const rows = lines.map((line, place) => [one.methods[place], ...line.split(" ").map((value) => value.replace(/^-$/, NOTHING))]);
    return [el("h4", {}, title(metric)), grid(["method", ...one.ood], rows.filter((row) => row.slice(1).some((value) => value !== NOTHING)), "tight")];
  });
  const run = el("p", { class: "reference" }, "Run it: ", el("code", {}, one.command));
  return [el("p", { class: "reference" }, one.reference, " ", links(one.links)), run, ...tables.flat()];
}
