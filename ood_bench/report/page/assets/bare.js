// Tables whose records were not kept: their texts become rows without a drill-down of their own.

/** Adds the rows of these tables behind all others, and their sections behind the other own results. */
function expand() {
  const place = DATA.sections.filter((section) => section.kind === "other").length;
  DATA.sections.splice(place, 0, ...DATA.beside);
  for (const row of DATA.rows) if (row.s >= place) row.s += DATA.beside.length;
  DATA.beside.forEach((section, index) => {
    const [matrix] = section.matrices;
    matrix.lines.forEach((line, at) => (line.rows = matrix.sets.map((set, column) => bareRow(section, place + index, line, set, at, column))));
  });
}

/** The number of a new row; -1 where it has no number. */
function bareRow(section, s, line, [ood, full], at, column) {
  const cells = {};
  for (const [metric, texts] of Object.entries(section.bare)) {
    const words = texts[at][column];
    if (!words) continue;
    const [v, lo, hi] = words.replace("*", "").split(" ");
    cells[metric] = { v, lo, hi, ...(words.endsWith("*") ? { best: 1 } : {}) };
  }
  if (!Object.keys(cells).length) return -1;
  const name = `${line.label}/${ood}`;
  const k = `${section.key}/${name.toLowerCase().replace(/[^a-z0-9/]+/g, "-")}`;
  const row = { k, s, method: line.method, label: line.label, ood, full, id: section.matrices[0].id, n: 1, seeds: 1, cells, bare: true, ladders: section.ladders[name], remarks: section.remarks[name] };
  return DATA.rows.push(row) - 1;
}

expand();
