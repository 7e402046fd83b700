// The drill-down: one row in a dialog, with its neighbours a key away. Its address is the row's.

const dialog = byId("dialog");
let opener = null;

/** Opens a row from a table; Back closes it again. */
function openCell(row) {
  opener = document.activeElement;
  change({ cell: row.k });
}

function rowNamed(key) {
  return DATA.rows.find((row) => row.k === key && row.n);
}

/** Makes the dialog what the state says. */
function syncDialog() {
  const row = state.cell ? rowNamed(state.cell) : null;
  if (!row) {
    if (dialog.open) dialog.close();
    return;
  }
  if (!dialog.open || dialog.dataset.row !== row.k) fillDialog(row);
}

function fillDialog(row) {
  const section = DATA.sections[row.s];
  const close = el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "✕");
  const turn = (step, words, sign) => {
    const next = neighbour(row, step);
    return el("button", { type: "button", disabled: !next, "aria-label": words, onclick: () => change({ cell: next.k }, false) }, sign);
  };
  const heading = el("h2", { id: "dialog-title" }, row.label, el("small", {}, ` ${idTitle(row)} against ${shared(row.full)}`));
  const panels = row.bare ? barePanels(row) : wholePanels(row);
  dialog.replaceChildren(
    el("header", {}, el("div", {}, el("p", { class: "quiet" }, section.title), heading), el("nav", { "aria-label": "Rows" }, turn(-1, "Previous row", "←"), turn(1, "Next row", "→"), close)),
    el("div", { class: "inside" }, ...panels.filter(Boolean)),
  );
  dialog.dataset.row = row.k;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  close.focus();
}

function wholePanels(row) {
  const detail = JSON.parse(byId(`row-${DATA.rows.indexOf(row)}`).textContent);
  return [
    verdictPanel(row), remarksPanel(detail), ladderPanel(detail.ladders), scoresPanel(detail), seedsPanel(row, detail),
    selectivePanel(detail), protocolPanel(row, detail), linksPanel(row, detail), testsPanel(row, detail), morePanel(detail),
  ];
}

/** Of a row whose records were not kept there are its numbers, and ladders where somebody made some. */
function barePanels(row) {
  const words = "The records of this table were not kept: there is no more of this cell than its exact metrics.";
  return [verdictPanel(row), remarksPanel(row), ladderPanel(row.ladders), panel("Sources", el("p", {}, words), el("p", {}, links(DATA.sections[row.s].files)))];
}

/** The next row that can be opened, in the order shown. */
function neighbour(row, step) {
  const place = order.indexOf(row);
  return place < 0 ? undefined : order[place + step];
}

dialog.addEventListener("close", () => {
  const row = rowNamed(dialog.dataset.row);
  delete dialog.dataset.row;
  if (state.cell) change({ cell: "" });
  const place = DATA.rows.indexOf(row);
  const shown = document.querySelector(`button.cell[data-row="${place}"]`);
  (opener?.dataset.row === String(place) && opener.isConnected ? opener : shown)?.focus();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target.closest(".scroll") || event.altKey || event.ctrlKey || event.metaKey) return;
  const next = neighbour(rowNamed(state.cell), step);
  if (next) change({ cell: next.k }, false);
});
