// The frame that every chart is drawn into.

const WIDTH = 420;
const MARGIN = { left: 46, right: 12, top: 10, bottom: 38 };

/** About `wanted` round numbers between two ends. */
function ticks(low, high, wanted = 5) {
  const raw = (high - low) / wanted;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found;
}

/** A tick's text with as many decimals as its distance to the next one needs. */
function tickText(value, step) {
  if (step > 0 && step < 0.0005) return Math.abs(value) < step / 2 ? "0" : score(value);
  const places = step > 0 ? Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9))) : 2;
  return fixed(value, places);
}

/**
 * An SVG with axes.
 *
 * options: x and y are {low, high, label, ticks: [[value, text], …] or none}; height; label for screen readers.
 * Gives the node, a group to draw in, and functions from values to positions.
 */
function frame(options) {
  const height = options.height ?? 270;
  const inner = { left: options.left ?? MARGIN.left, right: WIDTH - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const toX = (value) => inner.left + ((value - options.x.low) / (options.x.high - options.x.low)) * (inner.right - inner.left);
  const toY = (value) => inner.bottom - ((value - options.y.low) / (options.y.high - options.y.low)) * (inner.bottom - inner.top);
  const node = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": options.label, class: "chart" });
  const lines = svg("g", { class: "axes" });
  for (const [value, words] of marks(options.x)) {
    const place = toX(value);
    lines.append(svg("line", { x1: place, x2: place, y1: inner.top, y2: inner.bottom }));
    lines.append(svg("text", { x: place, y: inner.bottom + 15, "text-anchor": "middle" }, words));
  }
  for (const [value, words] of marks(options.y)) {
    const place = toY(value);
    lines.append(svg("line", { x1: inner.left, x2: inner.right, y1: place, y2: place }));
    lines.append(svg("text", { x: inner.left - 7, y: place + 4, "text-anchor": "end" }, words));
  }
  lines.append(svg("line", { class: "base", x1: inner.left, x2: inner.right, y1: inner.bottom, y2: inner.bottom }));
  if (options.x.label) lines.append(svg("text", { class: "name", x: (inner.left + inner.right) / 2, y: height - 5, "text-anchor": "middle" }, options.x.label));
  if (options.y.label) {
    const middle = (inner.top + inner.bottom) / 2;
    lines.append(svg("text", { class: "name", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, options.y.label));
  }
  const marked = svg("g");
  node.append(lines, marked);
  return { node, marked, toX, toY, inner };
}

function marks(axis) {
  if (axis.ticks) return axis.ticks;
  const found = ticks(axis.low, axis.high);
  const step = found.length > 1 ? found[1] - found[0] : 1;
  return found.map((value) => [value, tickText(value, step)]);
}

/** A path through points. */
function path(points, attributes) {
  const steps = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
  return svg("path", { d: steps.join(""), fill: "none", ...attributes });
}

/** A chart with its heading, and a legend of [class, text] pairs. */
function figure(heading, node, legend = []) {
  const keys = legend.map(([kind, words]) => el("li", { class: kind }, words));
  return el("figure", {}, el("figcaption", {}, heading, legend.length ? el("ul", { class: "legend" }, keys) : null), node);
}

/** Follows the pointer: a dot on the nearest point, its words above the chart. points: [x, y, words]. */
function hover(chart, points) {
  const dot = svg("circle", { r: 4, class: "probe", visibility: "hidden" });
  const words = svg("text", { class: "said", y: chart.inner.top + 12, "text-anchor": "end", x: chart.inner.right - 4 });
  chart.node.append(dot, words);
  const show = (event) => {
    const box = chart.node.getBoundingClientRect();
    const at = [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.width) * WIDTH];
    let best = null;
    for (const point of points) {
      const far = Math.hypot(point[0] - at[0], point[1] - at[1]);
      if (best === null || far < best[0]) best = [far, point];
    }
    if (best === null) return;
    fill(dot, { cx: best[1][0], cy: best[1][1], visibility: "visible" }, []);
    words.textContent = best[1][2];
  };
  chart.node.addEventListener("pointermove", show);
  chart.node.addEventListener("pointerdown", show);
  chart.node.addEventListener("pointerleave", () => {
    dot.setAttribute("visibility", "hidden");
    words.textContent = "";
  });
}
