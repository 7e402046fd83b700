// The top of the page, its controls and its keys.

const LEAD = ["undecided", "not reproduced", "not comparable", "not run"];

function summary() {
  const cells = DATA.rows.filter((row) => DATA.sections[row.s].kind === "paper").flatMap((row) => row.cells);
  const published = cells.filter((cell) => cell.p !== undefined);
  const found = tally(published);
  const by = (conclusion) => ORDER.filter((one) => DATA.verdicts[one] === conclusion).reduce((sum, one) => sum + found[one], 0);
  const compared = by("reproduced") + by("undecided") + by("not reproduced");
  const rest = LEAD.filter(by).map((one) => `${by(one)} ${one}`);
  const papers = new Set(DATA.rows.filter((row) => row.n && DATA.sections[row.s].kind === "paper").map((row) => row.s)).size;
  byId("score").append(
    el("p", { class: "score" }, el("b", {}, String(found.reproduced)), ` of ${count(compared, "compared number")} reproduced`),
    bar({ ...found, "not run": 0, "not comparable": 0 }),
    el("p", { class: "quiet" }, rest.join(", ")),
  );
  byId("lead").textContent = `${count(papers, "published table")}, run again: our numbers beside the papers', and what lies behind each.`;
  byId("chips").append(...ORDER.map((verdict) => chip(verdict, found[verdict])));
}

function chip(verdict, number) {
  const press = (event) => {
    const on = !state.verdicts.delete(verdict);
    if (on) state.verdicts.add(verdict);
    event.currentTarget.setAttribute("aria-pressed", String(on));
    draw();
  };
  const attributes = { type: "button", "aria-pressed": "false", class: slug(verdict), "data-verdict": verdict, onclick: press };
  return el("button", attributes, mark(verdict), `${verdict} `, el("b", {}, String(number)));
}

function options(select, pairs) {
  select.append(...[["", "all"], ...pairs].map(([value, words]) => el("option", { value }, words)));
}

function names(pick) {
  const found = [...new Set(DATA.rows.map(pick))];
  return found.sort((a, b) => a.localeCompare(b, "en")).map((name) => [name, name]);
}

function controls() {
  options(byId("section"), DATA.sections.map((section, place) => [String(place), section.title]));
  options(byId("method"), names((row) => row.method));
  options(byId("ood"), names((row) => row.ood));
  for (const key of ["section", "method", "ood", "sort"]) {
    byId(key).addEventListener("change", (event) => {
      state[key] = event.target.value;
      draw();
    });
  }
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      state.words = event.target.value;
      draw();
    }, 80);
  });
  byId("clear").addEventListener("click", clearFilters);
}

function clearFilters() {
  Object.assign(state, { words: "", section: "", method: "", ood: "", sort: "paper", verdicts: new Set() });
  for (const key of ["section", "method", "ood"]) byId(key).value = "";
  byId("search").value = "";
  byId("sort").value = "paper";
  for (const button of byId("chips").children) button.setAttribute("aria-pressed", "false");
  draw();
}

function theme() {
  const button = byId("theme");
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const show = () => (button.textContent = dark() ? "☀" : "☾");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}

function keys(event) {
  if (dialog.open || event.altKey || event.ctrlKey || event.metaKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
  }
  if (event.key === "Escape" && event.target.id === "search") clearFilters();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || (typing && event.target.id !== "search")) return;
  const buttons = [...document.querySelectorAll("button.open")];
  const at = buttons.indexOf(event.target);
  const next = buttons[at < 0 ? (step > 0 ? 0 : -1) : at + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}

summary();
controls();
theme();
byId("remark").textContent = DATA.remark;
byId("margins").textContent = DATA.margins;
document.addEventListener("keydown", keys);
draw();
const linked = DATA.rows[Number(/^#row-(\d+)$/.exec(location.hash)?.[1] ?? -1)];
if (linked?.n) openRow(linked);
