// The drill-down: one row in a dialog, with its neighbours a key away.

const dialog = byId("dialog");

function detailOf(row) {
  return JSON.parse(byId(`row-${row.i}`).textContent);
}

function openRow(row) {
  const detail = detailOf(row);
  const section = DATA.sections[row.s];
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const turn = (step, words, sign) => {
    const next = neighbour(row, step);
    return el("button", { type: "button", disabled: !next, "aria-label": words, onclick: () => openRow(next) }, sign);
  };
  dialog.replaceChildren(
    el(
      "header",
      {},
      el("div", {}, el("p", { class: "quiet" }, section.title), el("h2", { id: "dialog-title" }, row.label, el("small", {}, ` ${row.id} against ${row.ood}`))),
      el("nav", { "aria-label": "Rows" }, turn(-1, "Previous row", "←"), turn(1, "Next row", "→"), close),
    ),
    el(
      "div",
      { class: "inside" },
      ...[verdictPanel(row), remarksPanel(detail), ladderPanel(detail.ladders), scoresPanel(detail), seedsPanel(row, detail), protocolPanel(row, detail), testsPanel(row, detail), morePanel(detail)].filter(Boolean),
    ),
  );
  state.current = row;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  close.focus();
  history.replaceState(null, "", `#row-${row.i}`);
}

/** The next row that can be opened, in the order shown. */
function neighbour(row, step) {
  const rows = state.rows.filter((one) => one.n);
  return rows[rows.indexOf(row) + step];
}

dialog.addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search);
  document.querySelector(`button[data-row="${state.current?.i}"]`)?.focus();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const scrolls = event.target.closest(".scroll");
  if (!step || scrolls || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = neighbour(state.current, step);
  if (next) openRow(next);
});
state.open = openRow;
