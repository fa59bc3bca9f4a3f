// The frame of every chart: title, legend with the values at the cursor, the plot, a table in its place, a picture, a caption.

import { colour, FONT } from "./theme.js";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export class Figure {
  constructor({ id, title, how, size = "half", keys, controls = [] }) {
    this.id = id;
    this.title = title;
    this.heading = element("h3", { id: `title-${id}` }, title);
    this.tableButton = element("button", { type: "button", "aria-pressed": "false", onclick: () => this.toggleTable() }, "Table");
    this.pictureButton = element("button", { type: "button", onclick: () => this.savePicture() }, "PNG");
    this.legend = element("ul", { class: "legend" });
    this.label = element("p", { class: "y-label" });
    this.plot = element("div", { class: "plot", tabindex: "0", role: "img", "aria-labelledby": `title-${id}`, "aria-describedby": `how-${id} keys`, "aria-description": keys });
    this.empty = element("p", { class: "missing", hidden: true });
    this.tableBox = element("div", { class: "scroll", tabindex: "0", hidden: true });
    this.caption = element("figcaption", { class: "how", id: `how-${id}` }, how);
    this.tools = element("div", { class: "tools" }, ...controls, this.tableButton, this.pictureButton);
    this.root = element(
      "figure", { class: `chart chart-${size}`, id: `chart-${id}` },
      element("div", { class: "head" }, this.heading, this.tools),
      this.empty, this.legend, this.label, this.plot, this.tableBox, this.caption,
    );
    this.columns = () => ({ columns: [], rows: [] });
  }

  retitle(title, how) {
    this.title = title;
    this.heading.textContent = title;
    this.caption.textContent = how;
  }

  // Nothing to draw: say why, and take away what is of no use then.
  setEmpty(why) {
    this.empty.textContent = why ?? "";
    this.empty.hidden = !why;
    for (const part of [this.legend, this.label, this.plot, this.tools, this.caption]) part.hidden = Boolean(why);
    if (why) this.tableBox.hidden = true;
    else this.showTable(this.tableButton.getAttribute("aria-pressed") === "true");
  }

  // items: {name, colour, dash, kind, on}; the value beside each is set by setValues.
  setLegend(items, onToggle) {
    this.items = items;
    this.values = items.map(() => element("output", {}, ""));
    this.legend.replaceChildren(
      ...items.map((item, index) => {
        const key = element("i", { class: `key ${item.kind ?? "line"}${item.dash ? " dash" : ""}`, style: `--key:${item.colour};opacity:${item.alpha ?? 1}` });
        const name = element("span", { class: "name" }, item.name);
        const parts = [key, name, this.values[index]];
        if (!onToggle) return element("li", {}, ...parts);
        return element("li", {}, element("button", { type: "button", "aria-pressed": String(item.on !== false), onclick: () => onToggle(item.name) }, ...parts));
      }),
    );
  }

  setValues(texts) {
    texts.forEach((text, index) => {
      if (this.values?.[index]) this.values[index].textContent = text;
    });
  }

  toggleTable() {
    const on = this.tableButton.getAttribute("aria-pressed") !== "true";
    this.tableButton.setAttribute("aria-pressed", String(on));
    this.showTable(on);
  }

  showTable(on) {
    for (const part of [this.legend, this.label, this.plot]) part.hidden = on;
    this.tableBox.hidden = !on;
    if (!on) return;
    const { columns, rows } = this.columns(), stride = Math.max(1, Math.ceil(rows.length / 200));
    const kept = rows.filter((_, index) => index % stride === 0 || index === rows.length - 1);
    this.tableBox.replaceChildren(
      element(
        "table", {},
        element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)))),
        element("tbody", {}, ...kept.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))),
      ),
      ...(stride > 1 ? [element("p", { class: "how" }, `Every ${stride}th of ${rows.length.toLocaleString("en-US")} rows.`)] : []),
    );
  }

  // Title, legend and plot as one picture on the page's ground.
  // `drawn`: the plot as a canvas, where it is not one already.
  picture(drawn = this.plot.querySelector("canvas")) {
    const scale = devicePixelRatio || 1;
    const width = drawn.width / scale, made = document.createElement("canvas"), pad = 16, context = made.getContext("2d");
    const fit = (text, font) => {
      const lines = [""];
      context.font = font;
      for (const word of text.split(" ")) {
        const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
        if (context.measureText(longer).width > width && lines.at(-1)) lines.push(word);
        else lines[lines.length - 1] = longer;
      }
      return lines;
    };
    const titleFont = `600 16px ${FONT}`, font = `13px ${FONT}`, title = fit(this.title, titleFont), legend = [];
    context.font = font;
    let x = 0, row = 0;
    for (const item of this.items ?? []) {
      const wide = context.measureText(item.name).width + 44;
      if (x && x + wide > width) [x, row] = [0, row + 1];
      legend.push([item, x, row]);
      x += wide;
    }
    const legendTop = pad + 22 * title.length, labelTop = legendTop + (legend.length ? 20 * (row + 1) + 4 : 0), plotTop = labelTop + (this.label.textContent ? 20 : 4);
    made.width = (width + 2 * pad) * scale;
    made.height = (plotTop + drawn.height / scale + pad) * scale;
    context.scale(scale, scale);
    context.fillStyle = colour("ground");
    context.fillRect(0, 0, made.width, made.height);
    context.textBaseline = "middle";
    context.font = titleFont;
    context.fillStyle = colour("ink");
    title.forEach((line, index) => context.fillText(line, pad, pad + 22 * index + 10));
    context.font = font;
    for (const [item, left, line] of legend) {
      const y = legendTop + 20 * line + 12;
      context.fillStyle = item.colour;
      if (item.kind === "dot") context.fillRect(pad + left + 7, y - 4, 8, 8);
      else if (["area", "bar", "step"].includes(item.kind)) context.fillRect(pad + left, y - 5, 22, 10);
      else for (const [from, wide] of item.dash ? [[0, 6], [8, 6], [16, 6]] : [[0, 22]]) context.fillRect(pad + left + from, y - 1, wide, 2.5);
      context.fillStyle = colour("ink");
      context.fillText(item.name, pad + left + 28, y);
    }
    context.fillStyle = colour("muted");
    context.fillText(this.label.textContent, pad, labelTop + 10);
    context.drawImage(drawn, pad, plotTop, width, drawn.height / scale);
    return made;
  }

  // A chart that is drawn as SVG or text gives itself a `drawing`: a function, or one that promises, a canvas of it.
  async savePicture() {
    this.picture(await this.drawing?.()).toBlob((blob) => {
      const address = URL.createObjectURL(blob);
      element("a", { href: address, download: `elman-${this.id}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 1000);
    });
  }
}
