// Play with a forecaster: drag points of the past, or of what is known ahead, and watch the forecast move.

import { Drawn, ticks } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { floats, Forecaster } from "./network.js";
import { rounding } from "./play.js";
import { colour } from "./theme.js";
import { inSteps, number } from "./words.js";

const LEFT = 60, RIGHT = 12, TOP = 8, BOTTOM = 40;

// A scaler of src/elman/data/scaling.py.
const FORWARD = { none: (v) => v, sqrt: (v) => Math.sqrt(Math.max(v, 0)), log: (v) => Math.log(Math.max(v, 1.1754943508222875e-38)) };
const BACK = { none: (z) => z, sqrt: (z) => Math.max(z, 0) ** 2, log: Math.exp };
const scaled = ([mean, std, shape], value) => (FORWARD[shape](value) - mean) / std;
const unscaled = ([mean, std, shape], z) => BACK[shape](z * std + mean);

const ascending = (a, b) => a - b;

export function forecastCharts(spec, say) {
  const network = new Forecaster(spec), all = floats(spec.x), { steps, inputs, horizon } = spec, past = steps - horizon;
  const windows = spec.times.map((_, n) => Array.from({ length: steps }, (_, t) => all.subarray((n * steps + t) * inputs, (n * steps + t + 1) * inputs)));
  const state = { window: 0, column: spec.columns.length > 1 ? 1 : 0, pull: 2, at: past - 1, whole: false };
  const begin = () => (state.whole ? 0 : Math.max(0, past - Math.max(28, 4 * horizon))); // of the steps that are drawn
  const masks = spec.columns.length; // the channel of column k's mask is masks + k
  const scalerOf = (column) => (column ? spec.scalers[column - 1] : spec.targets[state.window]);
  let rows, before, after;

  // What the network says of rows of inputs: the point forecast and the calibrated quantiles in the target's unit, by lead.
  function forecast(given) {
    const outputs = network.forecast(given), scaler = spec.targets[state.window];
    const made = outputs.map((row, lead) => [...row.slice(1)].sort(ascending).map((q, k) => q + spec.shifts[lead][k]).sort(ascending).map((z) => unscaled(scaler, z)));
    const near = (tau) => spec.quantiles.findIndex((q) => Math.abs(q - tau) < 1e-6);
    const bands = spec.levels.map((level) => ({ level, low: made.map((q) => q[near(0.5 - level / 200)]), high: made.map((q) => q[near(0.5 + level / 200)]) }));
    return { outputs: outputs.map((row) => [...row]), point: outputs.map((row) => unscaled(scaler, row[0])), bands };
  }

  // The values of a column in its unit; where it is not known (a mask of 0), null.
  const values = (from, column) => from.map((row) => (row[masks + column] ? unscaled(scalerOf(column), row[column]) : null));
  const editable = (column) => (column > spec.past ? steps : past);

  function choose(window) {
    state.window = window;
    rows = windows[window].map((row) => Float64Array.from(row));
    before = forecast(windows[window]);
    after = before;
  }

  let waiting = 0;
  function changed() {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      after = forecast(rows);
      for (const chart of Object.values(charts)) chart.redraw();
    });
  }

  // Move a point to a value, and its neighbours by as much, the less the farther they are.
  function move(column, at, value) {
    const scaler = scalerOf(column), floor = scaler[2] === "none" ? -Infinity : scaler[2] === "sqrt" ? 0 : 1e-9, now = values(rows, column);
    const by = Math.max(value, floor) - (now[at] ?? Math.max(value, floor));
    for (let t = Math.max(0, at - state.pull); t <= Math.min(editable(column) - 1, at + state.pull); t++) {
      if (t !== at && now[t] == null) continue;
      const share = Math.cos((Math.PI / 2) * (Math.abs(t - at) / (state.pull + 1))) ** 2;
      rows[t][column] = scaled(scaler, Math.max(floor, t === at ? Math.max(value, floor) : now[t] + share * by));
      rows[t][masks + column] = 1;
    }
    state.at = at;
    changed();
  }

  const windowName = (n) => `${spec.series[n] ? `${spec.series[n]}, ` : ""}forecast of ${spec.times[n][past - 1]}`;
  const windowBox = element("select", { id: "play-window", onchange: () => { choose(Number(windowBox.value)); redraw(); } }, ...spec.times.map((_, n) => element("option", { value: String(n) }, windowName(n))));
  const columnBox = element("select", { id: "play-column", onchange: () => { state.column = Number(columnBox.value); redraw(); } }, ...spec.columns.slice(1).map((name, k) => element("option", { value: String(k + 1) }, name)));
  const pullTold = element("output", { for: "play-pull" }, String(state.pull));
  const pull = element("input", { id: "play-pull", type: "range", min: "0", max: "10", value: String(state.pull), oninput: () => { state.pull = Number(pull.value); pullTold.textContent = pull.value; } });
  const undo = element("button", { type: "button", id: "play-undo", onclick: () => { choose(state.window); redraw(); } }, "Undo all changes");
  const wholeBox = element("input", { id: "play-whole", type: "checkbox", onchange: () => { state.whole = wholeBox.checked; redraw(); } });
  const controls = element("div", { class: "play-controls" },
    element("div", { class: "row", role: "group", "aria-label": "What is shown" }, element("label", { for: "play-window" }, "From the validation part: ", windowBox), element("label", { for: "play-pull" }, "neighbours pulled along ", pull, " ", pullTold), ...(begin() ? [element("label", { for: "play-whole" }, wholeBox, ` all ${past} steps`)] : []), undo),
  );
  const charts = {};
  const redraw = () => Object.values(charts).forEach((chart) => chart.redraw());

  choose(0);
  const keys = "Left and right choose a step, up and down move its value; a point can be dragged too";
  const fan = new Figure({ id: "play-forecast", title: "", how: "", size: "whole", keys });
  charts["play-forecast"] = panel(fan, () => 0, () => {
    const truth = spec.y[state.window].map((z) => (z == null ? null : unscaled(spec.targets[state.window], z)));
    const moved = after.point.map((v, k) => v - before.point[k]), most = moved.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0), lead = moved.indexOf(most) + 1;
    const still = Math.abs(most) < 1e-9;
    return {
      title: still ? `Forecast of ${spec.columns[0]} from ${spec.times[state.window][past - 1]}: drag a point to the left of the rule` : `Forecast of ${spec.columns[0]}: your changes move it by ${most > 0 ? "+" : ""}${number(most)} at step ${lead} ahead`,
      how: `Left of the rule is what the network has read, right of it what it expects; shades show how sure it is. Drag points: what moves the forecast is what the network listens to.${begin() ? ` The last ${past - begin()} of the ${past} steps that it reads are shown.` : ""}`,
      label: spec.columns[0],
      legend: [
        { name: "read by the network", colour: "ink" }, { name: "forecast", colour: "s1" }, ...spec.levels.map((level, k) => ({ name: `${level} % interval`, colour: "s1", kind: "area", alpha: 0.25 + (0.3 * (spec.levels.length - 1 - k)) / Math.max(1, spec.levels.length - 1) })),
        { name: "forecast before your changes", colour: "s2", dash: true }, { name: "measured later", colour: "muted", kind: "dot" },
      ],
      fan: { before, after, truth },
      data: () => ({ window: state.window, before: { ...before }, after: { ...after }, truth, history: values(rows.slice(0, past), 0) }),
      table: () => ({
        columns: ["time", `${spec.columns[0]}, read`, "forecast", "before your changes", ...after.bands.flatMap((b) => [`${b.level} % from`, `${b.level} % to`]), "measured later"],
        rows: spec.times[state.window].map((time, t) => (t < past ? [time, number(values([rows[t]], 0)[0]), "", "", ...after.bands.flatMap(() => ["", ""]), ""] : [time, "", number(after.point[t - past]), number(before.point[t - past]), ...after.bands.flatMap((b) => [number(b.low[t - past]), number(b.high[t - past])]), number(truth[t - past])])).slice(begin()),
      }),
    };
  }, 320);
  const parts = [element("p", { class: "how" }, rounding(spec)), controls], figures = [fan.root];

  if (spec.columns.length > 1) {
    const input = new Figure({ id: "play-input", title: "", how: "", size: "whole", keys, controls: [element("label", { for: "play-column" }, "input ", columnBox)] });
    charts["play-input"] = panel(input, () => state.column, () => {
      const name = spec.columns[state.column], ahead = state.column > spec.past, now = values(rows, state.column), first = values(windows[state.window], state.column);
      const count = now.filter((v, t) => v !== first[t] && Math.abs(v - first[t]) > 1e-4 * (1 + Math.abs(first[t]))).length;
      return {
        title: count ? `${name}: ${count === 1 ? "one step is" : `${number(count)} steps are`} changed` : `${name}, ${ahead ? "which is known ahead: drag it on both sides of the rule" : "which the network reads up to the rule: drag it"}`,
        how: "Dashed is what was measured. Drag a point up and see above what the network makes of it; a forecast that hardly moves says that this input, at that time, does not matter to it.",
        label: name,
        legend: [{ name: "read by the network", colour: "s3" }, { name: "as measured", colour: "muted", dash: true }],
        data: () => ({ column: name, values: now, measured: first }),
        table: () => ({ columns: ["time", name, "as measured"], rows: spec.times[state.window].map((time, t) => [time, number(now[t]), number(first[t])]).slice(begin()) }),
      };
    }, 200);
    figures.push(input.root);
  }

  // A chart whose points of one column can be dragged; `tell` gives its words and, for the target, the fan.
  function panel(figure, column, tell, height) {
    let geometry = null, held = null;
    const chart = new Drawn(figure, () => ({ ...tell(), paint }), { height });
    function paint(c, width, high) {
      const k = column(), from = begin(), fanned = chart.spec.fan, now = values(rows, k), first = values(windows[state.window], k), seen = [...now.slice(from), ...first.slice(from)];
      if (fanned) for (const made of [fanned.before, fanned.after]) seen.push(...made.point, ...made.bands.flatMap((b) => [...b.low, ...b.high]), ...fanned.truth);
      const known = seen.filter((v) => v != null && Number.isFinite(v));
      let [low, top] = held?.range ?? [Math.min(...known), Math.max(...known)];
      if (!held) {
        const air = 0.12 * (top - low) || 0.5 * Math.abs(top) || 1;
        [low, top] = [low >= 0 && low - air < 0.3 * (top - low) ? 0 : low - air, top + air];
      }
      const bottom = high - BOTTOM, x = (t) => LEFT + ((t - from + 0.5) / (steps - from)) * (width - LEFT - RIGHT), y = (v) => bottom - ((v - low) / (top - low)) * (bottom - TOP);
      geometry = { from, x, low, top, bottom, valueAt: (at) => low + ((bottom - at) / (bottom - TOP)) * (top - low), stepAt: (at) => Math.floor(((at - LEFT) / (width - LEFT - RIGHT)) * (steps - from)) + from };
      c.textAlign = "right";
      const { places, step } = ticks(low, top, (bottom - TOP) / 40);
      for (const place of places) {
        line(c, [[LEFT, y(place)], [width - RIGHT, y(place)]], colour("grid"), 1);
        c.fillStyle = colour("muted");
        c.fillText(inSteps(place, step), LEFT - 8, y(place));
      }
      c.textAlign = "center";
      for (const ago of ticks(from - past, horizon, width / 90).places.filter(Number.isInteger)) {
        c.fillStyle = colour("muted");
        c.fillText(ago > 0 ? `+${ago}` : number(ago), x(past - 1 + ago), bottom + 13);
      }
      c.textAlign = "left";
      c.fillText(`steps before and after ${spec.times[state.window][past - 1]}`, LEFT, bottom + 31);
      const rule = (x(past - 1) + x(past)) / 2;
      line(c, [[rule, TOP], [rule, bottom]], colour("muted"), 1, [3, 3]);
      c.save();
      c.beginPath();
      c.rect(LEFT, 0, width - LEFT, bottom + 4);
      c.clip();
      if (fanned) {
        for (const band of [...fanned.after.bands].reverse()) {
          c.fillStyle = colour("s1");
          c.globalAlpha = 0.2;
          c.beginPath();
          band.low.forEach((v, lead) => c.lineTo(x(past + lead), y(v)));
          [...band.high.keys()].reverse().forEach((lead) => c.lineTo(x(past + lead), y(band.high[lead])));
          c.fill();
          c.globalAlpha = 1;
        }
        line(c, fanned.before.point.map((v, lead) => [x(past + lead), y(v)]), colour("s2"), 2, [6, 4]);
        line(c, fanned.after.point.map((v, lead) => [x(past + lead), y(v)]), colour("s1"), 2.5);
        fanned.truth.forEach((v, lead) => v != null && dot(c, x(past + lead), y(v), 3.5, colour("muted")));
      }
      const points = (of) => of.map((v, t) => (v == null ? null : [x(t), y(v)])).slice(from);
      line(c, points(first), colour("muted"), 1.25, [4, 4]);
      line(c, points(now), colour(fanned ? "ink" : "s3"), 1.75);
      for (let t = from; t < editable(k); t++) if (now[t] != null) dot(c, x(t), y(now[t]), t === state.at ? 5 : steps - from > 70 && width < 700 ? 1.5 : 2.5, colour(t === state.at ? "s2" : fanned ? "ink" : "s3"));
      c.restore();
    }
    const put = (event) => {
      const at = Math.min(editable(column()) - 1, Math.max(geometry.from, held.at));
      move(column(), at, geometry.valueAt(event.offsetY));
    };
    chart.canvas.style.touchAction = "none";
    chart.canvas.addEventListener("pointerdown", (event) => {
      const at = geometry.stepAt(event.offsetX);
      if (at < geometry.from || at >= editable(column())) return;
      held = { at, range: [geometry.low, geometry.top] };
      chart.canvas.setPointerCapture(event.pointerId);
      put(event);
    });
    chart.canvas.addEventListener("pointermove", (event) => held && put(event));
    for (const end of ["pointerup", "pointercancel"])
      chart.canvas.addEventListener(end, () => {
        if (!held) return;
        held = null;
        speak();
        changed();
      });
    figure.plot.addEventListener("keydown", (event) => {
      const last = editable(column()) - 1, from = begin(), side = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key], up = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      const at = Math.min(last, Math.max(from, state.at));
      if (side) {
        state.at = Math.min(last, Math.max(from, at + side));
        redraw();
        speak();
      } else if (up) {
        const now = values(rows, column())[at] ?? 0;
        move(column(), at, now + up * 0.03 * (geometry.top - geometry.low));
        requestAnimationFrame(speak);
      } else return;
      event.preventDefault();
    });
    const speak = () => say?.(`${spec.times[state.window][state.at]}: ${spec.columns[column()]} ${number(values(rows, column())[state.at])}; the forecast at the last step ahead is ${number(after.point.at(-1))}`);
    return chart;
  }

  return { charts, parts: [...parts, element("div", { class: "charts" }, ...figures)] };
}

function line(c, points, paint, width, dash = []) {
  c.strokeStyle = paint;
  c.lineWidth = width;
  c.lineJoin = "round";
  c.setLineDash(dash);
  c.beginPath();
  let drawing = false;
  for (const point of points) {
    if (!point) drawing = false;
    else if (drawing) c.lineTo(...point);
    else c.moveTo(...point), (drawing = true);
  }
  c.stroke();
  c.setLineDash([]);
}

function dot(c, x, y, size, paint) {
  c.fillStyle = paint;
  c.beginPath();
  c.arc(x, y, size, 0, 2 * Math.PI);
  c.fill();
}
