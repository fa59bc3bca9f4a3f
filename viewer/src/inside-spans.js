// S8, from a span to its units to similar spans (after LSTMVis, Strobelt et al. 2018): which units are on inside the span and off just
// around it, and where else the state looks the same.

import { element } from "./figure.js";
import { Snippets } from "./inside-snippets.js";
import { inSteps, number } from "./words.js";

const SIMILAR = 8;

export function spanPanel(room) {
  const { seen, view } = room, layer = room.layer;
  const limits = () => layer().h.values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const slider = element("input", { type: "range", id: "inside-threshold", min: "0", max: "100", oninput: () => view.set({ threshold: limits()[0] + (Number(slider.value) / 100) * (limits()[1] - limits()[0]) }) });
  const said = element("output", { for: "inside-threshold" });
  const threshold = () => view.state.threshold ?? onFrom(layer());
  const drag = "No span is chosen: drag across a raster or a line above.";

  const none = element("button", { type: "button", onclick: () => view.set({ span: null }) }, "No span");

  const found = room.raster("inside-span", () => {
    const span = view.state.span, [low, high] = limits();
    slider.value = String(Math.round((100 * (threshold() - low)) / (high - low || 1)));
    said.textContent = inSteps(threshold(), 0.01);
    none.disabled = !span;
    if (!span) return { title: "Units of a span", empty: drag };
    const units = unitsOf(layer(), view.state.sequence, span, threshold()), n = view.state.sequence;
    const words = seen.isText ? `“${Array.from({ length: span[1] - span[0] + 1 }, (_, k) => seen.place(n, span[0] + k)).join(seen.glue)}”` : `${seen.place(n, span[0])} to ${seen.place(n, span[1])}`;
    if (!units.length) return { title: `Span ${words}: no unit`, empty: `No unit stays above ${inSteps(threshold(), 0.01)} in all of ${words} and is below it just before and after. Choose a lower threshold or another span.` };
    const top = Math.max(Math.abs(low), Math.abs(high)), from = Math.max(0, span[0] - 10), to = Math.min(seen.steps - 1, span[1] + 10);
    return {
      title: `Span ${words}: ${units.length} of ${layer().size} units are on inside and off around it`, how: "The units whose hidden state stays above the threshold in the whole span and is below it just before and just after: candidates for what the network notes there.",
      columns: to - from + 1, rows: units.length, value: (column, row) => layer().at(layer().h, n, from + column, units[row]), range: [-top, top], ramp: "diverging", yLabel: "unit", unit: "h",
      columnName: (c) => seen.place(n, from + c), rowName: (row) => room.unitName(units[row]), uprights: [{ at: span[0] - from }, { at: span[1] - from + 1 }],
      here: () => ({ column: view.state.t >= from && view.state.t <= to ? view.state.t - from : null, row: units.includes(view.state.unit) ? units.indexOf(view.state.unit) : null }),
      to: (column, row) => ({ t: from + column, unit: units[row] }), units,
    };
  }, { anew: ["span", "threshold"], spans: false, height: 240 });
  // Not among the tools, which go where there is nothing to draw: another threshold may find something.
  found.firstChild.after(element("p", { class: "how span-tools" }, element("label", { for: "inside-threshold" }, "on above ", slider, " ", said), none));

  const figure = room.figure("inside-similar", {});
  const similar = room.add("inside-similar", new Snippets(figure, room, () => {
    const span = view.state.span, n = view.state.sequence;
    if (!span) return { title: "Similar spans", empty: drag };
    const items = similarSpans(seen, layer(), n, span);
    if (!items.length) return { title: "Similar spans", empty: "The span is as long as the sequences: there is nowhere else to look." };
    return { title: `Similar spans: the likest has a cosine of ${number(items[0].value)}, in ${seen.labels[items[0].sequence]}`, how: `Stretches of the same length in the ${layer().wide.shape[0]} recorded sequences in which the mean state of all units is most like that of the span: 1 is the same pattern, 0 an unrelated one. Each unit's own mean is taken off first. ${seen.count < seen.labels.length ? "A click opens those that are shown in full." : "A click goes there."}`, items, word: "cosine" };
  }), ["span"]);
  return [found, similar];
}

// From where on a unit counts as on, if nobody chose another threshold: three fifths of the way from the lowest to the highest.
export function onFrom(layer) {
  const [low, high] = layer.h.values.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  return low + 0.6 * (high - low);
}

export function unitsOf(layer, n, [from, to], threshold) {
  const T = layer.h.shape[1], on = (t, u) => layer.at(layer.h, n, t, u) >= threshold;
  return layer.kept.map((_, u) => u).filter((u) => {
    for (let t = from; t <= to; t++) if (!on(t, u)) return false;
    return (from === 0 || !on(from - 1, u)) && (to === T - 1 || !on(to + 1, u)) && (from > 0 || to < T - 1);
  });
}

// The windows of the same length whose mean state has the highest cosine with that of the span; none overlaps another, or the span.
export function similarSpans(seen, layer, n, [from, to]) {
  const { shape: [M, T, H], values } = layer.wide, long = to - from + 1, mean = new Float64Array(H);
  for (let i = 0; i < values.length; i++) mean[i % H] += values[i] / (M * T);
  const state = (sequence, start) => {
    const sum = new Float64Array(H);
    for (let t = start; t < start + long; t++) for (let u = 0; u < H; u++) sum[u] += values[(sequence * T + t) * H + u] - mean[u];
    return sum;
  };
  const asked = state(n, from), size = (v) => Math.sqrt(v.reduce((a, x) => a + x * x, 0)), own = size(asked), all = [];
  for (let sequence = 0; sequence < M; sequence++) {
    const sum = state(sequence, 0);
    for (let start = 0; start + long <= T; start++) {
      if (start) for (let u = 0; u < H; u++) sum[u] += values[(sequence * T + start + long - 1) * H + u] - values[(sequence * T + start - 1) * H + u];
      const apart = sequence !== n || start > to || start + long - 1 < from;
      if (apart) all.push({ sequence, from: start, to: start + long - 1, value: sum.reduce((a, x, u) => a + x * asked[u], 0) / (own * size(sum) || 1) });
    }
  }
  all.sort((a, b) => b.value - a.value);
  const picked = [];
  for (const one of all) {
    if (picked.length === SIMILAR) break;
    if (!picked.some((p) => p.sequence === one.sequence && p.from <= one.to && one.from <= p.to)) picked.push(one);
  }
  return picked;
}
