// Section 3, Compare: several runs on one page. The table is there already, here it learns to be sorted; the charts are drawn.

import { Drawn, ticks } from "./drawn.js";
import { Figure, element } from "./figure.js";
import { Heatmap, HEATMAP_HELP } from "./heatmap.js";
import { Lines } from "./lines.js";
import { unpacked } from "./record.js";
import { colour, FONT } from "./theme.js";
import { createView } from "./view.js";
import { inSteps, logName, logPlaces, number, percent } from "./words.js";

const COLOURS = ["s1", "s2", "s3", "s4", "s5", "s6"];
const DASHES = [undefined, [7, 4], [2, 4], [9, 3, 2, 3]];
const LEFT = 60, RIGHT = 16, TOP = 12, BOTTOM = 40;
const OWN = "Left and right move along the chart; the values stand beside the names";

export function compareSection(record, charts, say) {
  const told = record.compare, place = document.getElementById("compare-charts");
  if (!told || !place) return;
  sortable(document.getElementById("compared"), say);
  const paint = (k) => COLOURS[k % COLOURS.length], quiet = createView({ whole: [0, 1] });
  const parts = [];
  const lines = (id, title, how, describe, options = {}) => {
    const figure = new Figure({ id, title, how, keys: OWN, size: "whole", ...options });
    charts[id] = new Lines(figure, quiet, describe, { say, height: options.height ?? 260 });
    return figure.root;
  };

  const flows = told.networks.map((network, k) => ({ network, k, run: record.runs[network.runs[0]] })).filter(({ run }) => run.layers.length);
  parts.push(element("div", { class: "group", id: "chart-compare-flows" },
    element("h3", {}, flows.length ? "The gradient through time, on one colour scale" : "The gradient through time"),
    ...(flows.length ? [element("p", { class: "how" }, "Of each network the first run, and in it the layer that reads the most steps. What is bright at the top is learnt from far back; black can't be learnt from."), element("div", { class: "gates" }, ...flows.map((flow) => small(flow)))] : [element("p", { class: "missing" }, "No run was looked into while it trained (probe=0), so there is no gradient to lay side by side.")]),
  ));

  function small({ network, k, run }) {
    const most = Math.max(...run.layers.map((l) => l.steps)), layer = run.layers.find((l) => l.steps === most), logs = unpacked(layer.norms.grad_norm);
    const id = `compare-flow-${k}`, view = createView({ whole: [0, Math.max(1, run.last)], range: null, step: null, pinned: null });
    const figure = new Figure({ id, title: "", how: "", size: "gate", keys: HEATMAP_HELP });
    const chart = (charts[id] = new Heatmap(figure, view, () => {
      const reach = layer.horizon?.at(-1);
      return { title: `${network.label}: reaches ${reach >= most ? `all ${number(most)}` : `${number(reach)} of ${number(most)}`} steps back`, how: `Layer ${layer.name}. Above the blue line the gradient is below a thousandth of that at the end.`, at: layer.at, lags: layer.lags, logs, horizon: layer.horizon ?? layer.at.map(() => null), steps: most };
    }, { height: 240, say }));
    view.listen((changed) => (changed.has("range") ? chart.zoomed() : chart.follow()));
    return figure.root;
  }

  const state = { x: "step", cost: "parameters" };
  const choice = (id, name, key, options, then) => {
    const box = element("select", { id, onchange: () => { state[key] = box.value; then(); } }, ...Object.entries(options).map(([value, text]) => element("option", { value }, text)));
    return element("label", { for: id }, `${name} `, box);
  };
  const AXES = { step: "training step", seconds: "seconds of training", epoch: "epochs" };
  const validated = told.networks.some((n) => n.runs.some((r) => record.runs[r].epochs.val.some((v) => v != null)));
  const kind = validated ? "val" : "train";
  parts.push(lines("compare-loss", "Loss", validated ? "Validation loss after each epoch. Lower is better; further left is sooner. By seconds, a network that needs fewer but slower steps gets its due." : "Training loss of each epoch: no run was validated. Lower is better.", () => {
    const series = told.networks.flatMap((network, k) => network.runs.map((index, seed) => {
      const { name, epochs } = record.runs[index], at = { step: epochs.step, seconds: epochs.seconds, epoch: epochs.step.map((_, e) => e + 1) }[state.x];
      const kept = epochs[kind].map((y, e) => [at[e], y]).filter(([x, y]) => x != null && y != null);
      return { name, x: kept.map(([x]) => x), y: kept.map(([, y]) => y), colour: paint(k), dash: DASHES[seed % 4] };
    })).filter((s) => s.x.length);
    const all = series.flatMap((s) => s.y);
    if (!all.length) return { empty: "No epoch is recorded of any run yet." };
    const low = Math.min(...all), best = series.find((s) => s.y.includes(low));
    return { title: `${validated ? "Validation" : "Training"} loss: ${best.name} comes lowest, to ${number(low)}`, yLabel: "loss", xLabel: AXES[state.x], own: true, series, log: low > 0 && Math.max(...all) / low > 12 };
  }, { height: 300, controls: [choice("compare-x", "x", "x", AXES, () => charts["compare-loss"].redraw())] }));

  const memory = lines("compare-memory", "Memory: accuracy by delay", "How much of what was shown is still right when it is asked for later. A line that stays high to the right is a long memory; the dashed rule is what guessing gives.", () => {
    const { memory } = told;
    if (!memory.length) return { empty: "No run recorded its accuracy by delay. The examples copy_task.py and adding_problem.py do, with --run FOLDER." };
    const far = Math.max(...memory.flatMap((m) => m.delay)), best = memory.filter((m) => m.delay.includes(far)).sort((a, b) => b.accuracy.at(-1) - a.accuracy.at(-1))[0], chance = memory.find((m) => m.chance != null)?.chance;
    return {
      title: `Memory: after a delay of ${number(far)} steps ${best.network} is right in ${percent(best.accuracy.at(-1))}`, yLabel: "accuracy", xLabel: "delay (steps)", own: true, yRange: [0, 1.05], names: percent, format: percent,
      series: memory.map((m, k) => ({ name: m.network, x: m.delay, y: m.accuracy, colour: paint(k), dash: DASHES[Math.floor(k / 6) % 4], width: 2.25 })), rules: chance == null ? [] : [{ y: chance, name: "guessing", colour: "s6" }],
    };
  });

  const { metric, networks } = told, high = metric.better === "higher";
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const known = (network) => network.values.filter((v) => v != null);
  const spread = (values) => (values.length < 2 ? 0 : Math.sqrt(values.reduce((a, v) => a + (v - mean(values)) ** 2, 0) / (values.length - 1)));
  const COSTS = { parameters: "parameters", ms: "ms a training step" };
  const scatter = new Figure({ id: "compare-cost", title: "Quality against cost", how: "The best place is the corner of high quality at low cost. The line joins the networks that no other beats in both. Bars: one standard deviation over the seeds.", keys: "The same numbers stand in the table", controls: [choice("compare-cost-by", "by", "cost", COSTS, () => charts["compare-cost"].redraw())] });
  charts["compare-cost"] = new Drawn(scatter, () => {
    const points = networks.map((network, k) => ({ k, name: network.label, x: network[state.cost], y: known(network).length ? mean(known(network)) : null, sd: spread(known(network)) })).filter((p) => p.x > 0 && p.y != null);
    if (!points.length) return { empty: `No run tells both its ${metric.name} and its ${COSTS[state.cost]}.` };
    const beats = (a, b) => (high ? a.y >= b.y : a.y <= b.y) && a.x <= b.x && (a.x < b.x || a.y !== b.y);
    const front = points.filter((p) => !points.some((q) => q !== p && beats(q, p))).sort((a, b) => a.x - b.x);
    return {
      title: `Quality against cost: ${front.length === 1 ? `${front[0].name} is best in both` : `${front.map((p) => `“${p.name}”`).join(" and ")} ${front.length === points.length ? "all " : ""}lie on the front`}`,
      label: `${metric.name}${high ? " (higher is better)" : " (lower is better)"}`,
      legend: [...points.map((p) => ({ name: p.name, colour: paint(p.k), kind: "dot", value: number(p.y) })), { name: "front", colour: "muted", dash: true }],
      data: () => ({ points, front: front.map((p) => p.name) }),
      table: () => ({ columns: ["network", COSTS[state.cost], metric.name, "sd over seeds", "on the front"], rows: points.map((p) => [p.name, number(p.x), number(p.y), p.sd ? number(p.sd) : "–", front.includes(p) ? "yes" : "no"]) }),
      paint(c, width, height) {
        const logs = points.map((p) => Math.log10(p.x)), air = Math.max(0.08, 0.12 * (Math.max(...logs) - Math.min(...logs)));
        const [low, top] = [Math.min(...logs) - air, Math.max(...logs) + air], x = (v) => LEFT + ((Math.log10(v) - low) / (top - low)) * (width - LEFT - RIGHT);
        const y = axis(c, points.flatMap((p) => [p.y - p.sd, p.y + p.sd]), width, height);
        c.textAlign = "center";
        c.fillStyle = colour("muted");
        let free = -Infinity;
        for (const at of logPlaces(low, top, width / 90)) {
          const half = c.measureText(logName(at)).width / 2, here = x(10 ** at);
          if (here - half < free + 10 || here + half > width) continue;
          c.fillText(logName(at), here, height - BOTTOM + 13);
          free = here + half;
        }
        c.textAlign = "left";
        c.fillText(`${COSTS[state.cost]}, logarithmic`, LEFT, height - BOTTOM + 31);
        stroke(c, front.map((p) => [x(p.x), y(p.y)]), colour("muted"), 1.5, [5, 4]);
        for (const p of points) {
          if (p.sd) stroke(c, [[x(p.x), y(p.y - p.sd)], [x(p.x), y(p.y + p.sd)]], colour(paint(p.k)), 2);
          mark(c, x(p.x), y(p.y), 6, paint(p.k), p.k);
        }
      },
    };
  }, { height: 280 });
  parts.push(scatter.root);

  const paired = new Figure({ id: "compare-seeds", title: "Seeds in pairs", how: "Each dot is one run, and a line joins the runs of one seed. Where several lines all rise or fall alike, the difference is hardly luck.", keys: "The same numbers stand in the table" });
  charts["compare-seeds"] = new Drawn(paired, () => {
    const seeds = [...new Set(networks.flatMap((n) => n.seeds))], value = (n, seed) => n.values[n.seeds.indexOf(seed)] ?? null;
    const shared = seeds.filter((seed) => networks.filter((n) => n.seeds.includes(seed) && value(n, seed) != null).length > 1);
    if (networks.length < 2) return { empty: "All these runs share one label, so they are seeds of one network: there is no other to pair them with." };
    if (!networks.some((n) => known(n).length)) return { empty: `No run tells its ${metric.name} yet.` };
    const [a, b] = networks, both = shared.filter((seed) => value(a, seed) != null && value(b, seed) != null), wins = both.filter((seed) => (value(b, seed) - value(a, seed)) * (high ? 1 : -1) > 0).length;
    return {
      title: both.length ? `Seeds in pairs: ${b.label} is better than ${a.label} in ${number(wins)} of ${number(both.length)}${both.length < 3 ? ", too few to say much" : ""}` : "Seeds: no two networks were trained from the same one",
      label: metric.name, legend: networks.map((n, k) => ({ name: n.label, colour: paint(k), kind: "dot" })),
      data: () => ({ networks: networks.map((n) => ({ label: n.label, seeds: n.seeds, values: n.values })), shared }),
      table: () => ({ columns: ["seed", ...networks.map((n) => n.label)], rows: seeds.map((seed) => [seed, ...networks.map((n) => number(value(n, seed)))]) }),
      paint(c, width, height) {
        const y = axis(c, networks.flatMap(known), width, height), x = (k) => LEFT + ((k + 0.5) / networks.length) * (width - LEFT - RIGHT);
        for (const seed of shared) stroke(c, networks.map((n, k) => (value(n, seed) == null ? null : [x(k), y(value(n, seed))])), colour("muted"), 1);
        const fits = networks.every((n) => c.measureText(n.label).width < (width - LEFT - RIGHT) / networks.length - 8); // else the legend tells
        networks.forEach((n, k) => {
          for (const v of known(n)) mark(c, x(k), y(v), 4.5, paint(k), k);
          c.fillStyle = colour("muted");
          c.textAlign = "center";
          c.font = `12px ${FONT}`;
          if (fits) c.fillText(n.label, x(k), height - BOTTOM + 14);
        });
      },
    };
  }, { height: 280 });
  parts.push(paired.root, memory);

  place.replaceChildren(element("div", { class: "charts" }, ...parts));
  for (const [id, chart] of Object.entries(charts)) if (id.startsWith("compare-")) chart.redraw();
}

// Each heading becomes a button that sorts by its column, and in the other direction when pressed again.
function sortable(table, say) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const name = head.textContent, mark = element("span", { class: "direction", "aria-hidden": "true" });
    head.replaceChildren(element("button", { type: "button", onclick: () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) {
        other.removeAttribute("aria-sort");
        other.querySelector(".direction").textContent = "";
      }
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      mark.textContent = up ? " ▲" : " ▼";
      const key = (row) => row.cells[column].dataset.sort;
      const order = (a, b) => {
        if (!key(a) || !key(b)) return (key(a) ? -1 : 0) + (key(b) ? 1 : 0); // what is not known comes last, either way
        return (up ? 1 : -1) * (column ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b)));
      };
      body.append(...[...body.rows].sort(order));
      say?.(`sorted by ${name}, ${up ? "rising" : "falling"}`);
    } }, name, mark));
  });
}

// The vertical axis of values: its grid and names are drawn, and where a value stands is given back.
function axis(c, values, width, height) {
  let [low, top] = [Math.min(...values), Math.max(...values)];
  const air = 0.12 * (top - low) || 0.1 * Math.abs(top) || 1, bottom = height - BOTTOM;
  [low, top] = [low - air, top + air];
  const y = (v) => bottom - ((v - low) / (top - low)) * (bottom - TOP), { places, step } = ticks(low, top, (bottom - TOP) / 40);
  c.font = `12px ${FONT}`;
  c.textAlign = "right";
  for (const at of places) {
    stroke(c, [[LEFT, y(at)], [width - RIGHT, y(at)]], colour("grid"), 1);
    c.fillStyle = colour("muted");
    c.fillText(inSteps(at, step), LEFT - 8, y(at));
  }
  return y;
}

function stroke(c, points, paint, width, dash = []) {
  c.strokeStyle = paint;
  c.lineWidth = width;
  c.setLineDash(dash);
  c.beginPath();
  for (const point of points) if (point) c.lineTo(...point);
  c.stroke();
  c.setLineDash([]);
}

// Networks are told apart by colour and by shape.
function mark(c, x, y, size, paint, shape) {
  c.fillStyle = colour(paint);
  c.beginPath();
  const corners = [0, 4, 3][shape % 3];
  if (!corners) c.arc(x, y, size, 0, 2 * Math.PI);
  else for (let k = 0; k < corners; k++) c.lineTo(x + 1.2 * size * Math.sin((2 * Math.PI * k) / corners), y - 1.2 * size * Math.cos((2 * Math.PI * k) / corners));
  c.fill();
}
