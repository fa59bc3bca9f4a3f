// S2, the network unrolled: copies of it around the cursor. An edge is as wide as what flows along it, a node shows its state.

import { visible } from "./inside-data.js";
import { onStepKeys } from "./keys.js";
import { colour, diverging, FONT } from "./theme.js";
import { number } from "./words.js";

// The name of SVG's namespace is an address, which a page that asks nobody for anything had better not hold.
const SPACE = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;
const GAP = 62, WIDEST = 16, STRIPES = 24;

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function networkPanel(room) {
  const figure = room.figure("inside-network", { size: "wide" });
  return [room.add("inside-network", new Network(figure, room), ["t"])];
}

class Network {
  constructor(figure, room) {
    Object.assign(this, { figure, room });
    const steps = { get state() { return { step: room.view.state.t, range: null, whole: [0, room.seen.steps - 1] }; }, set: ({ step, range }) => (step != null ? room.view.set({ t: step }) : range === null && room.view.set({ span: null })) }; // prettier-ignore
    figure.plot.addEventListener("keydown", onStepKeys(steps, () => Array.from({ length: room.seen.steps }, (_, t) => t), () => room.say(this.figure.title)));
    figure.columns = () => this.table();
    figure.drawing = () => this.drawing();
    new ResizeObserver(() => this.drawnAt && figure.root.clientWidth !== this.drawnAt && this.redraw()).observe(figure.root);
  }

  // The contributions of the steps that are drawn: of the input, of the state before and of the biases, for each layer.
  get data() {
    const { seen, view } = this.room;
    return { steps: this.steps, layers: seen.layers.map((layer) => ({ name: layer.name, contributions: this.steps.map((t) => [0, 1, 2].map((k) => layer.at(layer.contributions, view.state.sequence, t, k))) })) };
  }

  redraw() {
    const { seen, view } = this.room, { t, sequence: n } = view.state, width = (this.drawnAt = this.figure.root.clientWidth);
    if (!width) return;
    const count = Math.min(seen.steps, width > 640 ? 9 : 7), first = Math.max(0, Math.min(seen.steps - count, t - (count >> 1)));
    this.steps = Array.from({ length: count }, (_, k) => first + k);
    const layer = this.room.layer(), at = (k) => layer.at(layer.contributions, n, t, k);
    const [input, state] = [at(0), at(1)], more = state >= input, times = more ? state / input : input / state;
    const sides = [`what the step ${layer.backward ? "after" : "before"} hands on`, "what is read"];
    this.figure.retitle(`Unrolled: at ${seen.spot(n, t)}, ${layer.partAt(t)} is moved by ${sides[more ? 0 : 1]}${Number.isFinite(times) ? ` ${number(times, 2)} times as much as by ${sides[more ? 1 : 0]}` : " alone"}`, "The same network once for each step, time to the right, layers upwards. The wider an edge, the more flows along it: upwards from the input, sideways from the state. The stripes of a node are its units, red positive, blue negative. Play moves the cursor.");
    this.figure.setEmpty("");
    this.figure.setLegend([{ name: "from the input or the layer below", colour: colour("s3") }, { name: "from the state", colour: colour("s1") }]);
    this.draw(width);
    if (!this.figure.tableBox.hidden) this.figure.showTable(true);
  }

  draw(width) {
    const { seen, view } = this.room, { t, sequence: n } = view.state, depth = seen.layers.length, cell = width / this.steps.length;
    const box = Math.min(76, cell * 0.62), TALL = (this.tall = depth < 2 ? 120 : 64), high = depth * (TALL + GAP) + 100, mid = (k) => cell * (k + 0.5), top = (l) => high - 56 - GAP - TALL - l * (TALL + GAP) + 8;
    const most = seen.layers.map((layer) => [0, 1].map((k) => this.most(layer, k)).reduce((a, b) => Math.max(a, b)));
    const drawn = svg("svg", { width, height: high, viewBox: `0 0 ${width} ${high}`, "font-family": FONT, "font-size": 12 });
    const wide = (l, value) => Math.max(0.75, (WIDEST * value) / (most[l] || 1));
    const edges = svg("g", { fill: "none" }), nodes = svg("g"), names = svg("g");
    this.steps.forEach((s, k) => {
      const x = mid(k), here = s === t;
      if (here) edges.append(svg("rect", { x: x - cell / 2 + 2, y: 1, width: cell - 4, height: high - 2, rx: 6, fill: colour("grid"), opacity: 0.45 }));
      seen.layers.forEach((layer, l) => {
        const [fromInput, fromState, bias] = [0, 1, 2].map((j) => layer.at(layer.contributions, n, s, j)), y = top(l) + TALL / 2;
        const below = l ? top(l - 1) : high - 50;
        const rise = svg("path", { d: `M${x},${below}V${top(l) + TALL}`, stroke: colour("s3"), "stroke-width": wide(l, fromInput), opacity: 0.85 });
        rise.append(svg("title", {}, `input to ${layer.name} at ${seen.place(n, s)}: ${number(fromInput)}`));
        edges.append(rise);
        const back = layer.backward, from = back ? x + cell : x - cell;
        const flow = svg("path", { d: `M${from + (back ? -1 : 1) * (box / 2)},${y}H${x + (back ? 1 : -1) * (box / 2)}`, stroke: colour("s1"), "stroke-width": wide(l, fromState), opacity: 0.85 });
        flow.append(svg("title", {}, `state to ${layer.name} at ${seen.place(n, s)}: ${number(fromState)}; biases ${number(bias)}`));
        edges.append(flow);
        nodes.append(this.node(layer, l, s, x - box / 2, top(l), box, here));
      });
      names.append(...this.names(s, x, cell, high, top(depth - 1), here));
      if (s >= seen.first) edges.append(svg("path", { d: `M${x},${top(depth - 1)}V34`, stroke: colour("muted"), "stroke-width": 1.25, "stroke-dasharray": "3 3" }));
    });
    drawn.append(edges, nodes, names);
    this.figure.plot.replaceChildren(drawn);
  }

  // The largest contribution of a kind over the whole sequence, so that widths compare from step to step.
  most(layer, k) {
    const { shape, values } = layer.contributions, n = this.room.view.state.sequence, T = shape[1];
    let top = 0;
    for (let t = 0; t < T; t++) top = Math.max(top, values[(n * T + t) * 3 + k]);
    return top;
  }

  node(layer, l, s, x, y, box, here) {
    const { view, seen } = this.room, n = view.state.sequence, units = layer.size, stripes = Math.min(STRIPES, units);
    const top = layer.h.values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-9);
    const TALL = this.tall, node = svg("g", { style: "cursor:pointer" }, svg("title", {}, `${layer.name} at ${seen.place(n, s)}`));
    node.addEventListener("click", () => view.set({ t: s, layer: l }));
    for (let k = 0; k < stripes; k++) {
      const from = Math.floor((k * units) / stripes), to = Math.max(from + 1, Math.floor(((k + 1) * units) / stripes));
      let sum = 0;
      for (let u = from; u < to; u++) sum += layer.at(layer.h, n, s, layer.order[u]);
      const paint = diverging(0.5 + sum / (to - from) / top / 2);
      node.append(svg("rect", { x: x + (k * box) / stripes, y, width: box / stripes + 0.4, height: TALL, fill: `rgb(${paint.join(",")})` }));
    }
    const chosen = here && l === view.state.layer;
    node.append(svg("rect", { x, y, width: box, height: TALL, rx: 3, fill: "none", stroke: colour(chosen ? "s2" : "muted"), "stroke-width": chosen ? 2.5 : 1 }));
    return node;
  }

  names(s, x, cell, high, top, here) {
    const { seen, view } = this.room, n = view.state.sequence, fit = Math.max(3, Math.floor(cell / 7.2));
    const text = (y, words, weight) => svg("text", { x, y, "text-anchor": "middle", fill: colour(weight ? "ink" : "muted"), "font-weight": weight ? 600 : null }, words.length > fit ? `${words.slice(0, fit - 1)}…` : words);
    const lines = [];
    if (seen.isText) lines.push(text(high - 30, visible(seen.word(n, s)), true));
    else {
      const value = seen.series(n, 0)[s];
      lines.push(text(high - 30, value == null ? "–" : number(value), true));
    }
    lines.push(text(high - 10, seen.isText ? String(s + 1) : seen.stepName(n, s).replace(/^\d\d(\d\d-)/, "$1"), here));
    if (s >= seen.first) lines.push(text(24, this.output(s), true));
    return lines;
  }

  output(s) {
    const { seen, view } = this.room, n = view.state.sequence;
    if (seen.kind === "values") return number(seen.output(n, 0)[s]);
    return visible(seen.outputs[seen.top.values[(n * seen.answers + s - seen.first) * seen.top.shape[2]]]);
  }

  follow() {}

  table() {
    const { seen, view } = this.room, n = view.state.sequence;
    return {
      columns: ["step", ...seen.layers.flatMap((l) => [`${l.name}: from the input`, "from the state", "from the biases"])],
      rows: this.steps.map((t) => [seen.place(n, t), ...seen.layers.flatMap((layer) => [0, 1, 2].map((k) => number(layer.at(layer.contributions, n, t, k))))]),
    };
  }

  async drawing() {
    const drawn = this.figure.plot.querySelector("svg"), scale = devicePixelRatio || 1, [width, height] = ["width", "height"].map((side) => Number(drawn.getAttribute(side)));
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(drawn))}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: width * scale, height: height * scale });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
}
