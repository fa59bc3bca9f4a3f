// The page comes alive: what Python wrote is there already, this adds the charts that answer to a reader.

import { compareSection } from "./compare.js";
import { featureSection } from "./features.js";
import { element } from "./figure.js";
import { insideSection } from "./inside.js";
import { HELP, zoom } from "./keys.js";
import { liveStrip } from "./live.js";
import { memorySection } from "./memory.js";
import { playSection } from "./play.js";
import { readRecord } from "./record.js";
import { themeButton } from "./theme.js";
import { trainingCharts } from "./training.js";
import { createView } from "./view.js";
import { number } from "./words.js";

// Which keys of the view make a chart anew; the others only move its cursor or its range.
const ANEW = ["run", "layer", "which", "logLoss", "smooth", "dark"];

function start() {
  const record = readRecord();
  const view = createView({ run: 0, layer: firstLayer(record.runs[0]), which: "grad_norm", logLoss: spreads(record.runs[0]), smooth: 25, step: null, pinned: null, range: null, whole: whole(record.runs[0]), seen: record.runs[0].layers.length > 0 });
  const live = element("p", { class: "unseen", "aria-live": "polite" });
  const { charts, parts } = trainingCharts(record, view, (text) => (live.textContent = text));
  const bar = toolbar(record, view), inside = insideSection(record), others = {}; // charts whose x is no training step
  const strip = liveStrip(record, view, (run, news) => arrived(record, view, charts, run, news));
  document.getElementById("training-charts").replaceChildren(
    element("p", { class: "how", id: "keys" }, `All charts below share one cursor and one range of steps. Drag across a chart to zoom in. ${HELP}.`),
    strip.root, bar.root, element("div", { class: "charts" }, ...parts), live,
  );
  document.getElementById("page-tools").append(themeButton((dark) => [view, inside.view].forEach((one) => one.set({ dark }))));
  document.documentElement.classList.add("alive");
  jumps(view);

  view.listen((changed) => {
    if (changed.has("run")) {
      const run = record.runs[view.state.run];
      const fresh = { layer: firstLayer(run), whole: whole(run), range: null, step: null, pinned: null };
      for (const [key, value] of Object.entries(fresh)) if (!changed.has(key)) view.state[key] = value; // what was set with the run stays
    }
    const anew = ANEW.some((key) => changed.has(key));
    for (const [id, chart] of Object.entries(charts)) {
      if (id.startsWith("gates-")) continue; // drawn by their group
      if (anew && !(only(changed, "smooth", "logLoss") && id !== "loss")) chart.redraw();
      else if (changed.has("pinned") && id === "profile") chart.redraw();
      else if (changed.has("range")) chart.zoomed();
      else if (changed.has("step") || changed.has("pinned")) chart.follow();
    }
    if (changed.has("dark")) for (const chart of Object.values(others)) chart.redraw();
    bar.redraw();
    if (changed.has("run")) strip.redraw();
    showRun(view.state.run);
  });
  for (const [id, chart] of Object.entries(charts)) if (!id.startsWith("gates-")) chart.redraw();
  bar.redraw();
  strip.redraw();
  showRun(0);
  if (document.getElementById("training").hidden) document.querySelector("main").append(live); // what is hidden is not read out
  memorySection(record, others, (text) => (live.textContent = text));
  compareSection(record, others, (text) => (live.textContent = text));
  featureSection(record, others, (text) => (live.textContent = text));
  playSection(record, others, (text) => (live.textContent = text));
  window.elman = { get charts() { return { ...charts, ...inside.charts, ...others }; }, view, inside, record, link: strip.link }; // prettier-ignore
}

// New numbers of a run: where they are of the one that is shown, its charts are drawn anew; the cursor and the zoom stay.
function arrived(record, view, charts, index, { stepsOnly, words }) {
  if (words) jumps(view);
  if (index !== view.state.run) return;
  const run = record.runs[index], few = stepsOnly && run.last < 1e9 ? ["loss", "norm", "lr"] : null;
  view.state.whole = whole(run);
  if (!view.state.seen && run.layers.length) Object.assign(view.state, { seen: true, layer: firstLayer(run) });
  const box = document.getElementById("loss-log");
  if (!view.state.chosen && spreads(run) && !view.state.logLoss) box.checked = view.state.logLoss = true;
  for (const [id, chart] of Object.entries(charts)) {
    if (id.startsWith("gates-")) continue;
    if (!few || few.includes(id)) chart.redraw();
    else chart.zoomed();
  }
  view.set({ news: (view.state.news ?? 0) + 1 }); // the toolbar and whoever else listens
}

const only = (changed, ...keys) => [...changed].every((key) => keys.includes(key));
const whole = (run) => [0, Math.max(1, run.last)];

// The layer whose gradient passes most steps: of an encoder and a decoder, the encoder.
function firstLayer(run) {
  const steps = run.layers.map((layer) => layer.steps);
  return Math.max(0, steps.indexOf(Math.max(...steps)));
}

// A loss that falls over more than a decade is easier to read on a logarithmic axis.
function spreads(run) {
  const all = [...run.loss.value, ...run.epochs.val, ...run.epochs.train].filter((v) => v != null);
  return all.length > 0 && Math.min(...all) > 0 && Math.max(...all) / Math.min(...all) > 12;
}

function toolbar(record, view) {
  const choice = (id, label, set) => {
    const box = element("select", { id, onchange: () => view.set(set(Number(box.value))) });
    return { box, label: element("label", { for: id }, label, box) };
  };
  const runs = choice("run", "Run ", (run) => ({ run }));
  const layers = choice("layer", "Layer ", (layer) => ({ layer }));
  runs.box.append(...record.runs.map((run, index) => element("option", { value: String(index) }, run.name)));
  const slider = element("input", { type: "range", id: "cursor", "aria-label": "Cursor: training step", oninput: () => view.set({ step: Number(slider.value) }) });
  const readout = element("output", { for: "cursor" });
  const farther = element("button", { type: "button", title: "Zoom out", "aria-label": "Zoom out", onclick: () => zoom(view, 2) }, "−");
  const closer = element("button", { type: "button", title: "Zoom in at the cursor", "aria-label": "Zoom in at the cursor", onclick: () => zoom(view, 0.5) }, "+");
  const wider = element("button", { type: "button", id: "all", onclick: () => view.set({ range: null }) }, "All steps");
  const root = element("div", { class: "toolbar", role: "group", "aria-label": "Run, layer and cursor of the charts" }, runs.label, layers.label, slider, readout, closer, farther, wider);
  let listed = "";
  return {
    root,
    redraw() {
      const { run, layer, step, range, whole: all } = view.state, seen = record.runs[run].layers;
      runs.label.hidden = record.runs.length < 2;
      layers.label.hidden = seen.length < 2;
      if (listed !== `${run} ${seen.length}`) layers.box.replaceChildren(...seen.map((l, index) => element("option", { value: String(index) }, `${l.name} (${l.cell})`)));
      listed = `${run} ${seen.length}`;
      runs.box.value = String(run);
      layers.box.value = String(layer);
      [slider.min, slider.max] = range ? [Math.ceil(range[0]), Math.floor(range[1])] : all;
      slider.value = step ?? slider.max;
      readout.textContent = step == null ? "No step chosen" : `Step ${number(step)}`;
      wider.disabled = !range;
      wider.textContent = range ? `Steps ${number(Math.ceil(range[0]))} to ${number(Math.floor(range[1]))}: show all` : "All steps shown";
    },
  };
}

// Alerts become buttons that move the cursor and bring what they are about into sight.
function jumps(view) {
  const place = { gradient: "norm", memory: "flow", gate: "gates", validation: "loss", error: "loss" };
  for (const item of document.querySelectorAll("#training .alerts li[data-step]")) {
    const step = Number(item.dataset.step);
    const go = () => {
      const range = view.state.range;
      view.set({ step, pinned: step, ...(range && (step < range[0] || step > range[1]) ? { range: null } : {}) });
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      const at = place[item.dataset.kind];
      document.getElementById(`chart-${at}`).scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "center" });
    };
    if (item.querySelector("button")) continue; // it is one already
    const button = element("button", { type: "button", onclick: go }, ...item.childNodes);
    item.replaceChildren(button);
  }
}

function showRun(index) {
  for (const words of document.querySelectorAll("#training .run-words")) words.hidden = Number(words.dataset.run) !== index;
}

start();
