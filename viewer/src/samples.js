// What the network says on a few fixed cases, snapshot by snapshot: forecasts as lines from pale to dark, or texts.

import { axisBelow, axisBeside, Drawing, DRAWING_HELP } from "./drawing.js";
import { element, Figure } from "./figure.js";
import { frame, spaced, ticks } from "./snapshots.js";
import { colour, FONT } from "./theme.js";
import { number } from "./words.js";

const SHOWN = 7; // snapshots in one picture, beside the one at the cursor
const FACET = 210;
const MONO = "13px ui-monospace, 'SF Mono', Menlo, Consolas, monospace";

export function samplesChart(view, charts, { all, steps, index, made, move, say, none }) {
  const which = element("select", { id: "sample", onchange: () => charts.samples.redraw() });
  const label = element("label", { for: "sample" }, which);
  const figure = new Figure({ id: "samples", title: "Samples as it learns", how: "", size: "whole", controls: [label], keys: DRAWING_HELP });
  charts.samples = new Drawing(figure, view, () => ({ anew: made, made: made(), ...describe() }), { move, say });

  function describe() {
    const title = "Samples as it learns", kept = all().filter((snapshot) => snapshot.samples?.kind), last = kept.at(-1)?.samples;
    label.hidden = last?.kind !== "text";
    if (!all().length) return { title, empty: none };
    if (!last) return { title, empty: "The snapshots hold no samples of what this network says; what one writes stands above, before the loss." };
    const at = kept.map((snapshot) => snapshot.step), now = Math.max(0, at.indexOf(steps()[index()]));
    const shown = [...new Set([...spaced(kept.length, SHOWN), now])].sort((a, b) => a - b);
    return last.kind === "text" ? texts(kept, at, now, shown) : forecasts(kept, at, now, shown);
  }

  function forecasts(kept, at, now, shown) {
    const { label: names, history, truth } = kept.at(-1).samples;
    const off = (k) => {
      const errors = kept[k].samples.forecast.flatMap((row, n) => row.map((v, t) => (truth[n]?.[t] == null || v == null ? null : Math.abs(v - truth[n][t])))).filter((e) => e != null);
      return errors.reduce((a, b) => a + b, 0) / errors.length;
    };
    const many = (width) => Math.max(1, Math.min(3, Math.floor(width / 300)));
    return {
      title: `Forecasts as it learns: at step ${number(at[now])} they are off by ${number(off(now))} on average${now ? `, at step ${number(at[0])} by ${number(off(0))}` : ""}`,
      how: "The same windows of the validation part, forecast at each snapshot. The strongest line is what was measured; the forecasts go from faint (early) to strong (late), and the one at the cursor is thick. Before 0 lies what the network had read.",
      legend: [{ name: "measured", colour: colour("ink") }, { name: `forecast at step ${number(at[now])}`, colour: colour("s2") }, { name: `other snapshots, faint to strong: step ${shown.map((k) => number(at[k])).join(", ")}`, colour: colour("s1") }],
      label: "value, in the target's unit",
      height: (width) => Math.ceil(names.length / many(width)) * FACET + 8,
      paint(c, width, height, marks) {
        const columns = many(width), wide = width / columns;
        names.forEach((name, n) => {
          const x0 = (n % columns) * wide, y0 = Math.floor(n / columns) * FACET, left = x0 + 48, right = x0 + wide - 14, top = y0 + 26, bottom = y0 + FACET - 42;
          const past = history[n].length, ahead = truth[n].length, values = [history[n], truth[n], ...shown.map((k) => kept[k].samples.forecast[n])].flat().filter((v) => v != null);
          let [low, high] = [Math.min(...values), Math.max(...values)];
          const air = 0.06 * (high - low) || 0.5;
          [low, high] = [low - air, high + air];
          const x = (t) => left + ((t + past - 1) / (past + ahead - 1)) * (right - left), y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
          c.font = `12px ${FONT}`;
          c.fillStyle = colour("ink");
          c.textAlign = "left";
          c.textBaseline = "top";
          c.fillText(fitted(c, name, right - left), left, y0 + 7);
          frame(c, left, top, right, bottom);
          c.strokeStyle = colour("grid");
          c.beginPath();
          c.moveTo(x(0), top);
          c.lineTo(x(0), bottom);
          c.stroke();
          const trace = (row, from, paint, thick, alpha) => {
            c.strokeStyle = paint;
            c.lineWidth = thick;
            c.globalAlpha = alpha;
            c.lineJoin = "round";
            c.beginPath();
            let open = false;
            row.forEach((v, t) => {
              if (v != null) open ? c.lineTo(x(from + t), y(v)) : c.moveTo(x(from + t), y(v));
              open = v != null;
            });
            c.stroke();
            c.globalAlpha = 1;
          };
          shown.forEach((k, place) => k !== now && trace(kept[k].samples.forecast[n], 1, colour("s1"), 1.5, 0.2 + (0.7 * (place + 1)) / shown.length));
          trace([...history[n], ...truth[n]], 1 - past, colour("ink"), 1.75, 1);
          trace(kept[now].samples.forecast[n], 1, colour("s2"), 2.5, 1);
          kept[now].samples.forecast[n].forEach((v, t) => v != null && marks.push({ x: x(t + 1), y: y(v), text: `${name}, ${t + 1} ahead: ${number(v)}, measured ${number(truth[n][t])}` }));
          axisBelow(c, ticks(1 - past, ahead, 5, true).map((v) => [v, number(v)]), x, bottom, left - 10, right + 10, n >= names.length - columns ? "steps from the end of what was read" : "");
          axisBeside(c, ticks(low, high, 4).map((v) => [v, number(v)]), y, left);
        });
      },
      data: { at, now: at[now], label: names, history, truth, forecast: kept.map((snapshot) => snapshot.samples.forecast) },
      table: () => ({ columns: ["window", "step ahead", "measured", ...shown.map((k) => `step ${number(at[k])}`)], rows: names.flatMap((name, n) => truth[n].map((v, t) => [name, String(t + 1), number(v), ...shown.map((k) => number(kept[k].samples.forecast[n][t]))])) }),
    };
  }

  // A row a snapshot: its step, what the network was given, and after it in colour what it said.
  function texts(kept, at, now, shown) {
    const count = kept.at(-1).samples.text.length, before = which.value;
    which.replaceChildren(...Array.from({ length: count }, (_, n) => element("option", { value: String(n) }, `Sample ${n + 1}`)));
    which.value = Number(before) < count ? before || "0" : "0";
    label.hidden = count < 2;
    const n = Number(which.value), prompt = (k) => kept[k].samples.prompt?.[n] ?? "", text = (k) => kept[k].samples.text[n] ?? "";
    const room = (width) => Math.max(10, Math.floor((width - 84) / 7.9));
    const rows = (width) => shown.map((k) => ({ k, lines: wrapped(prompt(k), text(k), room(width)) }));
    return {
      title: `Samples as it learns: what the network says at step ${number(at[now])}, and at ${number(shown.length - 1)} other steps`,
      how: "The same beginning, continued at each snapshot with the same random numbers. What the network was given is grey, what it said is in colour; the row at the cursor is marked.",
      height: (width) => rows(width).reduce((high, { lines }) => high + 19 * lines.length + 14, 8),
      paint(c, width, height, marks) {
        let y = 8;
        for (const { k, lines } of rows(width)) {
          const high = 19 * lines.length + 14;
          if (k === now) {
            c.fillStyle = colour("s2");
            c.fillRect(0, y, 3, high - 6);
          }
          c.textBaseline = "top";
          c.font = `12px ${FONT}`;
          c.fillStyle = colour("muted");
          c.textAlign = "right";
          c.fillText(number(at[k]), 64, y + 2);
          c.textAlign = "left";
          c.font = MONO;
          lines.forEach((line, row) => {
            let x = 78;
            for (const [said, piece] of line) {
              c.fillStyle = colour(said ? "s1" : "muted");
              c.fillText(piece, x, y + 1 + 19 * row);
              x += c.measureText(piece).width;
            }
          });
          marks.push({ x: 70, y, width: width - 72, height: high - 6, text: `step ${number(at[k])}`, pick: () => view.set({ step: at[k] }) });
          y += high;
        }
      },
      data: { at, now: at[now], text: kept.map((snapshot) => snapshot.samples.text), prompt: kept.map((snapshot) => snapshot.samples.prompt ?? []) },
      table: () => ({ columns: ["training step", "given", "said"], rows: shown.map((k) => [number(at[k]), prompt(k), text(k)]) }),
    };
  }
  return figure.root;
}

// Lines of so many characters, each a list of [was it said by the network, piece]; at most four lines.
export function wrapped(prompt, text, room) {
  const signs = [...[...prompt].map((sign) => [false, sign]), ...[...text].map((sign) => [true, sign])], lines = [[]];
  let used = 0;
  for (const [said, sign] of signs) {
    if (sign === "\n" || used === room) {
      if (lines.length === 4) {
        lines.at(-1).push([said, "…"]);
        break;
      }
      lines.push([]);
      used = 0;
      if (sign === "\n") continue;
    }
    const piece = lines.at(-1).at(-1);
    if (piece?.[0] === said) piece[1] += sign;
    else lines.at(-1).push([said, sign]);
    used++;
  }
  return lines;
}

function fitted(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && c.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}
