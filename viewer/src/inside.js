// Section 2, Look inside one sequence: a cursor and panels. A panel is a file with a function that takes the room and gives its
// charts, or null where it does not apply to a run; to add one is to name it in PANELS.

import { element, Figure } from "./figure.js";
import { connectivityPanel } from "./inside-connectivity.js";
import { cardPanel } from "./inside-card.js";
import { fanPanel } from "./inside-fans.js";
import { inputPanel } from "./inside-input.js";
import { Seen, uprights } from "./inside-data.js";
import { networkPanel } from "./inside-network.js";
import { outputPanel } from "./inside-output.js";
import { pathPanel } from "./inside-path.js";
import { saliencyPanel } from "./inside-saliency.js";
import { onFrom, spanPanel } from "./inside-spans.js";
import { statePanel, toggled } from "./inside-states.js";
import { unitPanel } from "./inside-unit.js";
import { Lines } from "./lines.js";
import { Raster, RASTER_HELP } from "./raster.js";
import { Strip } from "./strip.js";
import { createView } from "./view.js";

const PANELS = [inputPanel, outputPanel, networkPanel, cardPanel, statePanel, pathPanel, unitPanel, spanPanel, saliencyPanel, connectivityPanel, fanPanel];
const HELP = "Left and right move the cursor, Home and End go to the ends; dragging marks a span, Escape removes it";
const ANEW = ["sequence", "layer", "dark"]; // what makes every chart anew; a chart may name more
const TICK = 250; // milliseconds a step while playing

export function insideSection(record) {
  const view = createView({ run: Math.max(0, record.runs.findIndex((run) => run.inside && !run.inside.missing)), sequence: 0, layer: 0, t: 0, unit: 0, pins: [], sort: "index", span: null, threshold: null, target: 0, method: "integrated", window: null, playing: false });
  const live = element("p", { class: "unseen", "aria-live": "polite" }), root = document.getElementById("inside-charts");
  const say = (text) => (live.textContent = text);
  let charts = {}, seen = null;
  const bar = toolbar(record, view, () => seen);

  function build() {
    const run = record.runs[view.state.run];
    charts = {};
    seen = run.inside && !run.inside.missing ? new Seen(run.inside) : null;
    if (seen) Object.assign(view.state, { sequence: 0, layer: seen.layers.length - 1, t: Math.min(seen.steps - 1, seen.first || seen.steps >> 1), unit: lively(seen.layers.at(-1)), pins: [], threshold: null, target: 0, window: null });
    if (seen) view.state.span = lit(seen, view.state);
    const room = makeRoom(view, seen, run, charts, say);
    const parts = (seen ? PANELS : [fanPanel]).flatMap((panel) => panel(room) ?? []);
    root.replaceChildren(
      ...(seen ? [element("p", { class: "how", id: "inside-keys" }, `All charts of this section share one cursor: a step of the sequence. Click, or use the arrow keys on any chart.${seen.skipped ? ` Of ${seen.skipped + seen.steps} steps the last ${seen.steps} are shown.` : ""}`)] : []),
      bar.root, ...(seen || run.features ? [] : [element("p", { class: "missing" }, run.inside?.missing ?? "No look inside a sequence was kept yet: it is taken when training has come to its end.")]), element("div", { class: "charts" }, ...parts), live,
    );
    bar.redraw();
    for (const chart of Object.values(charts)) chart.redraw();
  }

  view.listen((changed) => {
    if (changed.has("run")) return build();
    if (changed.has("layer") || changed.has("sequence")) keepInside(view.state, seen, changed);
    for (const chart of Object.values(charts)) {
      if ([...ANEW, ...(chart.anew ?? [])].some((key) => changed.has(key))) chart.redraw();
      else chart.follow();
    }
    bar.redraw();
  });
  build();
  return { view, get charts() { return charts; }, get seen() { return seen; } }; // prettier-ignore
}

// The unit that goes most with the input: a good one to begin with.
function lively(layer) {
  const sizes = layer.related.map((r) => Math.abs(r ?? 0));
  return sizes.indexOf(Math.max(...sizes));
}

// Another layer may have fewer units, and other units; another sequence has other spans.
function keepInside(state, seen, changed) {
  if (changed.has("layer")) {
    const layer = seen.layers[state.layer], there = (unit) => unit < layer.size;
    Object.assign(state, { unit: there(state.unit) ? state.unit : lively(layer), pins: state.pins.filter(there), threshold: null });
  }
  if (changed.has("sequence") && !changed.has("span")) state.span = lit(seen, state);
}

// A span to begin with: the steps around the unit's highest at which it stays on; null where it is always on.
function lit(seen, { layer, sequence, unit }) {
  const shown = seen.layers[layer], line = shown.line(shown.h, sequence, unit), level = onFrom(shown);
  let from = line.indexOf(Math.max(...line)), to = from;
  while (from > 0 && line[from - 1] >= level) from--;
  while (to < line.length - 1 && line[to + 1] >= level) to++;
  return to - from + 1 < line.length ? [from, to] : null;
}

// What a panel is made with.
function makeRoom(view, seen, run, charts, say) {
  const steps = {
    // The view as charts over training steps know it: here a step of the sequence. A range that is dragged is a span.
    clicks: true,
    get state() {
      return { step: view.state.t, span: view.state.span, range: null, whole: [-0.5, (seen?.steps ?? 1) - 0.5] };
    },
    set({ step, range }) {
      if (step != null) view.set({ t: Math.round(step) });
      else if (range) view.set({ span: [Math.max(0, Math.ceil(range[0])), Math.min(seen.steps - 1, Math.floor(range[1]))] });
      else if (range === null) view.set({ span: null });
    },
  };
  const add = (id, chart, anew) => {
    chart.anew = anew;
    charts[id] = chart;
    return chart.figure.root;
  };
  return {
    view, seen, run, say, add,
    chart: (id) => charts[id],
    layer: () => seen.layers[view.state.layer],
    // The name of a unit is its number in the network.
    unitName: (unit) => String(seen.layers[view.state.layer].kept[unit]),
    figure: (id, { size, controls, keys = HELP } = {}) => new Figure({ id, title: "", how: "", size, controls, keys }),
    lines(id, describe, { size, height, controls, anew, own, onToggle } = {}) {
      const figure = this.figure(id, { size, controls });
      return add(id, new Lines(figure, own ? view : steps, () => (own ? describe() : { xLabel: "step", xNames: (t) => (Number.isInteger(t) && t >= 0 && t < seen.steps ? seen.place(view.state.sequence, t) : ""), xSpace: seen.isText ? 40 : 96, shade: () => view.state.span, uprights: uprights(this).map((u) => (size === "whole" ? u : { ...u, name: "" })), ...describe() }), { height, say, onToggle }), anew);
    },
    raster(id, describe, { size, height, controls, anew, spans } = {}) {
      const figure = this.figure(id, { size, controls, keys: RASTER_HELP });
      return add(id, new Raster(figure, view, describe, { height, say, spans }), anew);
    },
    strip(id, describe, { size, controls, anew, onHover } = {}) {
      const figure = this.figure(id, { size, controls });
      return add(id, new Strip(figure, steps, describe, { say, onHover }), anew);
    },
  };
}

function toolbar(record, view, seenNow) {
  const choice = (id, label, set) => {
    const box = element("select", { id, onchange: () => view.set(set(Number(box.value))) });
    return { box, label: element("label", { for: id }, label, box) };
  };
  const runs = choice("inside-run", "Run ", (run) => ({ run })), sequences = choice("inside-sequence", "Sequence ", (sequence) => ({ sequence }));
  const layers = choice("inside-layer", "Layer ", (layer) => ({ layer })), units = choice("inside-unit", "Unit ", (unit) => ({ unit }));
  runs.box.append(...record.runs.map((run, index) => element("option", { value: String(index) }, run.name)));
  const sort = choice("inside-sort", "sorted by ", () => ({ sort: sort.box.value }));
  sort.box.append(...[["index", "number"], ["cluster", "what goes together"], ["related", "the input"]].map(([value, name]) => element("option", { value }, name)));
  const pin = element("button", { type: "button", id: "inside-pin", title: "Draw this unit as a line as well", onclick: () => view.set({ pins: toggled(view.state) }) }, "Pin");
  const slider = element("input", { type: "range", min: "0", id: "inside-cursor", "aria-label": "Cursor: step of the sequence", oninput: () => view.set({ t: Number(slider.value) }) });
  const readout = element("output", { for: "inside-cursor" });
  const play = element("button", { type: "button", id: "inside-play", onclick: () => view.set({ playing: !view.state.playing }) }, "Play");
  const root = element("div", { class: "toolbar", role: "group", "aria-label": "Sequence, layer, unit and cursor of this section" }, runs.label, sequences.label, layers.label, units.label, pin, sort.label, play, slider, readout);
  let clock = null, listed = "";
  const tick = () => {
    const { t } = view.state, last = seenNow().steps - 1;
    view.set(t < last ? { t: t + 1 } : { playing: false });
  };
  return {
    root,
    redraw() {
      const { run, sequence, layer, unit, t, playing } = view.state, seen = seenNow();
      runs.label.hidden = record.runs.length < 2;
      for (const part of [sequences.label, layers.label, units.label, pin, sort.label, play, slider, readout]) part.hidden = !seen;
      root.hidden = !seen && record.runs.length < 2;
      runs.box.value = String(run);
      if (playing && !clock) clock = setInterval(tick, TICK);
      if (!playing) clock = clearInterval(clock) ?? null;
      if (!seen) return;
      layers.label.hidden = seen.layers.length < 2;
      if (listed !== `${run}/${layer}`) {
        const option = (name, index) => element("option", { value: String(index) }, name);
        sequences.box.replaceChildren(...seen.labels.slice(0, seen.count).map(option));
        layers.box.replaceChildren(...seen.layers.map((l, index) => option(`${l.name} (${l.cell})`, index)));
        units.box.replaceChildren(...seen.layers[layer].kept.map((kept, index) => option(String(kept), index)));
        listed = `${run}/${layer}`;
      }
      sequences.box.value = String(sequence);
      layers.box.value = String(layer);
      units.box.value = String(unit);
      sort.box.value = view.state.sort;
      pin.textContent = view.state.pins.includes(unit) ? "Unpin" : "Pin";
      slider.max = String(seen.steps - 1);
      slider.value = String(t);
      play.textContent = playing ? "Pause" : "Play";
      play.setAttribute("aria-pressed", String(playing));
      readout.textContent = `Step ${t + 1 + seen.skipped}: ${seen.place(sequence, t)}`;
    },
  };
}
