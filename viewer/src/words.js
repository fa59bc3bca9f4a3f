// Numbers as a reader wants to see them.

const HIGH = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export function number(value, digits = 3) {
  if (value === -Infinity) return "−∞";
  if (value == null || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (Number.isInteger(value) && size < 1e7) text = size.toLocaleString("en-US");
  else if (size >= 1e-3 && size < 1e6) text = Number(size.toPrecision(digits)).toLocaleString("en-US", { maximumFractionDigits: 8 });
  else {
    const [digit, exponent] = size.toExponential(digits - 1).split("e");
    text = `${Number(digit)}·${power(Number(exponent))}`;
  }
  return (value < 0 ? "−" : "") + text;
}

// A place on an axis, with as many decimals as its neighbours need to differ.
export function inSteps(value, step) {
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  if (decimals > 4 || Math.abs(value) >= 1e6) return number(value, 4);
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−");
}

export const power = (exponent) => `10${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((d) => HIGH[d]).join("")}`;

export const percent = (share) => (share == null ? "–" : `${number(100 * share)}\u00a0%`);

// Round places on an axis of log10: powers of ten, or where there are too few of them 1, 2 and 5 times these.
export function logPlaces(low, high, most = 6) {
  const places = [];
  if (high - low >= 2) {
    const stride = Math.max(1, Math.ceil((high - low) / most));
    for (let e = Math.ceil(low / stride) * stride; e <= high + 1e-9; e += stride) places.push(e);
    return places;
  }
  const digits = high - low > 0.9 ? [1, 2, 5] : high - low > 0.4 ? [1, 1.5, 2, 3, 4, 5, 7] : null;
  if (!digits) {
    const a = 10 ** low, b = 10 ** high, rough = (b - a) / 4, unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * unit).find((s) => s >= rough);
    for (let v = Math.ceil(a / step) * step; v <= b; v += step) places.push(Math.log10(v));
    return places;
  }
  for (let e = Math.floor(low); e <= high; e++)
    for (const digit of digits) {
      const place = e + Math.log10(digit);
      if (place >= low - 1e-9 && place <= high + 1e-9) places.push(place);
    }
  return places;
}

export const logName = (place) => (Number.isInteger(place) && Math.abs(place) > 3 ? power(place) : number(Number((10 ** place).toPrecision(3))));

const GATES = { i: "Input gate", f: "Forget gate", o: "Output gate", r: "Reset gate", z: "Update gate", g: "Candidate", n: "Candidate", u: "Candidate" };

export const gateName = (letter) => `${GATES[letter] ?? "Gate"} ${letter}`;
