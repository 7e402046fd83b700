// The charts of a row.

/** Seeds with their intervals over images, our mean with what chance or the margin allow, and the paper's value. */
function seedsChart(cell, seeds) {
  const found = seeds.map((one) => [one.name, one.metrics[cell.m]]).filter(([, metric]) => metric);
  const printed = cell.p === undefined ? null : Number(cell.p);
  const limit = cell.t ?? 0;
  const values = found.flatMap(([, metric]) => metric.slice(0, 3)).concat(printed, cell.v - limit, cell.v + limit);
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const room = Math.max((most - least) * 0.08, 0.05);
  const height = 74 + 24 * found.length;
  const rows = found.map(([name], index) => [found.length - index, name]);
  const chart = frame({
    label: `${title(cell.m)} of each seed`,
    height,
    left: Math.max(58, 12 + 6 * Math.max(...found.map(([name]) => name.length))),
    x: { low: least - room, high: most + room, label: `${title(cell.m)}, percent` },
    y: { low: 0.3, high: found.length + 0.7, ticks: rows },
  });
  const { toX, toY, inner, marked } = chart;
  if (cell.t !== undefined) {
    const [left, right] = [toX(cell.v - limit), toX(cell.v + limit)];
    marked.append(svg("rect", { class: "band", x: left, width: right - left, y: inner.top, height: inner.bottom - inner.top }));
  }
  marked.append(svg("line", { class: "mean", x1: toX(cell.v), x2: toX(cell.v), y1: inner.top, y2: inner.bottom }));
  if (printed !== null) marked.append(svg("line", { class: "paper", x1: toX(printed), x2: toX(printed), y1: inner.top, y2: inner.bottom }));
  found.forEach(([, [value, low, high]], index) => {
    const y = toY(found.length - index);
    if (low !== null) marked.append(svg("line", { class: "whisker", x1: toX(low), x2: toX(high), y1: y, y2: y }));
    marked.append(svg("circle", { class: "seed", cx: toX(value), cy: y, r: 4.5 }));
  });
  hover(chart, found.map(([name, metric], index) => [toX(metric[0]), toY(found.length - index), `${name}: ${metric[3]}`]));
  const legend = [["k-seed", "a seed, 95 % over images"], ["k-mean", "our mean"]];
  if (cell.t !== undefined) legend.push(["k-band", "chance or margin"]);
  if (printed !== null) legend.push(["k-paper", "paper"]);
  return figure(title(cell.m), chart.node, legend);
}

/** Shares of ID and OOD rows by score. */
function histogramChart({ low, high, id, ood }) {
  const shares = [id, ood].map((counts) => {
    const whole = counts.reduce((sum, one) => sum + one, 0) || 1;
    return counts.map((one) => (100 * one) / whole);
  });
  const step = (high - low) / id.length;
  const top = Math.max(...shares.flat()) * 1.06;
  const chart = frame({
    label: "Histogram of scores, ID against OOD",
    x: { low, high, label: "score, higher is more in-distribution" },
    y: { low: 0, high: top, label: "share of rows, percent" },
  });
  const { toX, toY, inner, marked } = chart;
  shares.forEach((side, which) => {
    const points = side.flatMap((share, index) => [
      [toX(low + index * step), toY(share)],
      [toX(low + (index + 1) * step), toY(share)],
    ]);
    const kind = which ? "ood" : "id";
    marked.append(path([[inner.left, inner.bottom], ...points, [inner.right, inner.bottom]], { class: `area ${kind}` }));
    marked.append(path(points, { class: `line ${kind}` }));
  });
  const middle = (index) => toX(low + (index + 0.5) * step);
  const point = (share, index) => {
    const other = shares[1][index];
    const words = `${score(low + index * step)}: ID ${fixed(share, 1)} %, OOD ${fixed(other, 1)} %`;
    return [middle(index), toY(Math.max(share, other)), words];
  };
  hover(chart, shares[0].map(point));
  return figure("Scores", chart.node, [["k-id", "ID"], ["k-ood", "OOD"]]);
}

const UNIT = { low: 0, high: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => [value, value ? String(value) : "0"]) };

/** Lines on the unit square. lines: {kind, line: {x, y}, words}, the one to look at last. */
function unitChart(heading, names, lines, diagonal, legend) {
  const chart = frame({ label: heading, x: { ...UNIT, label: names[0] }, y: { ...UNIT, label: names[1] } });
  const { toX, toY, marked } = chart;
  if (diagonal) marked.append(path([[toX(0), toY(0)], [toX(1), toY(1)]], { class: "diagonal" }));
  const points = [];
  for (const { kind, line, words } of lines) {
    const places = line.x.map((x, index) => [toX(x), toY(line.y[index])]);
    marked.append(path(places, { class: `line ${kind}` }));
    if (words) places.forEach(([x, y], index) => points.push([x, y, `${words}${fixed(line.x[index], 3)}, ${fixed(line.y[index], 3)}`]));
  }
  hover(chart, points);
  return figure(heading, chart.node, legend);
}

function rocChart(seeds, chosen) {
  const others = seeds.filter((one) => one.details && one !== chosen);
  const lines = others.map((one) => ({ kind: "faint", line: one.details.roc }));
  lines.push({ kind: "roc", line: chosen.details.roc, words: "FPR, TPR: " });
  const area = chosen.exact.auroc ? ` · AUROC ${chosen.exact.auroc[3]} %` : "";
  const legend = [["k-roc", `${chosen.name}${area}`], ...(others.length ? [["k-faint", "other seeds"]] : [])];
  return unitChart("ROC, ID positive", ["false positive rate", "true positive rate"], lines, true, legend);
}

function precisionChart(chosen) {
  const lines = [
    { kind: "ood", line: chosen.details.pr_out, words: "OOD: " },
    { kind: "id", line: chosen.details.pr_in, words: "ID: " },
  ];
  return unitChart("Precision over recall", ["recall", "precision"], lines, false, [["k-id", "ID positive"], ["k-ood", "OOD positive"]]);
}

/** What the search compared: one line for each combination of the other settings, steps evenly spaced. */
function searchChart(tuning, settings) {
  const keys = Object.keys(tuning.columns);
  const spread = (key) => new Set(tuning.columns[key]).size;
  const along = keys.includes("epsilon") ? "epsilon" : keys.sort((a, b) => spread(b) - spread(a))[0];
  const others = keys.filter((key) => key !== along && spread(key) > 1);
  const steps = [...new Set(tuning.columns[along])].sort((a, b) => a - b);
  const groups = new Map();
  tuning.curve.forEach((point, index) => {
    const name = others.map((key) => `${key} ${short(tuning.columns[key][index])}`).join(", ");
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push({ place: steps.indexOf(tuning.columns[along][index]), value: point[0], index });
  });
  const values = tuning.curve.map((point) => point[0]).filter((value) => value !== null);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((most - least) * 0.06, 0.1);
  const every = Math.ceil(steps.length / 8);
  const shown = steps.map((step, index) => [index, short(step)]).filter(([index]) => index % every === 0);
  const chart = frame({
    label: `Search over ${along}`,
    x: { low: -0.4, high: Math.max(steps.length - 0.6, 0.6), ticks: shown, label: `${along}, candidates in order` },
    y: { low: least - room, high: most + room },
  });
  const legend = [];
  const points = [];
  [...groups].forEach(([name, group], which) => {
    group.sort((a, b) => a.place - b.place);
    const places = group.filter((one) => one.value !== null).map((one) => [chart.toX(one.place), chart.toY(one.value)]);
    chart.marked.append(path(places, { class: `line c${which % 6}` }));
    if (name) legend.push([`k-c${which % 6}`, name]);
    for (const one of group.filter((each) => each.value !== null)) {
      const taken = keys.every((key) => tuning.columns[key][one.index] === settings[key]);
      const at = { cx: chart.toX(one.place), cy: chart.toY(one.value) };
      chart.marked.append(svg("circle", { ...at, r: taken ? 6 : 2.5, class: taken ? "taken" : `point c${which % 6}` }));
      points.push([at.cx, at.cy, `${along} ${short(steps[one.place])}${name ? `, ${name}` : ""}: ${fixed(one.value)}`]);
    }
  });
  hover(chart, points);
  return figure(`Search over ${along}`, chart.node, [["k-taken", "chosen"], ...legend]);
}

/** Bars of a mapping from names to numbers, such as the NormRatio of every block. */
function barsChart(heading, numbers, chosen) {
  const names = Object.keys(numbers);
  const most = Math.max(...Object.values(numbers), 0) * 1.12 || 1;
  const chart = frame({
    label: heading,
    height: 52 + 20 * names.length,
    left: Math.min(170, 24 + 7 * Math.max(...names.map((name) => name.length))),
    x: { low: 0, high: most },
    y: { low: -0.6, high: names.length - 0.4, ticks: names.map((name, index) => [names.length - 1 - index, name]) },
  });
  names.forEach((name, index) => {
    const y = chart.toY(names.length - 1 - index);
    const width = Math.max(0, chart.toX(numbers[name]) - chart.inner.left);
    chart.marked.append(svg("rect", { class: name === chosen ? "bar taken" : "bar", x: chart.inner.left, y: y - 7, width, height: 14, rx: 2 }));
    chart.marked.append(svg("text", { class: "said", x: chart.inner.left + width + 5, y: y + 4 }, fixed(numbers[name], 3)));
  });
  return figure(heading, chart.node, chosen ? [["k-taken", "chosen"]] : []);
}
