// Patterns as small pictures, a square for each unit.

import { colour, isDark } from "./theme.js";

// Rows and columns of a pattern; one that is no picture is wrapped into a square.
export function sides(shape) {
  if (shape.length === 2) return shape;
  const wide = Math.ceil(Math.sqrt(shape[0]));
  return [Math.ceil(shape[0] / wide), wide];
}

// Grey by value, from `low` (the page's ground) to `high` (its ink). Drawn as one image, so that no seams show between the squares.
export function grid(c, values, shape, { x, y, size, low = -1, high = 1 }) {
  const [rows, columns] = sides(shape), side = size / Math.max(rows, columns), [dark, light] = isDark() ? [24, 236] : [250, 20];
  const image = document.createElement("canvas");
  Object.assign(image, { width: columns, height: rows });
  const context = image.getContext("2d"), pixels = context.createImageData(columns, rows);
  values.forEach((v, k) => {
    const share = Math.min(1, Math.max(0, (v - low) / (high - low || 1))), grey = Math.round(dark + share * (light - dark));
    pixels.data.set([grey, grey, grey, 255], 4 * k);
  });
  context.putImageData(pixels, 0, 0);
  c.imageSmoothingEnabled = false;
  c.drawImage(image, x, y, columns * side, rows * side);
  c.strokeStyle = colour("muted");
  c.lineWidth = 1;
  c.strokeRect(x - 0.5, y - 0.5, columns * side + 1, rows * side + 1);
}

// The ends of the greys: -1 and 1 of units, what is stored of patterns of any numbers.
export const ends = (kind, patterns) => (kind === "modern" ? { low: Math.min(...patterns.map((x) => Math.min(...x))), high: Math.max(...patterns.map((x) => Math.max(...x))) } : { low: -1, high: 1 });
