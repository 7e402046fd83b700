// What a cell of a matrix says beyond its number, while the pointer is on it or it has the focus.

const hint = byId("hint");

function hintLines(row, metric) {
  const cell = row.cells[metric];
  const interval = cell.lo === undefined ? "" : `, 95 % interval over images [${cell.lo}, ${cell.hi}]`;
  const lines = [`${row.label} on ${shared(row.full)}`, `${title(metric)} ${spread(cell)}, ${size(row)}${interval}`];
  if (cell.p !== undefined) lines.push(`Published ${cell.p}, difference ${minus(cell.d)}`, `${verdictWords(cell)}: ${shared(cell.why)}`);
  return lines;
}

function showHint(button) {
  const row = DATA.rows[button.dataset.row];
  const [first, ...rest] = hintLines(row, button.dataset.metric);
  hint.replaceChildren(el("b", {}, first), ...rest.map((line) => el("span", {}, line)));
  hint.hidden = false;
  const [box, own] = [button.getBoundingClientRect(), hint.getBoundingClientRect()];
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - own.width - 8));
  const below = box.bottom + 6 + own.height < innerHeight;
  hint.style.left = `${left}px`;
  hint.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - own.height - 6)}px`;
}

function hideHint() {
  hint.hidden = true;
}

for (const [name, work] of [["pointerover", showHint], ["focusin", showHint], ["pointerout", hideHint], ["focusout", hideHint]]) {
  byId("results").addEventListener(name, (event) => {
    const button = event.target.closest("button.cell");
    if (button && event.pointerType !== "touch") work(button);
  });
}
addEventListener("scroll", () => {
  const cell = document.activeElement.closest("button.cell");
  if (cell && !hint.hidden) showHint(cell);
  else hideHint();
}, { passive: true, capture: true });
