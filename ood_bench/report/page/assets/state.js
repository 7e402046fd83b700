// What is shown: filters, metric, order and the open row. All of it stands in the address.

const DEFAULTS = { q: "", table: "", method: "", ood: "", metric: "", sort: "", verdict: "", cell: "" };
const state = { ...DEFAULTS };

/** Takes over what the address says; gives the id of an element where it names one instead. */
function readAddress() {
  const words = location.hash.slice(1);
  const parts = new URLSearchParams(words);
  for (const key of Object.keys(DEFAULTS)) state[key] = parts.get(key) ?? "";
  return words.includes("=") ? "" : decodeURIComponent(words);
}

function address() {
  const parts = Object.entries(state).filter(([, value]) => value !== "");
  return parts.length ? `#${new URLSearchParams(parts)}`.replace(/%2F/g, "/").replace(/%2C/g, ",") : location.pathname + location.search;
}

/** Changes what is shown. `push` makes a new entry of the browser's history, so that Back undoes the change. */
function change(values, push = true) {
  Object.assign(state, values);
  history[push ? "pushState" : "replaceState"](null, "", address());
  show();
}

function chosenVerdicts() {
  return new Set(state.verdict.split(",").filter(Boolean));
}

/** The words that the search looks through. */
function searchable(row) {
  const section = DATA.sections[row.s];
  return [row.label, shared(row.full), idTitle(row), section.title, section.model, section.protocol].join(" ").toLowerCase();
}

function hasWords(text) {
  return state.q.toLowerCase().split(/\s+/).filter(Boolean).every((word) => text.includes(word));
}

/** Whether a row passes every filter; a verdict may be that of any of the given metrics. */
function wanted(row, metrics) {
  const verdicts = chosenVerdicts();
  row.words ??= searchable(row);
  return (
    (state.table === "" || DATA.sections[row.s].key === state.table) &&
    (state.method === "" || row.method === state.method) &&
    (state.ood === "" || row.ood === state.ood) &&
    hasWords(row.words) &&
    (!verdicts.size || metrics.some((metric) => row.cells[metric] && verdicts.has(verdict(row.cells[metric]))))
  );
}

/** The metric that a section shows: the chosen one, if it has it. */
function metricOf(section) {
  return section.metrics.includes(state.metric) ? state.metric : section.metrics[0];
}
