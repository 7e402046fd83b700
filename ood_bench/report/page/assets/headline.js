// The top of the page: what became of all published numbers, and the compared ones under a lens.

const COMPARED = ["reproduced", "not reproduced", "undecided"];

function headline() {
  const number = (names) => names.reduce((sum, one) => sum + DATA.counts[one], 0);
  const [whole, compared] = [number(DATA.verdicts), number(COMPARED)];
  byId("lead").textContent = DATA.made ? `${DATA.made}.` : "";
  if (!whole) {
    byId("summary").hidden = true;
    return;
  }
  const parts = COMPARED.map((one) => `${DATA.counts[one]} ${one}`).join(", ");
  const big = [el("b", {}, DATA.counts.reproduced.toLocaleString("en")), ` of ${count(whole, "published number")} reproduced`];
  byId("score").replaceChildren(
    el("p", { class: "score" }, big),
    bar(DATA.counts),
    ...(compared && compared < whole ? [lens(compared / whole), bar(Object.fromEntries(COMPARED.map((one) => [one, DATA.counts[one]])))] : []),
    el("p", { class: "quiet" }, `${count(compared, "number")} compared: ${parts}. ${DATA.counts["not comparable"].toLocaleString("en")} not comparable, ${DATA.counts["not run"].toLocaleString("en")} not run.`),
  );
  byId("chips").replaceChildren(...DATA.verdicts.filter((one) => DATA.counts[one]).map(chip));
}

/** Lines from the part of the upper bar to the whole of the lower one. */
function lens(share) {
  const width = Math.max(0.6, 100 * share);
  return svg("svg", { class: "lens", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("polygon", { points: `0,0 ${width},0 100,10 0,10` }));
}

function chip(one) {
  const press = () => {
    const chosen = chosenVerdicts();
    if (!chosen.delete(one)) chosen.add(one);
    change({ verdict: [...chosen].join(",") });
  };
  const attributes = { type: "button", "aria-pressed": "false", class: slug(one), "data-verdict": one, onclick: press };
  return el("button", attributes, mark(one), `${one} `, el("b", {}, DATA.counts[one].toLocaleString("en")));
}
