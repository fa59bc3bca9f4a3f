// What convolutions made of some cases, or where attention lay: filters, feature maps, pooling, and what the answer is owed to.

import { Bars } from "./bars.js";
import { Drawn } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { part, unpack } from "./inside-data.js";
import { Lines } from "./lines.js";
import { cells, Raster, RASTER_HELP } from "./raster.js";
import { colour } from "./theme.js";
import { scaleBar, Tiles, TILES_HELP } from "./tiles.js";
import { createView } from "./view.js";
import { number, percent } from "./words.js";

const COLOURS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const OWN = "Left and right move along the chart; the values stand beside the names";

export function featureSection(record, charts, say) {
  const place = document.getElementById("feature-charts"), runs = record.runs.map((run, index) => [run, index]).filter(([run]) => run.features);
  if (!place || !runs.length) return;
  const view = createView({ run: runs[0][1], n: 0, layer: 0, channel: 0, look: 0, head: 0, row: 0, column: 0 });
  let own = [];
  const build = () => {
    for (const id of own) delete charts[id];
    const { features } = record.runs[view.state.run];
    const made = features.missing ? { parts: [], charts: {} } : panels(new Features(features), view, say);
    own = Object.keys(made.charts);
    Object.assign(charts, made.charts);
    place.replaceChildren(
      ...(features.missing ? [element("p", { class: "missing" }, features.missing)] : []),
      toolbar(runs, features, view), element("div", { class: "charts" }, ...made.parts),
    );
    for (const id of own) charts[id].redraw();
  };
  view.listen((changed) => {
    if (changed.has("run")) {
      Object.assign(view.state, { n: 0, layer: 0, channel: 0, look: 0, head: 0 });
      return build();
    }
    for (const id of own) if (charts[id].anew.some((key) => changed.has(key))) charts[id].redraw();
  });
  build();
}

function toolbar(runs, features, view) {
  const choice = (id, label, key, options) => {
    const box = element("select", { id, onchange: () => view.set({ [key]: Number(box.value), ...(key === "layer" ? { channel: 0 } : {}) }) }, ...options.map(([value, name]) => element("option", { value: String(value) }, name)));
    box.value = String(view.state[key]);
    return element("label", { for: id }, label, box);
  };
  const parts = [];
  if (runs.length > 1) parts.push(choice("feature-run", "Run ", "run", runs.map(([run, index]) => [index, run.name])));
  if (features.cases) parts.push(choice("feature-case-chosen", "Case ", "n", features.cases.map((one, k) => [k, one.label])));
  if (features.layers?.length) parts.push(choice("feature-layer", "Layer ", "layer", namesOf(features.layers).map((name, k) => [k, name])));
  if (features.attention?.length) {
    parts.push(choice("feature-look", "Layer ", "look", features.attention.map((_, k) => [k, String(k + 1)])));
    parts.push(choice("feature-head", "Head ", "head", Array.from({ length: features.attention[0].channels }, (_, k) => [k, String(k + 1)])));
  }
  return element("div", { class: "toolbar", role: "group", "aria-label": "Run, case and layer of these charts" }, ...parts);
}

const namesOf = (layers) => layers.map((layer, k) => `${k + 1}, ${layer.kind === "pooling" ? "after pooling" : "convolution"}`);

// One run's record, decoded when asked for.
class Features {
  constructor(raw) {
    Object.assign(this, raw);
    this.raw = raw;
    this.known = new Map();
  }

  // An array of the chosen case, or of all.
  get(name, made) {
    if (!this.known.has(name)) this.known.set(name, made());
    return this.known.get(name);
  }

  of(n, name) {
    return this.get(`${name}.${n}`, () => unpack(this.cases[n][name]));
  }

  map(n, k) {
    return this.get(`map.${n}.${k}`, () => unpack(this.cases[n].maps[k]));
  }

  attended(n, k) {
    return this.get(`attention.${n}.${k}`, () => unpack(this.cases[n].attention[k]));
  }

  filter(k) {
    return this.layers[k].filter && this.get(`filter.${k}`, () => unpack(this.layers[k].filter));
  }

  says(n) {
    const { output, chosen } = this.cases[n];
    return this.kind === "classes" ? `the network says ${this.outputs[chosen]}, with ${percent(output[chosen])}` : `the network says ${number(output[0])}`;
  }
}

function panels(seen, view, say) {
  const charts = {}, parts = [], quiet = createView({ whole: [0, 1] }), image = seen.sides === 2;
  const now = () => view.state.n;
  const add = (id, chart, anew) => {
    chart.anew = anew;
    charts[id] = chart;
    parts.push(chart.figure.root);
  };
  const figure = (id, { size = "half", keys = OWN, controls } = {}) => new Figure({ id, title: "", how: "", size, keys, controls });
  const lines = (id, describe, { size, height = 230 } = {}) => add(id, new Lines(figure(id, { size }), quiet, () => ({ own: true, xLabel: "step", ...describe() }), { say, height }), ["n"]);
  const steps = (n, many) => Array.from({ length: many }, (_, k) => 1 + Math.round((k * (seen.cases[n].size[0] - 1)) / Math.max(1, many - 1)));

  if (image) pictures(seen, now, (id, chart, anew) => add(id, chart, anew), figure);
  else {
    lines("feature-case", () => {
      const { shape: [T, many], values } = seen.of(now(), "read"), { label } = seen.cases[now()];
      return {
        title: `${label}; ${seen.says(now())}`, how: "What was read, in its own units.", yLabel: "value",
        series: Array.from({ length: many }, (_, k) => ({ name: seen.inputs[k], x: steps(now(), T), y: Array.from({ length: T }, (_, t) => (Number.isNaN(values[t * many + k]) ? null : values[t * many + k])), colour: COLOURS[k % 6], dash: k < 6 ? undefined : [5, 4] })),
      };
    }, { size: seen.kind === "classes" ? "wide" : "whole" });
  }
  if (seen.kind === "classes")
    add("feature-output", new Bars(figure("feature-output", { size: image ? "half" : "side" }), () => {
      const { output, chosen } = seen.cases[now()];
      const items = output.map((value, k) => ({ name: seen.outputs[k], value, strong: k === chosen })).sort((a, b) => b.value - a.value).slice(0, 8);
      return { title: `Most likely: ${items[0].name} (${percent(items[0].value)})`, how: "The likeliest classes of this case.", items, format: (share) => (share < 0.001 ? "< 0.1\u00a0%" : percent(share)), least: 1 };
    }), ["n"]);

  if (!image) why(seen, now, lines, steps);
  if (seen.layers.length) convolutions();
  if (seen.attention.length) attention();
  return { parts, charts };

  function convolutions() {
    const names = namesOf(seen.layers);
    const layer = () => seen.layers[view.state.layer], kept = () => layer().kept;
    const few = () => (kept().length < layer().channels ? ` Of ${layer().channels} channels the ${kept().length} that vary most are shown.` : "");
    add("feature-filters", new Tiles(figure("feature-filters", { size: "whole", keys: TILES_HELP }), () => {
      const filter = seen.filter(view.state.layer);
      if (!filter) return { title: "Filters", how: "", empty: "Pooling has no filters: it keeps the largest of each four neighbours." };
      const [, rows, columns] = filter.shape, { reads, width, apart } = layer(), most = Math.max(...filter.values.map(Math.abs)), signed = !image || reads === 1;
      return {
        title: `Filters of layer ${names[view.state.layer]}: ${layer().channels}, each ${image ? `${width} × ${width} pixels` : `${width} steps${apart > 1 ? `, ${apart} apart` : ""}`} of ${reads} ${reads === 1 ? "channel" : "channels"}`,
        how: (image ? (signed ? "What each filter looks for: red adds, blue takes away." : "How strongly each filter looks at each place, over all channels that it reads.") : "What each filter looks for: a row for each channel that it reads, a column for each step, the last at the right. Red adds, blue takes away.") + ` In the network it is called ${layer().name}.` + few(),
        names: kept().map(String), rows, columns, value: (k, r, c) => filter.values[(k * rows + r) * columns + c], range: signed ? [-most, most] : [0, most], ramp: signed ? "diverging" : "sequential", chosen: view.state.channel, pick: (channel) => view.set({ channel }),
      };
    }, { side: image ? 56 : 70, say }), ["layer", "channel"]);

    const title = () => {
      const { shape, values } = seen.map(now(), view.state.layer), means = kept().map((_, k) => mean(part({ shape, values }, k))), top = means.indexOf(Math.max(...means));
      return `Feature maps of layer ${names[view.state.layer]}: channel ${kept()[top]} is the liveliest in this case`;
    };
    const how = () => `What each filter found where, after the activation${image ? `; ${layer().size.join(" × ")} places` : ""}: bright is found, dark is not.${few()}`;
    if (image)
      add("feature-maps", new Tiles(figure("feature-maps", { size: "whole", keys: TILES_HELP }), () => {
        const { shape: [, rows, columns], values } = seen.map(now(), view.state.layer);
        return { title: title(), how: how(), names: kept().map(String), rows, columns, value: (k, r, c) => values[(k * rows + r) * columns + c], range: ends(values), ramp: "sequential", chosen: view.state.channel, pick: (channel) => view.set({ channel }) };
      }, { side: 84, say }), ["n", "layer", "channel"]);
    else {
      add("feature-maps", new Raster(figure("feature-maps", { size: "whole", keys: RASTER_HELP }), view, () => {
        const { shape: [rows, columns], values } = seen.map(now(), view.state.layer), at = steps(now(), columns);
        return {
          title: title(), how: how(), columns, rows, value: (c, r) => values[r * columns + c], range: ends(values), ramp: "sequential", yLabel: "channel", rowWord: "channel",
          columnName: (c) => String(at[c]), rowName: (r) => String(kept()[r]), here: () => ({ column: Math.min(view.state.column, columns - 1), row: Math.min(view.state.channel, rows - 1) }), to: (column, channel) => ({ column, channel }),
        };
      }, { height: 280, say, spans: false }), ["n", "layer", "channel", "column"]);
      pooling(seen, now, lines);
    }
  }

  function attention() {
    add("feature-attention", new Raster(figure("feature-attention", { size: "whole", keys: RASTER_HELP }), view, () => {
      const { look, head } = view.state, { shape: [, rows, columns], values } = seen.attended(now(), look), start = head * rows * columns, all = values.subarray(start, start + rows * columns);
      const far = mean(Array.from(all, (v, k) => v * Math.abs(Math.floor(k / columns) - (k % columns)))) * columns;
      return {
        title: `Attention, head ${head + 1} of layer ${look + 1}: it looks ${number(far, 2)} steps away on average`,
        how: `How much each step (row) looked at each step (column); a row adds up to 1. A bright diagonal looks at itself, a bright column is looked at by all.${seen.cases[now()].size[0] > rows ? ` The first ${rows} steps are shown.` : ""}`,
        columns, rows, value: (c, r) => all[r * columns + c], range: [0, Math.max(...all)], ramp: "sequential", yLabel: "step that looks", xLabel: "step that is looked at", rowWord: "step", columnName: (c) => String(c + 1), rowName: (r) => String(r + 1), format: percent,
        here: () => ({ column: Math.min(view.state.column, columns - 1), row: Math.min(view.state.row, rows - 1) }), to: (column, row) => ({ column, row }),
      };
    }, { height: 360, say, spans: false }), ["n", "look", "head", "row", "column"]);
  }
}

// What the answer is owed to, step by step.
function why(seen, now, lines, steps) {
  lines("feature-why", () => {
    const n = now(), share = seen.of(n, "share"), occluded = seen.of(n, "occluded"), { answer, rest, chosen } = seen.cases[n];
    const at = (many) => steps(n, many), most = occluded.values.indexOf(Math.max(...occluded.values)), unit = seen.kind === "classes" ? "log-odds" : seen.outputs[0];
    return {
      title: `What the answer is owed to: covering step ${at(occluded.shape[0])[most]} costs ${seen.outputs[chosen]} most`,
      how: `Bars: what each step of the last layer adds to the answer; with the ${number(rest)} that no step owns they add up to ${number(answer)}. Line: how much the answer falls when the step is covered, its values set to their mean.`,
      yLabel: unit === "log-odds" ? "logit of the answer" : unit,
      series: [{ name: "adds to the answer", x: at(share.shape[0]), y: [...share.values], colour: "s3", kind: "bar" }, { name: "lost when covered", x: at(occluded.shape[0]), y: [...occluded.values], colour: "s2", width: 2 }],
      rules: [{ y: 0 }],
    };
  }, { size: "whole" });
}

function pooling(seen, now, lines) {
  if (!seen.cases[0].picked) return;
  lines("feature-pooling", () => {
    const { values } = seen.of(now(), "picked"), T = seen.cases[now()].size[0], counts = Array.from({ length: T }, () => 0);
    for (const step of values) counts[step]++;
    const top = counts.indexOf(Math.max(...counts));
    return {
      title: `What pooling picked: step ${top + 1} holds the maximum of ${number(counts[top])} of ${number(values.length)} channels`,
      how: "Of each channel of the last layer the pooling keeps its largest value over the steps: so many channels have theirs at each step. Steps without a bar reach the answer by no maximum.",
      yLabel: "channels", series: [{ name: "channels whose maximum is here", x: counts.map((_, t) => t + 1), y: counts, colour: "s1", kind: "bar" }],
    };
  }, { size: "whole", height: 180 });
}

// The image, and the same area as heat: what covering each place costs, and what each place adds to the answer.
function pictures(seen, now, add, figure) {
  const GAP = 14;
  const heats = () => {
    const occluded = seen.of(now(), "occluded"), share = seen.of(now(), "share"), many = share.values.length;
    return [["lost when covered", occluded], ...(many > 1 ? [["adds to the answer", share]] : [])];
  };
  const frame = figure("feature-case", { size: "half", keys: "The same numbers stand in the table" });
  const chart = new Drawn(frame, () => {
    const n = now(), read = seen.of(n, "read"), { label, answer, rest, chosen } = seen.cases[n], shown = heats();
    const [rows, columns, channels] = read.shape, [low, high] = ends(read.values);
    const grey = (r, c) => Array.from({ length: 3 }, (_, k) => {
      const own = channels === 3 ? read.values[(r * columns + c) * 3 + k] : mean(Array.from({ length: channels }, (_, j) => read.values[(r * columns + c) * channels + j]));
      return Math.round((255 * (own - low)) / (high - low || 1));
    });
    const size = (width) => { const many = 1 + shown.length, wide = Math.min(240, (width - GAP * (many - 1)) / many); return { wide, high: Math.min(300, (wide * rows) / columns) }; };
    const range = ([, { values }]) => { const most = Math.max(...values.map(Math.abs)) || 1; return [-most, most]; };
    return {
      title: `${label}; ${seen.says(n)}`,
      how: `Left the image as it was read${channels > 1 && channels !== 3 ? ", the mean over its channels" : ""}. Then how much the logit of ${seen.outputs[chosen]} falls where 3 × 3 pixels are covered: red places speak for it, blue ones against it.${shown[1] ? ` Right, the class activation map: what each place of the last maps adds; with the ${number(rest)} that no place owns they add up to ${number(answer)}.` : ""}`,
      label: shown.map((heat) => `${heat[0]}: at most ${number(range(heat)[1])}`).join("; "),
      get height() { return size(frame.root.clientWidth).high + 46; },
      data: () => ({ read: [...read.values], occluded: [...shown[0][1].values], share: shown[1] ? [...shown[1][1].values] : null }),
      table: () => ({ columns: ["row", "column", ...shown.slice(0, 1).map(([name]) => name)], rows: [...shown[0][1].values].map((v, k) => [String(1 + Math.floor(k / shown[0][1].shape[1])), String(1 + (k % shown[0][1].shape[1])), number(v)]) }),
      paint(c, width) {
        const { wide, high } = size(width);
        c.imageSmoothingEnabled = false;
        const draw = (made, k, name) => {
          c.drawImage(made, k * (wide + GAP), 0, wide, high);
          c.strokeStyle = colour("grid");
          c.strokeRect(k * (wide + GAP) + 0.5, 0.5, wide - 1, high - 1);
          c.fillStyle = colour("muted");
          c.textAlign = "left";
          c.fillText(name, k * (wide + GAP), high + 14, wide);
        };
        draw(picture(rows, columns, grey), 0, "as read");
        shown.forEach((heat, k) => draw(cells({ rows: heat[1].shape[0], columns: heat[1].shape[1], value: (x, y) => heat[1].values[y * heat[1].shape[1] + x], range: range(heat), ramp: "diverging" }), k + 1, heat[0]));
        scaleBar(c, { ends: ["against", "for it"], ramp: "diverging" }, width, high + 28);
      },
    };
  });
  add("feature-case", chart, ["n"]);
}

function picture(rows, columns, paint) {
  const made = document.createElement("canvas");
  Object.assign(made, { width: columns, height: rows });
  const context = made.getContext("2d"), pixels = context.createImageData(columns, rows);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) pixels.data.set([...paint(r, c), 255], 4 * (r * columns + c));
  context.putImageData(pixels, 0, 0);
  return made;
}

const ends = (values) => [Math.min(...values), Math.max(...values)];
const mean = (values) => [...values].reduce((a, b) => a + b, 0) / Math.max(1, values.length);
