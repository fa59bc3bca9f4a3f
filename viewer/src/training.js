// Section 1, Training: every chart of it, as a function of the run's record and the view.

import { Figure, element } from "./figure.js";
import { Heatmap, HEATMAP_HELP } from "./heatmap.js";
import { HELP } from "./keys.js";
import { Lines } from "./lines.js";
import { nearest, unpacked } from "./record.js";
import { snapshotCharts } from "./snapshots.js";
import { writingPanel } from "./writing.js";
import { gateName, number, percent } from "./words.js";

const UNSEEN = "No look inside was recorded: probing was off (probe=0), the weights were searched for without a gradient, no step is done yet, or it is on a page of the run's own.";
const COLOURS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const DASHES = [undefined, [7, 4], [2, 4], [9, 3, 2, 3]];

// What a gate does when it is high and when it is low; what is squashed by tanh has two ends alike.
const GATES = {
  i: "High lets the new candidate into the memory, low keeps it out.",
  f: "High keeps the memory, low wipes it. Mostly high is how a network remembers.",
  o: "High shows the memory to the next layer, low hides it.",
  r: "High lets the past take part in the candidate, low leaves it out.",
  z: "High keeps the old state, low takes the candidate.",
  g: "What may be written. At the ends of its tanh it passes next to no gradient.",
  n: "What may be written. At the ends of its tanh it passes next to no gradient.",
};

export function trainingCharts(record, view, say) {
  const run = () => record.runs[view.state.run];
  const layer = () => run().layers[view.state.layer];
  const charts = {};

  function lines(id, title, how, describe, { size, height, controls, onToggle } = {}) {
    const figure = new Figure({ id, title, how, size, controls, keys: HELP });
    charts[id] = new Lines(figure, view, describe, { height, say, onToggle });
    return figure.root;
  }

  const logBox = element("input", { type: "checkbox", id: "loss-log", checked: view.state.logLoss, onchange: (e) => view.set({ logLoss: e.target.checked, chosen: true }) });
  const smoothing = element("input", { type: "range", id: "loss-smooth", min: "0", max: "100", value: String(view.state.smooth), oninput: (e) => view.set({ smooth: Number(e.target.value) }) });
  const parts = [writingPanel(run, charts)];

  parts.push(lines("loss", "Loss", "Lower is better. Thin: each training step; thick: the same, smoothed. Validation rising while training falls is learning by heart.", () => {
    const { loss, epochs, constant } = run(), { step, train, val, best } = epochs;
    if (!loss.step.length && !step.length) return { empty: "No loss is recorded yet: the first step is not done." };
    const smooth = loss.smooth ?? loss, kept = best.lastIndexOf(true), validated = step.map((x, k) => [x, val[k]]).filter(([, y]) => y != null);
    const series = [];
    if (loss.step.length)
      series.push(
        { name: "training, each step", x: loss.step, y: loss.value, colour: "s1", width: 1, alpha: 0.4 },
        { name: "training, smoothed", x: smooth.step, y: smoothed(smooth.value, view.state.smooth), colour: "s1", width: 2.25 },
      );
    else series.push({ name: "lowest so far", x: step, y: train, colour: "s1", width: 2.25 });
    if (validated.length) series.push({ name: "validation, each epoch", x: validated.map(([x]) => x), y: validated.map(([, y]) => y), colour: "s2", width: 2.25 });
    if (kept >= 0 && val[kept] != null) series.push({ name: "best validation", x: [step[kept]], y: [val[kept]], colour: "s3", kind: "dot", size: 10 });
    const all = series.flatMap((s) => s.y).filter((y) => y != null), positive = all.every((y) => y > 0);
    logBox.disabled = !positive;
    const title = kept >= 0 && val[kept] != null ? `Loss: the best validation is ${number(val[kept])}, at step ${number(step[kept])} (epoch ${kept + 1} of ${step.length})` : "Loss by training step";
    return { title, yLabel: "loss", log: positive && view.state.logLoss, series, rules: constant == null ? [] : [{ y: constant, name: "best constant answer", colour: "s6" }] };
  }, { size: "whole", height: 280, controls: [element("label", { for: "loss-smooth" }, "smoothing ", smoothing), element("label", { for: "loss-log" }, logBox, " log")] }));

  parts.push(lines("norm", "Gradient norm", "How steep the loss is for all weights together, before clipping. Ticks at the bottom: steps that were clipped. Spikes are steps that could have thrown the network off.", () => {
    const { grad_norm: norm, clip, clipped, steps } = run();
    if (!norm.value.some((v) => v != null)) return { empty: "No norm of a gradient is recorded: the weights were searched for without one, or no step is done yet." };
    const over = norm.step.filter((_, k) => clip != null && norm.value[k] > clip);
    const title = clip == null ? "Gradient norm: it was not clipped" : clipped ? `Gradient norm: clipped to ${number(clip)} at ${number(clipped)} of ${number(steps)} steps` : `Gradient norm: never above the clip of ${number(clip)}`;
    return { title, yLabel: "norm of the gradient", log: true, series: [{ name: "norm", x: norm.step, y: norm.value, colour: "s1", width: 1.25 }], rules: clip == null ? [] : [{ y: clip, name: "clip", colour: "s2" }], ticks: over.map((x) => ({ x, colour: "s2" })) };
  }));

  parts.push(lines("lr", "Learning rate", "How large a step may be. It should be small at the end; a warm-up rises at the begin.", () => {
    const { lr } = run(), found = lr.value.filter((v) => v != null);
    if (!found.length) return { empty: "No learning rate is recorded: the weights were searched for without one, or no step is done yet." };
    const low = Math.min(...found), high = Math.max(...found);
    const title = low === high ? `Learning rate: ${number(high)} throughout` : `Learning rate: between ${number(low)} and ${number(high)}`;
    return { title, yLabel: "learning rate", log: low > 0 && high / low > 1.5, series: [{ name: "learning rate", x: lr.step, y: lr.value, colour: "s3" }] };
  }));

  const stateBox = element("select", { id: "flow-state", onchange: (e) => view.set({ which: e.target.value }) }, element("option", { value: "grad_norm" }, "hidden state h"), element("option", { value: "grad_norm_c" }, "memory c"));
  const stateLabel = element("label", { for: "flow-state" }, "gradient of ", stateBox);
  const which = () => (layer()?.norms[view.state.which] ? view.state.which : "grad_norm");
  const logs = (name) => (layer().unpacked ??= {})[name] ?? (layer().unpacked[name] = unpacked(layer().norms[name]));
  const flow = new Figure({ id: "flow", title: "The gradient through time", how: "", size: "wide", controls: [stateLabel], keys: HEATMAP_HELP });
  charts.flow = new Heatmap(flow, view, () => {
    const seen = layer();
    stateLabel.hidden = !seen?.norms.grad_norm_c;
    if (!seen) return { title: "The gradient through time", how: "", empty: UNSEEN };
    stateBox.value = which();
    const reach = seen.horizon?.at(-1);
    return {
      title: `Gradient through time in ${seen.name}: at the end it reaches ${reach >= seen.steps ? `all ${number(seen.steps)}` : `${number(reach)} of ${number(seen.steps)}`} steps back`,
      how: "Each column is one look inside during training, from the end of the sequence (bottom) back to its begin (top). Bright: what happened there still moves the weights; black: it can't be learnt from. Above the memory horizon the gradient is below a thousandth of that at lag 0. Bright growing upwards is an explosion. The last column is the network that was kept. Click a column for its profile.",
      at: seen.at, lags: seen.lags, logs: logs(which()), horizon: seen.horizon ?? seen.at.map(() => null), steps: seen.steps,
    };
  }, { height: 340, say });
  parts.push(flow.root);

  parts.push(lines("profile", "One step's profile by lag", "The same numbers as one line: flat is a long memory, steep downwards is vanishing, upwards is exploding.", () => {
    const seen = layer();
    if (!seen) return { empty: "No look inside was recorded, so there is no profile to show." };
    const { at, lags } = seen, column = view.state.pinned == null ? at.length - 1 : nearest(at, view.state.pinned), high = lags.length;
    const values = (name, k) => [...logs(name).subarray(k * high, (k + 1) * high)].map((log) => (Number.isNaN(log) ? null : 10 ** log));
    const series = [{ name: `first, step ${number(at[0])}`, x: lags, y: values(which(), 0), colour: "s6", dash: DASHES[2] }];
    if (column < at.length - 1) series.push({ name: `last, step ${number(at.at(-1))}`, x: lags, y: values(which(), at.length - 1), colour: "s3", dash: DASHES[1] });
    series.push({ name: `h, step ${number(at[column])}`, x: lags, y: values("grad_norm", column), colour: "s2", width: 2.5 });
    if (seen.norms.grad_norm_c) series.push({ name: `c, step ${number(at[column])}`, x: lags, y: values("grad_norm_c", column), colour: "s4", width: 1.75 });
    return { title: `Gradient by lag at step ${number(at[column])}${column < at.length - 1 ? ", beside the first and the last look" : ", the last look, beside the first"}`, yLabel: "norm of the gradient", xLabel: "lag (steps back)", log: true, own: true, series };
  }, { size: "side", height: 300 }));

  parts.push(gateGroup(view, layer, charts, say));

  parts.push(lines("stability", "What one step does to a gradient", "Around 1 a gradient keeps its size from step to step; well below it fades, well above it grows. The lines are means over several steps of a sequence, the bands hold the middle 90 % of them.", () => {
    const seen = layer();
    if (!seen) return { empty: UNSEEN };
    const series = [
      ["jacobian_radius", "spectral radius of the step's Jacobian", "s1"],
      ["jacobian_norm", "its norm: the most a step can stretch", "s5"],
      ["radius", "spectral radius of W_hh", "s4"],
    ].filter(([key]) => seen[key]).map(([key, name, paint]) => ({ name, x: seen.at, y: seen[key], colour: paint, dash: key === "jacobian_norm" ? DASHES[1] : undefined }));
    if (!series.length) return { empty: "The step's Jacobian was not recorded: it is left out for a state of more than 512 numbers." };
    const end = (seen.jacobian_radius ?? seen.radius).at(-1), bands = [];
    for (const [key, word, paint] of [["jacobian_radius_band", "radius", "s1"], ["jacobian_norm_band", "norm", "s5"]]) {
      if (!seen[key]) continue;
      const names = ["5th", "95th"].map((which) => `${word}, ${which} percentile`);
      names.forEach((name, k) => series.push({ name, x: seen.at, y: seen[key][k], colour: paint, width: 0.75, alpha: 0.5, quiet: true }));
      bands.push({ low: names[0], high: names[1], colour: paint });
    }
    return { title: `Stability: one step of ${seen.name} changes a gradient ${number(end)}-fold at the end`, yLabel: "factor a step", log: true, series, bands, rules: [{ y: 1, name: "neither grows nor fades" }] };
  }));

  const hidden = new Set();
  parts.push(lines("updates", "Size of a step beside the weights", "About 0.001 (the rule) is usual. Far above, the steps are too large; far below, that weight hardly learns. A click on a name hides its line.", () => {
    const { step, ratios } = run().updates, names = Object.keys(ratios);
    if (!names.length) return { empty: UNSEEN };
    const series = names.map((name, k) => ({ name, x: step, y: ratios[name], colour: COLOURS[k % 6], dash: DASHES[Math.floor(k / 6) % 4], on: !hidden.has(name) }));
    const known = step.findLastIndex((_, k) => names.some((name) => ratios[name][k] != null)), last = names.map((name) => ratios[name][known]).filter((v) => v != null).sort((a, b) => a - b);
    return { title: `Size of a step beside the weights: the median is ${number(last[last.length >> 1])} at step ${number(step[known])}`, yLabel: "size of the update / size of the weight", log: true, series, rules: [{ y: 1e-3, name: "usual" }] };
  }, { onToggle: (name) => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); charts.updates.redraw(); } }));

  parts.push(lines("units", "Units that do nothing", "Dead units never move; stuck ones lie at an end of their tanh nearly always. Both should be few.", () => {
    const seen = layer();
    if (!seen?.dead) return { empty: UNSEEN };
    const top = Math.max(...seen.dead, ...(seen.stuck ?? [0]));
    return { title: `Units of ${seen.name}: ${percent(seen.dead.at(-1))} dead and ${percent(seen.stuck?.at(-1))} stuck at the end`, yLabel: "share of units", names: percent, format: percent, yRange: [0, Math.max(0.05, Math.min(1, 1.1 * top))],
      series: [{ name: "dead", x: seen.at, y: seen.dead, colour: "s6", dash: DASHES[1] }, { name: "stuck", x: seen.at, y: seen.stuck ?? seen.at.map(() => null), colour: "s2" }] };
  }));

  parts.push(lines("rank", "Effective rank of the states", "How many directions the states really span. Far fewer than there are units: a smaller network would do, or this one has not found out yet.", () => {
    const seen = layer();
    if (!seen?.rank) return { empty: UNSEEN };
    return { title: `Effective rank: the states of ${seen.name} span ${number(seen.rank.at(-1))} of ${number(seen.units)} directions`, yLabel: "directions", least: 2, series: [{ name: "effective rank", x: seen.at, y: seen.rank, colour: "s1" }] };
  }));

  parts.push(...snapshotCharts(record, view, charts, say));
  return { charts, parts };
}

// In a minimal GRU it is the other way round than in a GRU.
const MINIMAL = { z: "High takes the candidate, low keeps the old state." };

// A row of small multiples, a gate each; what gates there are depends on the cell.
function gateGroup(view, layer, charts, say) {
  const heading = element("h3", {}, "Gates: how often each is at one of its ends");
  const how = element("p", { class: "how" }, "Of all units and steps of the probed sequences, the shares that are low (below 0.1), between, and high (above 0.9; a candidate's ends are −0.97 and 0.97). A gate that is at one end nearly always passes next to no gradient.");
  const why = element("p", { class: "missing" });
  const row = element("div", { class: "gates" });
  const root = element("div", { class: "group", id: "chart-gates" }, heading, how, why, row);
  let drawn = "";
  charts.gates = {
    get data() {
      return layer()?.gates ?? {};
    },
    redraw() {
      const seen = layer(), letters = Object.keys(seen?.gates ?? {});
      why.textContent = !seen ? UNSEEN : letters.length ? "" : seen.cell === "RNN" ? "A simple network (RNN) has no gates." : `No gate was recorded of this layer (${seen.cell}).`;
      why.hidden = Boolean(letters.length);
      how.hidden = !letters.length;
      if (letters.join() !== drawn) {
        for (const id of Object.keys(charts)) if (id.startsWith("gates-")) delete charts[id];
        row.replaceChildren(...letters.map((letter) => gate(letter)));
        drawn = letters.join();
      }
      for (const letter of letters) charts[`gates-${letter}`].redraw();
    },
    zoomed() {
      for (const letter of Object.keys(layer()?.gates ?? {})) charts[`gates-${letter}`].zoomed();
    },
    follow() {
      for (const letter of Object.keys(layer()?.gates ?? {})) charts[`gates-${letter}`].follow();
    },
  };

  function gate(letter) {
    const id = `gates-${letter}`, name = gateName(letter), meaning = (layer().cell === "MinGRU" && MINIMAL[letter]) || GATES[letter] || "";
    const figure = new Figure({ id, title: name, how: meaning, size: "gate", keys: HELP });
    charts[id] = new Lines(figure, view, () => {
      const { at, gates } = layer(), [low, high] = gates[letter], mid = at.map((_, k) => 1 - low[k] - high[k]);
      // One look alone is a point, which has no area: make it a bar.
      const wide = at.length > 1 ? [at, low, mid, high] : [[view.state.whole[0], view.state.whole[1]], ...[low, mid, high].map((s) => [s[0], s[0]])];
      const [x, a, b, c] = wide;
      return {
        title: `${name}: ${percent(low.at(-1))} low, ${percent(high.at(-1))} high at the end`, how: meaning,
        yLabel: "share of units and steps", names: percent, format: percent, yRange: [0, 1],
        series: [
          { name: "high", x, y: c, drawn: x.map(() => 1), colour: "high", kind: "area" },
          { name: "between", x, y: b, drawn: x.map((_, k) => a[k] + b[k]), colour: "between", kind: "area" },
          { name: "low", x, y: a, colour: "low", kind: "area" },
        ],
      };
    }, { height: 170, say });
    return figure.root;
  }
  return root;
}

// A moving average whose past fades with a length that grows with the slider, without the pull of its begin.
export function smoothed(values, slider) {
  if (!slider) return [...values];
  const keep = 1 - 1 / (1 + (slider / 100) ** 2 * values.length * 0.25);
  let sum = 0, weight = 0;
  return values.map((value) => {
    if (value == null) return null;
    sum = keep * sum + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return sum / weight;
  });
}

