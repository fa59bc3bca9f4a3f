// The charts of what a run kept as arrays at a few steps, and the slider that goes through these steps. They follow the cursor
// that all charts share: what is shown is the snapshot that is nearest to it, without a cursor the last one.

import { axisBelow, axisBeside, Drawing, DRAWING_HELP } from "./drawing.js";
import { element, Figure } from "./figure.js";
import { HIGH, LOW } from "./heatmap.js";
import { HELP } from "./keys.js";
import { Lines } from "./lines.js";
import { nearest, unpacked } from "./record.js";
import { samplesChart } from "./samples.js";
import { colour, inferno } from "./theme.js";
import { number, percent, power } from "./words.js";

const NONE = "No snapshot was kept: probing was off (probe=0), the run has no folder, or they are on a page of the run's own.";
const NAMES = { h: "h", c: "c", W_hh: "the weights W_hh", h_bar: "h before its tanh" };
const BINS = 48;

export function snapshotCharts(record, view, charts, say) {
  const run = () => record.runs[view.state.run];
  const all = () => run().snapshots ?? [];
  const steps = () => all().map((snapshot) => snapshot.step);
  const index = () => (view.state.step == null ? all().length - 1 : nearest(steps(), view.state.step));
  const name = () => run().layers[view.state.layer]?.name;
  const layer = (snapshot = all()[index()]) => snapshot?.layers[name()];
  const made = () => `${view.state.run} ${view.state.layer} ${steps()[index()]}`;
  const move = (by) => {
    const at = steps(), to = Math.min(at.length - 1, Math.max(0, index() + by));
    if (at.length) view.set({ step: at[to] });
  };
  const parts = [];

  function drawing(id, size, describe, controls) {
    const figure = new Figure({ id, title: id, how: "", size, controls, keys: DRAWING_HELP });
    charts[id] = new Drawing(figure, view, () => ({ anew: made, made: made(), ...describe() }), { move, say });
    parts.push(figure.root);
  }
  const empty = (of) => (!all().length ? NONE : !layer() ? `The snapshot at step ${number(steps()[index()])} holds nothing of this layer.` : of(layer()));

  parts.push(bar(view, steps, index, move, charts));

  drawing("itemised", "half", () => {
    const why = empty((seen) => (seen.itemised ? "" : "The itemised gradient of this layer was not recorded: its input was packed.")), title = "Itemised gradient";
    if (why) return { title, empty: why };
    const { sources, targets } = layer(), logs = (layer().logs ??= unpacked(layer().itemised)), wide = sources.length;
    const rows = targets.map((_, k) => [...logs.subarray(k * wide, (k + 1) * wide)]);
    const reach = targets.map((t, k) => {
      const best = Math.max(...rows[k].filter((v) => !Number.isNaN(v)));
      return Math.max(...sources.map((s, j) => (rows[k][j] >= best - 3 ? Math.abs(t - s) : 0)));
    });
    const far = Math.max(...reach);
    return {
      title: `Itemised gradient in ${name()} at step ${number(steps()[index()])}: a state depends on what was read up to ${number(far)} steps away`,
      how: "A row is one step of the sequence: how strongly the state there depends on what was read at that step (the diagonal) and at those before it. Bright far from the diagonal is a long memory. The number in the title counts down to a thousandth of a row's brightest.",
      height: (width) => Math.min(380, width * 0.8) + 70,
      label: "target step: whose state it is",
      paint(c, width, height, marks) {
        const left = 44, top = 26, right = width - 10, bottom = height - 44, w = (right - left) / wide, h = (bottom - top) / targets.length;
        rows.forEach((row, k) => row.forEach((log, j) => {
          if (!Number.isFinite(log)) return; // no step depends on a later one
          c.fillStyle = rgb((log - LOW) / (HIGH - LOW));
          c.fillRect(left + j * w, top + k * h, w + 0.5, h + 0.5);
          marks.push({ x: left + j * w, y: top + k * h, width: w, height: h, text: `step ${number(targets[k])} from step ${number(sources[j])}: ${number(10 ** log)}` });
        }));
        frame(c, left, top, right, bottom);
        axisBelow(c, spaced(sources.length, 7).map((j) => [j, number(sources[j])]), (j) => left + (j + 0.5) * w, bottom, left, right, "source step: where it was read");
        axisBeside(c, spaced(targets.length, 7).map((k) => [k, number(targets[k])]), (k) => top + (k + 0.5) * h, left);
        ramp(c, right, `norm ≤ ${power(LOW)}`, `≥ ${power(HIGH)}`);
      },
      data: { step: steps()[index()], sources: [...sources], targets: [...targets], log10: rows },
      table: () => ({ columns: ["target step", "reaches back to a thousandth", ...spaced(wide, 6).map((j) => `source ${number(sources[j])}`)], rows: targets.map((t, k) => [number(t), `${number(reach[k])} steps`, ...spaced(wide, 6).map((j) => number(10 ** rows[k][j]))]) }),
    };
  });

  drawing("eigenvalues", "half", () => {
    const why = empty((seen) => (Object.keys(seen.eigenvalues).length ? "" : "No eigenvalues were recorded: the state has more than 512 numbers, or its trace does not tell it whole.")), title = "Eigenvalues";
    if (why) return { title, empty: why };
    const points = eigenvalues(layer().eigenvalues), top = Math.max(...points.map((p) => p.size));
    const groups = [...new Map(points.map((p) => [p.of, p.paint])).entries()], grows = points.filter((p) => p.size > 1).length;
    return {
      title: `Eigenvalues in ${name()} at step ${number(steps()[index()])}: the largest is ${number(top)} from the centre, ${grows ? `${number(grows)} of ${number(points.length)} lie outside the circle` : "all lie inside the circle"}`,
      how: "What one step does to a small change of the state. A dot is one direction: inside the circle of radius 1 it fades from step to step, outside it grows, on it it lasts. Away from the horizontal line it also turns.",
      legend: groups.map(([of, paint]) => ({ name: of, colour: colour(paint), kind: "dot" })),
      label: "imaginary part",
      height: (width) => Math.min(430, width * 0.9) + 30,
      paint(c, width, height, marks) {
        const far = 1.12 * Math.max(1, top), left = 44, right = width - 10, up = 8, bottom = height - 44;
        const unit = Math.min((right - left) / 2, (bottom - up) / 2) / far, cx = (left + right) / 2, cy = (up + bottom) / 2;
        const wide = (right - left) / 2 / unit, high = (bottom - up) / 2 / unit;
        c.strokeStyle = colour("grid");
        c.lineWidth = 1;
        line(c, left, cy, right, cy);
        line(c, cx, up, cx, bottom);
        frame(c, left, up, right, bottom);
        c.strokeStyle = colour("muted");
        c.setLineDash([4, 4]);
        c.lineWidth = 1.5;
        c.beginPath();
        c.arc(cx, cy, unit, 0, 2 * Math.PI);
        c.stroke();
        c.setLineDash([]);
        for (const p of points) {
          const x = cx + p.re * unit, y = cy - p.im * unit;
          c.globalAlpha = 0.8;
          c.fillStyle = c.strokeStyle = colour(p.paint);
          c.lineWidth = 1.75;
          c.beginPath();
          if (p.hollow) c.strokeRect(x - 3, y - 3, 6, 6);
          else c.arc(x, y, 3.2, 0, 2 * Math.PI);
          c.fill();
          c.globalAlpha = 1;
          marks.push({ x, y, text: `${number(p.re)} ${p.im < 0 ? "−" : "+"} ${number(Math.abs(p.im))}i, ${number(p.size)} from the centre, ${p.of}` });
        }
        axisBelow(c, ticks(-wide, wide, 5).map((v) => [v, number(v)]), (v) => cx + v * unit, bottom, left, right, "real part");
        axisBeside(c, ticks(-high, high, 5).map((v) => [v, number(v)]), (v) => cy - v * unit, left);
      },
      data: { step: steps()[index()], points: points.map(({ re, im, of }) => ({ re, im, of })) },
      table: () => ({ columns: ["of", "real", "imaginary", "from the centre"], rows: [...points].sort((a, b) => b.size - a.size).map((p) => [p.of, number(p.re), number(p.im), number(p.size)]) }),
    };
  });

  drawing("unit-gates", "whole", () => {
    const why = empty((seen) => (Object.keys(seen.gates).length ? "" : run().layers[view.state.layer].cell === "RNN" ? "A simple network (RNN) has no gates." : "No gate was recorded of this layer.")), title = "Units at the ends of their gates";
    if (why) return { title, empty: why };
    const gates = Object.entries(layer().gates).map(([letter, [low, high]]) => ({ letter, low: shares(low), high: shares(high) }));
    const worst = gates.flatMap(({ letter, low, high }) => low.map((share, unit) => ({ letter, unit, share: Math.max(share, high[unit]) }))).sort((a, b) => b.share - a.share)[0];
    return {
      title: `Units at the ends of their gates in ${name()} at step ${number(steps()[index()])}: most of all unit ${worst.unit} of gate ${worst.letter}, ${percent(Math.round(100 * worst.share) / 100)} of the time`,
      how: "A dot is one unit. Far right: its gate is low (below 0.1) nearly always; far up: high (above 0.9) nearly always; at the lower left it works in between. On the slanted line it is always at one end or the other. A candidate's ends are −0.97 and 0.97.",
      label: "share of steps and sequences at the high end",
      height: (width) => Math.ceil(gates.length / across(gates.length, width)) * FACET + 10,
      paint(c, width, height, marks) {
        const many = across(gates.length, width), wide = width / many;
        gates.forEach(({ letter, low, high }, k) => {
          const x0 = (k % many) * wide, y0 = Math.floor(k / many) * FACET, left = x0 + 46, right = x0 + wide - 14, top = y0 + 26, bottom = y0 + FACET - 44;
          const x = (share) => left + share * (right - left), y = (share) => bottom - share * (bottom - top);
          c.fillStyle = colour("ink");
          c.textAlign = "left";
          c.textBaseline = "top";
          c.fillText(`Gate ${letter}`, left, y0 + 6);
          frame(c, left, top, right, bottom);
          c.strokeStyle = colour("grid");
          line(c, x(0), y(1), x(1), y(0));
          low.forEach((share, unit) => {
            const mark = { x: x(share), y: y(high[unit]), text: `gate ${letter}, unit ${unit}: ${percent(share)} low, ${percent(high[unit])} high`, pick: () => view.set({ unit }) };
            marks.push(mark);
            const pinned = view.state.unit === unit;
            c.globalAlpha = pinned ? 1 : 0.55;
            c.fillStyle = colour(pinned ? "s2" : "s1");
            c.beginPath();
            c.arc(mark.x, mark.y, pinned ? 5 : 3.5, 0, 2 * Math.PI);
            c.fill();
            c.globalAlpha = 1;
          });
          axisBelow(c, [0, 0.5, 1].map((v) => [v, percent(v)]), x, bottom, left - 12, right + 12, "share at the low end");
          axisBeside(c, [0, 0.5, 1].map((v) => [v, percent(v)]), y, left);
        });
      },
      data: { step: steps()[index()], gates: Object.fromEntries(gates.map(({ letter, low, high }) => [letter, { low, high }])) },
      table: () => ({ columns: ["unit", ...gates.flatMap(({ letter }) => [`${letter} low`, `${letter} high`])], rows: gates[0].low.map((_, unit) => [String(unit), ...gates.flatMap(({ low, high }) => [percent(low[unit]), percent(high[unit])])]) }),
    };
  });

  const tensor = element("select", { id: "histogram-of", onchange: () => charts.histograms.redraw() });
  const ridge = element("button", { type: "button", id: "ridge", "aria-pressed": "false", onclick: () => {
    ridge.setAttribute("aria-pressed", String(ridge.getAttribute("aria-pressed") !== "true"));
    charts.histograms.redraw();
  } }, "Ridges");
  drawing("histograms", "half", () => {
    const kept = all().filter((snapshot) => layer(snapshot)), known = Object.keys(layer(kept.at(-1))?.histograms ?? {});
    const title = "Values over training";
    if (!known.length) return { title, empty: all().length ? "The snapshots hold no histogram of this layer." : NONE };
    const before = tensor.value;
    tensor.replaceChildren(...known.map((what) => element("option", { value: what }, `of ${called(what)}`)));
    tensor.value = known.includes(before) ? before : known[0];
    const what = tensor.value, { at, limit, shares: rows } = histograms(kept, (snapshot) => layer(snapshot).histograms[what]);
    const ridges = ridge.getAttribute("aria-pressed") === "true", now = nearest(at, steps()[index()]), half = middle(rows[now], limit);
    const value = (bin) => -limit + ((bin + 0.5) * 2 * limit) / BINS;
    return {
      title: `Values of ${called(what)} in ${name()}: at step ${number(at[now])} half of them lie between ${number(half[0], 2)} and ${number(half[1], 2)}`,
      how: ridges ? "One curve a snapshot, the first at the bottom: how often each value occurs. A heap at either end is a unit stuck there." : "A column is one snapshot: how often each value occurs, the brighter the more often. Bright edges are values stuck at the ends; a thin line in the middle is a tensor that does nothing.",
      label: ridges ? "snapshot (training step)" : "value", zooms: !ridges, height: 300,
      paint: (c, width, height, marks) => (ridges ? drawRidges : drawColumns)(c, width, height, marks, { at, rows, limit, value, now, range: view.state.range ?? view.state.whole, what: called(what) }),
      data: { what, at, limit, shares: rows },
      table: () => ({ columns: ["training step", ...spaced(BINS, 9).map((bin) => `around ${number(value(bin), 2)}`)], rows: at.map((step, k) => [number(step), ...spaced(BINS, 9).map((bin) => percent(rows[k][bin]))]) }),
    };
  }, [element("label", { for: "histogram-of" }, tensor), ridge]);

  const growth = new Figure({ id: "lyapunov", title: "Growth of the gradient a step", how: "The mean change of the gradient's logarithm for each step back, over the whole sequence (a finite-time Lyapunov exponent). At 0 a gradient lasts; at −0.1 it is a tenth after 23 steps.", keys: HELP });
  charts.lyapunov = new Lines(growth, view, () => {
    const seen = run().layers[view.state.layer];
    if (!seen?.lyapunov) return { empty: "The growth of the gradient was not recorded: no look inside was, or the sequence has a single step." };
    const end = seen.lyapunov.filter((v) => v != null).at(-1);
    return { title: `Growth of the gradient in ${seen.name}: ten steps back it is ${number(Math.exp(10 * end))} times what it was, at the end of training`, yLabel: "mean growth of the logarithm a step", series: [{ name: "growth", x: seen.at, y: seen.lyapunov, colour: "s1" }], rules: [{ y: 0, name: "neither grows nor fades" }], least: 0.05 };
  }, { say });
  parts.push(growth.root);

  parts.push(samplesChart(view, charts, { all, steps, index, made: () => `${view.state.run} ${steps()[index()]}`, move, say, none: NONE }));
  return parts;
}

const FACET = 250;
const across = (count, width) => Math.max(1, Math.min(count, Math.floor(width / 240)));
const called = (what) => NAMES[what] ?? `${what.replace("_bar", "")} before its squashing`;
const rgb = (share) => `rgb(${inferno(share).join(",")})`;

// A row above the charts: which snapshot is shown, a slider through them, and a button that plays them.
function bar(view, steps, index, move, charts) {
  const slider = element("input", { type: "range", id: "snapshot", min: "0", "aria-label": "Snapshot", oninput: () => view.set({ step: steps()[Number(slider.value)] }) });
  const readout = element("output", { for: "snapshot" });
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const play = element("button", { type: "button", id: "snapshot-play", onclick: () => {
    if (timer) return stop();
    if (index() === steps().length - 1) move(-Infinity);
    play.textContent = "Stop playing";
    timer = setInterval(() => (index() < steps().length - 1 ? move(1) : stop()), 600);
  } }, "Play");
  const controls = element("div", { class: "snapshot-bar" }, slider, play, readout);
  const root = element("div", { class: "group", id: "snapshots" }, element("h3", {}, "Snapshots: the network at a few steps"), element("p", { class: "how" }, "The charts below show the snapshot nearest to the cursor, or the last one. The slider goes through all of them."), controls);
  charts["snapshot-bar"] = {
    get data() {
      return steps();
    },
    redraw() {
      const at = steps();
      controls.hidden = !at.length;
      slider.max = String(Math.max(0, at.length - 1));
      slider.value = String(Math.max(0, index()));
      play.disabled = at.length < 2;
      readout.textContent = at.length ? `Step ${number(at[index()])}, snapshot ${index() + 1} of ${at.length}` : "";
    },
    zoomed() {},
    follow() {
      this.redraw();
    },
  };
  return root;
}

function eigenvalues(found) {
  const points = [], paints = ["s1", "s2", "s3", "s4", "s5"];
  for (const [kind, [[re, im], at]] of Object.entries(found)) {
    const hollow = kind === "eigenvalues_W_hh", each = hollow ? re.length : re.length / Math.max(1, at.length);
    re.forEach((real, k) => {
      const group = Math.floor(k / each);
      points.push({ re: real, im: im[k], size: Math.hypot(real, im[k]), hollow, of: hollow ? "W_hh" : `Jacobian at step ${at[group]} of the sequence`, paint: hollow ? "s6" : paints[group % 5] });
    });
  }
  return points;
}

const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
const shares = (text) => [...bytes(text)].map((byte) => byte / 255);

// Histograms of all snapshots between the same two ends, which lie at most eight times as far out as the last one's.
export function histograms(kept, of) {
  const found = kept.map((snapshot) => ({ step: snapshot.step, histogram: of(snapshot) })).filter(({ histogram }) => histogram);
  const limit = Math.min(Math.max(...found.map(({ histogram }) => histogram[0])), 8 * found.at(-1).histogram[0]);
  const rows = found.map(({ histogram: [own, text] }) => {
    const raw = bytes(text), row = new Array(BINS).fill(0);
    for (let k = 0; k < BINS; k++) {
      const share = (raw[2 * k] | (raw[2 * k + 1] << 8)) / 65535, low = -own + (k * 2 * own) / BINS, parts = Math.max(1, Math.round(own / limit));
      for (let part = 0; part < parts; part++) {
        const centre = low + ((part + 0.5) * 2 * own) / BINS / parts;
        row[Math.min(BINS - 1, Math.max(0, Math.floor(((centre + limit) / (2 * limit)) * BINS)))] += share / parts;
      }
    }
    return row;
  });
  return { at: found.map(({ step }) => step), limit, shares: rows };
}

// Where the middle half of the values lies, to the width of a bin.
function middle(row, limit) {
  const ends = [];
  let sum = 0;
  row.forEach((share, bin) => {
    for (const [k, part] of [[0, 0.25], [1, 0.75]]) if (sum < part && sum + share >= part) ends[k] = -limit + ((bin + k) * 2 * limit) / BINS;
    sum += share;
  });
  return [ends[0] ?? -limit, ends[1] ?? limit];
}

function drawColumns(c, width, height, marks, { at, rows, limit, value, range, what }) {
  const left = 52, right = width - 12, top = 26, bottom = height - 44, [low, high] = range;
  const x = (step) => left + ((step - low) / (high - low)) * (right - left), tall = (bottom - top) / BINS;
  const brightest = Math.max(...rows.flat());
  c.save();
  c.beginPath();
  c.rect(left, top, right - left, bottom - top);
  c.clip();
  at.forEach((step, k) => {
    const before = at[k - 1] ?? step - ((at[1] ?? high + (high - low)) - step), after = at[k + 1] ?? step + (step - before);
    const from = x((before + step) / 2), to = x((step + after) / 2);
    rows[k].forEach((share, bin) => {
      c.fillStyle = rgb(Math.sqrt(share / brightest)); // by the root, so that rare values are seen too
      const y = bottom - (bin + 1) * tall;
      c.fillRect(from, y, to - from + 0.5, tall + 0.5);
      if (to > left && from < right) marks.push({ x: Math.max(left, from), y, width: Math.min(right, to) - Math.max(left, from), height: tall, text: `step ${number(step)}: ${percent(share)} of ${what} around ${number(value(bin), 2)}` });
    });
  });
  c.restore();
  frame(c, left, top, right, bottom);
  axisBelow(c, ticks(low, high, Math.max(2, (right - left) / 90), true).map((v) => [v, number(v)]), x, bottom, left - 20, right + 12, "training step");
  axisBeside(c, [-1, -0.5, 0, 0.5, 1].map((v) => [v * limit, number(v * limit)]), (v) => (top + bottom) / 2 - (v / limit) * ((bottom - top) / 2), left);
  ramp(c, right, "never", percent(brightest));
}

function drawRidges(c, width, height, marks, { at, rows, limit, value, now, what }) {
  const left = 62, right = width - 12, bottom = height - 44, kept = [...new Set([...spaced(at.length, 8), now])].sort((a, b) => a - b).slice(-9);
  const most = Math.max(...kept.flatMap((k) => rows[k])), apart = (bottom - 60) / Math.max(1, kept.length), x = (bin) => left + ((bin + 0.5) / BINS) * (right - left);
  [...kept].reverse().forEach((k, place) => {
    const base = 60 + apart * (place + 1), y = (share) => base - (share / most) * Math.max(apart * 1.9, 40);
    c.beginPath();
    c.moveTo(left, base);
    rows[k].forEach((share, bin) => c.lineTo(x(bin), y(share)));
    c.lineTo(right, base);
    c.fillStyle = colour("ground");
    c.fill();
    c.globalAlpha = 0.25;
    c.fillStyle = colour(k === now ? "s2" : "s1");
    c.fill();
    c.globalAlpha = 1;
    c.strokeStyle = colour(k === now ? "s2" : "s1");
    c.lineWidth = 1.5;
    c.stroke();
    c.fillStyle = colour("muted");
    c.textAlign = "right";
    c.textBaseline = "alphabetic";
    c.fillText(number(at[k]), left - 8, base);
    rows[k].forEach((share, bin) => marks.push({ x: x(bin), y: y(share), text: `step ${number(at[k])}: ${percent(share)} of ${what} around ${number(value(bin), 2)}` }));
  });
  axisBelow(c, [-1, -0.5, 0, 0.5, 1].map((v) => [v * limit, number(v * limit)]), (v) => left + ((v / limit + 1) / 2) * (right - left), bottom, left - 10, right + 12, "value");
}

export function frame(c, left, top, right, bottom) {
  c.strokeStyle = colour("grid");
  c.lineWidth = 1;
  c.strokeRect(left - 0.5, top - 0.5, right - left + 1, bottom - top + 1);
}

function line(c, a, b, x, y) {
  c.beginPath();
  c.moveTo(a, b);
  c.lineTo(x, y);
  c.stroke();
}

function ramp(c, right, low, high) {
  c.textBaseline = "middle";
  c.fillStyle = colour("muted");
  c.textAlign = "right";
  c.fillText(high, right, 10);
  const end = right - c.measureText(high).width - 6, wide = Math.min(140, end / 2);
  for (let k = 0; k < wide; k++) {
    c.fillStyle = rgb(k / (wide - 1));
    c.fillRect(end - wide + k, 5, 1.5, 10);
  }
  c.fillStyle = colour("muted");
  c.fillText(low, end - wide - 6, 10);
}

// So many of the whole numbers below count, evenly apart, the first and the last among them.
export const spaced = (count, most) => [...new Set(Array.from({ length: Math.min(count, most) }, (_, k) => Math.round((k * (count - 1)) / Math.max(1, Math.min(count, most) - 1))))];

// Round places between two numbers, about so many.
export function ticks(low, high, most, whole = false) {
  const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough)), step = Math.max(whole ? 1 : 0, [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough * 0.999));
  const places = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at++) places.push(Number((at * step).toPrecision(12)));
  return places;
}
