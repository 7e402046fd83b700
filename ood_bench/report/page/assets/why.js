// Why a number differs: ladders as tables and waterfalls, and ranges over all conventions.

/** Every ladder of a row, a metric each. */
function ladderPanel(ladders) {
  if (!ladders?.length) return null;
  const words = "One rung for each choice in which the two evaluations differ, computed from kept scores (ood-bench explain).";
  return panel("Why the number differs", el("p", { class: "quiet" }, words), ladders.map((one, place) => ladderNode(one, place === 0)));
}

function ladderNode(one, open) {
  return el("details", { open }, el("summary", {}, `${one.metric}: ${one.from[0]} → ${one.to[0]}`), ladderBody(one));
}

/** Waterfall and table of a ladder. */
function ladderBody(one) {
  const start = [one.from[0], one.from[1] || NOTHING, "", ""];
  const lines = one.rungs.map(([name, before, after, value, step, mean, low, high]) => [
    [name, el("small", {}, `${before} → ${after}`)],
    value || NOTHING,
    signed(step),
    mean ? `${signed(mean)} [${signed(low)}, ${signed(high)}]` : NOTHING,
  ]);
  const end = [one.to[0], one.to[1] || NOTHING, "", ""];
  const table = grid(["rung", "number", "step", "mean [least, most]"], [start, ...lines, end], "ladder");
  return el("div", { class: "two" }, waterfallChart(one), el("div", {}, table, ladderRest(one)));
}

/** What the record says, what stays unexplained, and what could not be computed. */
function ladderRest(one) {
  const agrees = (same) => (same === null ? "a choice could not be computed" : same ? "the same number" : "another number");
  const notes = [`Means are over ${one.orders} of the rungs (Shapley value).`];
  notes.push(...one.recorded.map(([title, value, same]) => `Record, ${title}: ${value} (${agrees(same)}).`));
  if (one.left) notes.push(`Published: ${one.left.printed}; unexplained: ${signed(one.left.difference)} (${one.left.chance}).`);
  const missing = one.missing.length ? [el("h4", {}, "Not computed"), el("ul", {}, one.missing.map((gap) => el("li", {}, gap)))] : [];
  return [...notes.map((words) => el("p", { class: "quiet" }, words)), ...missing];
}

function signed(words) {
  return words === "" ? NOTHING : minus(words);
}

/** Start, what each rung adds, end, and what is left to the published number. */
function waterfallChart(one) {
  const bars = [];
  let before = one.from[1] === "" ? null : Number(one.from[1]);
  if (before !== null) bars.push({ name: one.from[0], total: before, words: one.from[1] });
  for (const [name, , , value, step] of one.rungs) {
    if (value === "") continue;
    if (before !== null && step !== "") bars.push({ name, from: before, to: Number(value), words: signed(step) });
    before = Number(value);
  }
  if (one.to[1] !== "") bars.push({ name: one.to[0], total: Number(one.to[1]), words: one.to[1] });
  const printed = one.left ? Number(one.left.printed) : null;
  if (one.left && before !== null) bars.push({ name: "unexplained", from: before, to: printed, words: signed(one.left.difference), rest: true });
  const values = bars.flatMap((each) => (each.total === undefined ? [each.from, each.to] : [each.total]));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((most - least) * 0.25, 0.5);
  const cut = (name) => (name.length > 22 ? `${name.slice(0, 21)}…` : name);
  const chart = frame({
    label: `Waterfall: ${bars.map((each) => `${each.name} ${each.words}`).join(", ")}`,
    height: 60 + 24 * bars.length,
    left: 24 + 6.2 * Math.max(...bars.map((each) => cut(each.name).length)),
    x: { low: least - room, high: most + room, label: `${one.metric}, percent` },
    y: { low: -0.6, high: bars.length - 0.4, ticks: bars.map((each, index) => [bars.length - 1 - index, cut(each.name)]) },
  });
  const { toX, toY, inner, marked } = chart;
  if (printed !== null) marked.append(svg("line", { class: "paper", x1: toX(printed), x2: toX(printed), y1: inner.top, y2: inner.bottom }));
  bars.forEach((each, index) => {
    const y = toY(bars.length - 1 - index);
    const [left, right] = each.total === undefined ? [each.from, each.to].sort((a, b) => a - b).map(toX) : [toX(each.total), toX(each.total)];
    if (each.total !== undefined) marked.append(svg("circle", { class: "seed", cx: left, cy: y, r: 5 }));
    else marked.append(svg("rect", { class: each.rest ? "rest" : each.to > each.from ? "up" : "down", x: left, width: Math.max(right - left, 1.5), y: y - 7, height: 14, rx: 2 }));
    marked.append(svg("text", { class: "said", x: right + 7, y: y + 4 }, each.words));
  });
  const legend = [["k-up", "more"], ["k-down", "less"]];
  if (printed !== null) legend.push(["k-paper", "paper"]);
  return figure(one.metric, chart.node, legend);
}

/** Methods under all conventions of one metric: ranges, and who changes places. */
function multiverseNode(one) {
  const lines = one.methods.map(([name, numbers, least, middle, most]) => [name, least, middle, most, fixed(Number(most) - Number(least)), String(numbers)]);
  const table = grid(["method", "least", "median", "most", "range", "numbers"], lines, "ladder");
  const [pairs, changing] = one.pairs;
  const share = ([, , ahead, behind, level]) => `${behind} of ${ahead + behind + level}`;
  const said = changing ? `${changing} of ${count(pairs, "pair")} of methods change places:` : `None of ${count(pairs, "pair")} of methods changes places.`;
  const list = one.changing.map((pair) => el("li", {}, `${pair[1]} is ahead of ${pair[0]} under ${share(pair)} conventions`));
  const right = el("div", {}, table, el("p", { class: "quiet" }, said), list.length ? el("ul", {}, list) : null);
  return el("details", { class: "inner" }, el("summary", {}, `${one.metric} under ${count(one.conventions, "convention")}`), el("p", { class: "quiet" }, one.title), el("div", { class: "two" }, rangesChart(one), right));
}

function rangesChart(one) {
  const numbers = one.methods.map((line) => line.slice(2).map(Number));
  const [low, high] = [Math.min(...numbers.map((line) => line[0])), Math.max(...numbers.map((line) => line[2]))];
  const room = Math.max((high - low) * 0.06, 0.5);
  const rows = one.methods.length;
  const chart = frame({
    label: `Range of ${one.metric} over conventions: ${one.methods.map((line) => `${line[0]} ${line[2]} to ${line[4]}`).join(", ")}`,
    height: 60 + 22 * rows,
    left: 24 + 6.2 * Math.max(...one.methods.map(([name]) => name.length)),
    x: { low: low - room, high: high + room, label: `${one.metric}, percent` },
    y: { low: -0.6, high: rows - 0.4, ticks: one.methods.map(([name], index) => [rows - 1 - index, name]) },
  });
  const { toX, toY, marked } = chart;
  numbers.forEach(([least, middle, most], index) => {
    const y = toY(rows - 1 - index);
    marked.append(svg("line", { class: "whisker wide", x1: toX(least), x2: Math.max(toX(most), toX(least) + 1), y1: y, y2: y }));
    marked.append(svg("circle", { class: "seed", cx: toX(middle), cy: y, r: 4 }));
  });
  hover(chart, one.methods.map(([name, , least, middle, most], index) => [toX(numbers[index][1]), toY(rows - 1 - index), `${name}: ${least} to ${most}, median ${middle}`]));
  return figure(one.metric, chart.node, [["k-seed", "least to most, dot: median"]]);
}
