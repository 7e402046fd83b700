// The charts of a row.

/** A metric of one record, from the list over seeds: texts of the tables, and numbers; null where there is none. */
function measured(list, place) {
  if (!list?.[place]) return null;
  const [value, low, high] = list[place].split(" ");
  return { words: value, interval: low === undefined ? "" : `[${low}, ${high}]`, value: Number(value), low: low === undefined ? null : Number(low), high: high === undefined ? null : Number(high) };
}

/** An exact metric over seeds: 0 stands for one that is the same in the paper's convention. */
function exact(detail, name) {
  return detail.exact?.[name] === 0 ? detail.metrics[name] : detail.exact?.[name];
}

/** A curve from whole steps of 1/10,000 between its points. */
function curve([across, up]) {
  const whole = (steps) => {
    let sum = 0;
    return steps.map((step) => (sum += step) / 10000);
  };
  return { x: whole(across), y: whole(up) };
}

/** Seeds with their intervals over images, our mean with what chance or the margin allow, and the paper's value. */
function seedsChart(metric, cell, detail) {
  const found = detail.seeds.map((one, place) => [one.name, measured(detail.metrics[metric], place)]).filter(([, one]) => one);
  const printed = cell.p === undefined ? null : Number(cell.p);
  const [mean, limit] = [Number(cell.v), cell.t ?? 0];
  const values = found.flatMap(([, one]) => [one.value, one.low, one.high]).concat(printed, mean - limit, mean + limit);
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const room = Math.max((most - least) * 0.08, 0.05);
  const height = 74 + 24 * found.length;
  const rows = found.map(([name], index) => [found.length - index, name]);
  const chart = frame({
    label: `${title(metric)} of each seed: ${found.map(([name, one]) => `${name} ${one.words}`).join(", ")}`,
    height,
    left: Math.max(58, 12 + 6 * Math.max(...found.map(([name]) => name.length))),
    x: { low: least - room, high: most + room, label: `${title(metric)}, percent` },
    y: { low: 0.3, high: found.length + 0.7, ticks: rows },
  });
  const { toX, toY, inner, marked } = chart;
  if (cell.t !== undefined) {
    const [left, right] = [toX(mean - limit), toX(mean + limit)];
    marked.append(svg("rect", { class: "band", x: left, width: right - left, y: inner.top, height: inner.bottom - inner.top }));
  }
  marked.append(svg("line", { class: "mean", x1: toX(mean), x2: toX(mean), y1: inner.top, y2: inner.bottom }));
  if (printed !== null) marked.append(svg("line", { class: "paper", x1: toX(printed), x2: toX(printed), y1: inner.top, y2: inner.bottom }));
  found.forEach(([, { value, low, high }], index) => {
    const y = toY(found.length - index);
    if (low !== null) marked.append(svg("line", { class: "whisker", x1: toX(low), x2: toX(high), y1: y, y2: y }));
    marked.append(svg("circle", { class: "seed", cx: toX(value), cy: y, r: 4.5 }));
  });
  hover(chart, found.map(([name, one], index) => [toX(one.value), toY(found.length - index), `${name}: ${one.words}`]));
  const legend = [["k-seed", "a seed, 95 % over images"], ["k-mean", "our mean"]];
  if (cell.t !== undefined) legend.push(["k-band", "chance or margin"]);
  if (printed !== null) legend.push(["k-paper", "paper"]);
  return figure(title(metric), chart.node, legend);
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

function rocChart(detail, chosen) {
  const others = detail.seeds.filter((one) => one.details && one !== chosen);
  const lines = others.map((one) => ({ kind: "faint", line: curve(one.details.roc) }));
  lines.push({ kind: "roc", line: curve(chosen.details.roc), words: "FPR, TPR: " });
  const auroc = measured(exact(detail, "auroc"), detail.seeds.indexOf(chosen));
  const area = auroc ? ` · AUROC ${auroc.words} %` : "";
  const legend = [["k-roc", `${chosen.name}${area}`], ...(others.length ? [["k-faint", "other seeds"]] : [])];
  return unitChart("ROC, ID positive", ["false positive rate", "true positive rate"], lines, true, legend);
}

function precisionChart(chosen) {
  const lines = [
    { kind: "ood", line: curve(chosen.details.pr_out), words: "OOD: " },
    { kind: "id", line: curve(chosen.details.pr_in), words: "ID: " },
  ];
  return unitChart("Precision over recall", ["recall", "precision"], lines, false, [["k-id", "ID positive"], ["k-ood", "OOD positive"]]);
}

/** What the search compared: one line for each combination of the other settings, steps evenly spaced. */
function searchChart(tuning, settings) {
  const table = shared(tuning.columns);
  const keys = Object.keys(table);
  const spread = (key) => new Set(table[key]).size;
  const along = keys.includes("epsilon") ? "epsilon" : keys.sort((a, b) => spread(b) - spread(a))[0];
  const others = keys.filter((key) => key !== along && spread(key) > 1);
  const steps = [...new Set(table[along])].sort((a, b) => a - b);
  const groups = new Map();
  tuning.curve.forEach((point, index) => {
    const name = others.map((key) => `${key} ${short(table[key][index])}`).join(", ");
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push({ place: steps.indexOf(table[along][index]), value: point, index });
  });
  const values = tuning.curve.filter((value) => value !== null);
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
      const taken = keys.every((key) => table[key][one.index] === settings[key]);
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
