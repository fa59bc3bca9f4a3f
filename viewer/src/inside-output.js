// S11, the output over time: probabilities and what came, or forecasts with their intervals.

import { element } from "./figure.js";
import { visible } from "./inside-data.js";
import { number, percent } from "./words.js";
import { Bars } from "./bars.js";

const COLOURS = ["s1", "s2", "s3", "s4", "s5", "s6"];

export function outputPanel(room) {
  const { seen } = room;
  return seen.kind === "classes" ? classes(room) : [values(room)];
}

function classes(room) {
  const { seen, view } = room, parts = [];
  const n = () => view.state.sequence, at = (t) => n() * seen.answers + t - seen.first;
  const right = (t) => (t < seen.first || !seen.truth ? null : seen.truth.values[at(t)]);
  if (seen.surprisal) {
    const bits = () => Array.from({ length: seen.steps }, (_, t) => (t < seen.first ? null : seen.surprisal.values[at(t)]));
    const describe = () => {
      const all = bits(), known = all.filter((v) => v != null && !Number.isNaN(v));
      const mean = known.reduce((a, b) => a + b, 0) / Math.max(1, known.length), worst = all.findIndex((v) => v === Math.max(...known));
      return {
        title: `Surprise: ${number(mean)} bits a step on average, most after ${seen.spot(n(), Math.max(0, worst))} (${number(Math.max(...known))} bits)`,
        how: "How unlikely the network thought what really came next: 0 bits is certain, 1 bit like a coin, 5 bits one of 32. The stronger the colour, the greater the surprise.",
        all,
      };
    };
    const note = (t) => (right(t) == null || Number.isNaN(right(t)) ? `after ${seen.spot(n(), t)}: nothing is known to have come` : `after ${seen.spot(n(), t)} came ${visible(seen.outputs[right(t)])}: ${number(bits()[t])} bits`);
    if (seen.isText)
      parts.push(room.strip("inside-output", () => {
        const { title, how, all } = describe();
        return { title, how, words: Array.from({ length: seen.steps }, (_, t) => seen.word(n(), t)), values: all, range: [0, 8], ramp: "warm", note };
      }, { size: "wide" }));
    else
      parts.push(room.lines("inside-output", () => {
        const { title, how, all } = describe();
        return { title, how, yLabel: "surprise (bits)", series: [{ name: "surprise", x: all.map((_, t) => t), y: all.map((v) => (v == null || Number.isNaN(v) ? null : v)), colour: "s2" }] };
      }, { size: "wide" }));
  }
  const figure = room.figure("inside-top", { size: seen.surprisal ? "side" : "half" });
  parts.push(room.add("inside-top", new Bars(figure, () => {
    const t = view.state.t, count = seen.top.shape[2];
    if (t < seen.first) return { title: "Likeliest outputs", empty: "At this step there is no output yet." };
    const items = Array.from({ length: count }, (_, k) => {
      const id = seen.top.values[at(t) * count + k];
      return { name: visible(seen.outputs[id]), value: seen.top_share.values[at(t) * count + k], strong: id === right(t) };
    });
    return { title: `After ${seen.spot(n(), t)}: most likely ${items[0].name} (${percent(items[0].value)})`, how: `The likeliest outputs at the cursor.${seen.truth ? " What really came is marked, where it is among them." : ""}`, items, format: percent, least: 1 };
  }), ["t"]));
  if (seen.output_values && seen.outputs.length <= 12 && (seen.answers > 1 || seen.along))
    parts.push(room.lines("inside-classes", () => {
      const series = seen.outputs.map((name, k) => ({ name: visible(name), x: Array.from({ length: seen.steps }, (_, t) => t), y: seen.output(n(), k), colour: COLOURS[k % 6], dash: k < 6 ? undefined : [5, 4] }));
      const last = series.map((s) => s.y.at(-1)), best = last.indexOf(Math.max(...last));
      return { title: `Probability of each output: at the end ${series[best].name} has ${percent(last[best])}`, how: "How the network's mind changes while it reads.", yLabel: "probability", yRange: [0, 1], names: percent, format: percent, series };
    }, { size: "whole" }));
  return parts;
}

function values(room) {
  const { seen, view } = room, n = () => view.state.sequence;
  return room.lines("inside-output", () => {
    const x = Array.from({ length: seen.steps }, (_, t) => t), truth = seen.known(n()), series = [], bands = [];
    const low = seen.outputs.map((name, k) => [k, /^([\d.]+) % quantile$/.exec(name)?.[1]]).filter(([, q]) => q != null).map(([k, q]) => [k, Number(q)]);
    const pairs = low.filter(([, q]) => q < 50).map(([k, q]) => [k, low.find(([, other]) => Math.abs(other + q - 100) < 1e-6)?.[0], q]).filter(([, other]) => other != null);
    const banded = new Set(pairs.flatMap(([a, b]) => [a, b]));
    seen.outputs.forEach((name, k) => {
      const own = k > 0 && low.some(([at]) => at === k);
      series.push({ name, x, y: seen.output(n(), k), colour: own ? "s1" : COLOURS[k % 6], width: own ? 0.75 : 2.25, alpha: own ? 0.5 : 1, quiet: banded.has(k) && pairs.length > 2 });
    });
    pairs.forEach(([a, b]) => bands.push({ low: seen.outputs[a], high: seen.outputs[b], colour: "s1", alpha: 0.12 }));
    if (seen.first && !seen.isText && !seen.along) series.push({ name: `${seen.inputs[0]}, as read`, x, y: seen.series(n(), 0), colour: "ink", width: 1.25 });
    if (truth) series.push({ name: "what came", x, y: truth, colour: "ink", dash: [2, 4], width: 1.5 });
    const off = truth ? seen.output(n(), 0).map((v, t) => (v == null || truth[t] == null ? null : Math.abs(v - truth[t]))).filter((v) => v != null) : [];
    const mean = off.reduce((a, b) => a + b, 0) / off.length;
    return {
      title: off.length ? `Output: ${seen.outputs[0]} is off by ${number(mean)} ${off.length === 1 ? "at the end" : `on average over ${off.length} steps`}` : `Output: ${seen.outputs[0]} over ${seen.answers} steps`,
      how: pairs.length ? "What the network gave: the line is its forecast, the shades are its own quantiles, before they are calibrated on the validation part. Dotted is what came." : "What the network gave at each step, and what came.",
      yLabel: seen.unit || "value", series, bands,
    };
  }, { size: "whole", height: 230 });
}
