// A figure that is painted on a canvas of its own kind, of one snapshot or of all. `describe()` says what to draw:
//   {empty: why} or {title, how, legend, label, height, paint(c, width, height), marks, table, data}
// `marks` are the things that a reader may ask about, each {x, y, text}, filled in while it is painted; `anew` names what the
// picture depends on, so that a cursor that moves within one snapshot costs nothing.

import { colour, FONT } from "./theme.js";

export const DRAWING_HELP = "Left and right go to the snapshot before and after; up and down go through what is drawn";

export class Drawing {
  constructor(figure, view, describe, { move, say } = {}) {
    Object.assign(this, { figure, view, describe, move, say, mark: -1 });
    this.canvas = document.createElement("canvas");
    figure.plot.append(this.canvas);
    figure.columns = () => this.spec.table();
    figure.plot.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("click", (event) => this.hover(event, true));
    this.canvas.addEventListener("pointerleave", () => this.show(-1));
    new ResizeObserver(() => this.resize()).observe(figure.root);
  }

  get data() {
    return this.spec && !this.spec.empty ? this.spec.data : { empty: this.spec?.empty ?? "" };
  }

  redraw() {
    const spec = (this.spec = this.describe()), figure = this.figure;
    if (spec.title) figure.retitle(spec.title, spec.how ?? "");
    figure.setEmpty(spec.empty);
    this.mark = -1;
    if (spec.empty) return;
    figure.label.textContent = spec.label ?? "";
    figure.setLegend([...(spec.legend ?? []), { name: "under the cursor", colour: colour("ink"), kind: "dot" }]);
    this.paint();
    if (!figure.tableBox.hidden) figure.showTable(true);
  }

  paint() {
    const { spec, canvas } = this, scale = devicePixelRatio || 1, width = (this.width = this.figure.root.clientWidth);
    if (!width || !spec || spec.empty) return;
    const height = typeof spec.height === "function" ? spec.height(width) : spec.height;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d");
    c.scale(scale, scale);
    c.font = `12px ${FONT}`;
    c.imageSmoothingEnabled = false;
    spec.marks = [];
    spec.paint(c, width, height, spec.marks);
    const mark = spec.marks[this.mark];
    if (mark) ring(c, mark);
    this.figure.setValues([...(spec.legend ?? []).map(() => ""), mark ? mark.text : "nothing yet"]);
  }

  hover(event, picked = false) {
    if (!this.spec || this.spec.empty) return;
    const { offsetX: x, offsetY: y } = event;
    let best = -1, least = 18 ** 2;
    this.spec.marks.forEach((mark, index) => {
      const inside = mark.width ? x >= mark.x && x < mark.x + mark.width && y >= mark.y && y < mark.y + mark.height : false;
      const far = mark.width ? (inside ? 0 : Infinity) : (mark.x - x) ** 2 + (mark.y - y) ** 2;
      if (far < least) [best, least] = [index, far];
    });
    this.show(best);
    if (picked && best >= 0) this.spec.marks[best].pick?.();
  }

  show(mark) {
    if (mark === this.mark || !this.spec || this.spec.empty) return;
    this.mark = mark;
    this.paint();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.spec || this.spec.empty) return;
    const count = this.spec.marks.length;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.move?.(event.key === "ArrowLeft" ? -1 : 1);
    else if (event.key === "Home" || event.key === "End") this.move?.(event.key === "Home" ? -Infinity : Infinity);
    else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && count) {
      this.show((this.mark + (event.key === "ArrowDown" ? 1 : count - 1) + (this.mark < 0 && event.key === "ArrowUp" ? 1 : 0)) % count);
      this.say?.(this.spec.marks[this.mark].text);
      event.preventDefault();
      return;
    } else return;
    event.preventDefault();
    this.say?.(this.figure.title);
  }

  zoomed() {
    if (this.spec?.zooms) this.paint();
  }

  follow() {
    if (this.spec && this.spec.anew?.() !== this.spec.made) this.redraw();
  }

  resize() {
    if (this.spec && !this.spec.empty && this.figure.root.clientWidth !== this.width) this.paint();
  }
}

function ring(c, mark) {
  c.strokeStyle = colour("ink");
  c.lineWidth = 2;
  c.beginPath();
  if (mark.width) c.rect(mark.x, mark.y, mark.width, mark.height);
  else c.arc(mark.x, mark.y, 7, 0, 2 * Math.PI);
  c.stroke();
}

// Numbers below and beside a box; `places` are [value, text], `at(value)` their place.
export function axisBelow(c, places, at, bottom, left, right, name) {
  c.fillStyle = colour("muted");
  c.textBaseline = "top";
  c.textAlign = "center";
  let free = -Infinity;
  for (const [value, text] of places) {
    const half = c.measureText(text).width / 2, x = Math.min(right - half, Math.max(left + half, at(value)));
    if (x - half < free) continue;
    c.fillText(text, x, bottom + 7);
    free = x + half + 10;
  }
  if (name) c.fillText(name, (left + right) / 2, bottom + 25);
}

export function axisBeside(c, places, at, left) {
  c.fillStyle = colour("muted");
  c.textBaseline = "middle";
  c.textAlign = "right";
  let free = null;
  for (const [value, text] of places) {
    const y = at(value);
    if (free != null && Math.abs(y - free) < 15) continue;
    c.fillText(text, left - 7, y);
    free = y;
  }
}
