// A method's cost in forward passes beside what it reaches.

/** A fold with the chart, if at least three methods have both numbers. */
function paretoNode(shown) {
  const metric = shown.matrix.sets.length > 1 ? shown.metric : (shown.section.metrics.includes("auroc") ? "auroc" : shown.section.metrics[0]);
  const points = shown.lines
    .filter((line) => line.passes !== "" && line.means[metric])
    .map((line) => ({ name: line.label, cost: Number(line.passes), value: Number(line.means[metric][0]) }));
  if (points.length < 3) return null;
  const what = shown.matrix.mean_of > 1 ? `mean ${title(metric)}` : title(metric);
  const words = `Passes: forward passes over the scored images that scoring takes, measured on ${DATA.cost}.`;
  const fold = el("details", { class: "inner" }, el("summary", {}, `Cost beside ${what}`));
  fold.addEventListener("toggle", () => fold.children.length === 1 && fold.append(paretoChart(points, metric, what), el("p", { class: "quiet" }, words)));
  return fold;
}

/** The points that no other one beats in cost and value, cheapest first. */
function frontier(points, metric) {
  const sign = DATA.small.includes(metric) ? -1 : 1;
  const found = [];
  for (const one of [...points].sort((a, b) => a.cost - b.cost || sign * (b.value - a.value))) {
    if (!found.length || sign * one.value > sign * found[found.length - 1].value) found.push(one);
  }
  return found;
}

function paretoChart(points, metric, what) {
  const costs = points.map((one) => Math.log10(one.cost));
  const values = points.map((one) => one.value);
  const room = Math.max((Math.max(...values) - Math.min(...values)) * 0.1, 0.5);
  const [low, high] = [Math.min(...costs) - 0.15, Math.max(...costs) + 0.35];
  const marks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((value) => [Math.log10(value), String(value)]);
  const best = frontier(points, metric);
  const chart = frame({
    label: `Cost in passes and ${what}: ${points.map((one) => `${one.name} ${one.cost}, ${one.value}`).join("; ")}`,
    height: 300,
    x: { low, high, label: "forward passes, logarithmic", ticks: marks.filter(([place]) => place > low && place < high) },
    y: { low: Math.min(...values) - room, high: Math.max(...values) + room, label: `${what}, percent` },
  });
  const at = (one) => [chart.toX(Math.log10(one.cost)), chart.toY(one.value)];
  chart.marked.append(path(best.map(at), { class: "line faint" }));
  for (const one of points) {
    const [cx, cy] = at(one);
    chart.marked.append(svg("circle", { class: best.includes(one) ? "front" : "seed", cx, cy, r: 4.5 }));
    if (best.includes(one) || points.length <= 12) chart.marked.append(svg("text", { class: "said", x: cx + 7, y: cy + 14 }, one.name));
  }
  hover(chart, points.map((one) => [...at(one), `${one.name}: ${one.cost} passes, ${fixed(one.value)}`]));
  return figure(`Cost beside ${what}`, chart.node, [["k-front", "none beats it in both"], ["k-seed", "others"]]);
}
