// What was seen inside a few sequences, as src/elman/report/inside.py packed it.

// Numbers of any shape; NaN where one is missing.
export function unpack({ shape, bits, low, step, codes, exact }) {
  const bytes = atob(codes), wide = bits / 8, gone = exact ? -1 : 2 ** bits - 1;
  const values = new Float64Array(bytes.length / wide);
  for (let i = 0; i < values.length; i++) {
    const code = wide === 1 ? bytes.charCodeAt(i) : bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    values[i] = code === gone ? NaN : low + step * code;
  }
  return { shape, values };
}

// The part of an array that belongs to one index of its first dimension.
export function part({ shape, values }, index) {
  const size = values.length / shape[0];
  return values.subarray(index * size, (index + 1) * size);
}

const lazily = (made) => {
  let value;
  return () => (value ??= made());
};

// One run's look, decoded when asked for.
export class Seen {
  constructor(raw) {
    Object.assign(this, raw);
    this.count = raw.sequences;
    this.first = raw.first_output;
    for (const name of ["connectivity", "connected", "output_values", "truth", "surprisal", "top", "top_share", "text", "along"]) {
      const get = lazily(() => (raw[name] ? unpack(raw[name]) : null));
      Object.defineProperty(this, name, { get });
    }
    this.saliency = { ...raw.saliency, ...Object.fromEntries(["gradient", "integrated", "occlusion"].map((name) => [name, unpack(raw.saliency[name])])) };
    this.layers = raw.layers.map((layer) => new SeenLayer(layer));
    this.answers = raw.steps - this.first; // outputs belong to so many last steps
  }

  get isText() {
    return this.text != null;
  }

  // Letters stand side by side, words apart.
  get glue() {
    return (this.joint ??= this.words.every((word) => [...word].length <= 1) ? "" : " ");
  }

  word(sequence, t) {
    return this.words[this.text.values[sequence * this.steps + t]];
  }

  stepName(sequence, t) {
    return this.times?.[sequence]?.[t] ?? `step ${this.skipped + t + 1}`;
  }

  // What a reader finds at a step: the word, or the time.
  place(sequence, t) {
    return this.isText ? visible(this.word(sequence, t)) : this.stepName(sequence, t);
  }

  // The same in a sentence, where a letter alone would not tell which.
  spot(sequence, t) {
    return this.isText ? `${this.place(sequence, t)} (step ${this.skipped + t + 1})` : this.stepName(sequence, t);
  }

  // The series k of a sequence, null where it is not known.
  series(sequence, k = 0) {
    this.lines ??= this.read.map(unpack);
    return [...part(this.lines[k], sequence)].map(finite);
  }

  // Output k of a sequence at every step, null before the first; where it says something of the whole only, of the steps so far.
  output(sequence, k) {
    if (this.along) return [...part(this.along, sequence)].filter((_, at) => at % this.along.shape[2] === k).map(finite);
    const { shape: [, T, many], values } = this.output_values;
    return [...Array(this.first).fill(null), ...Array.from({ length: T }, (_, t) => finite(values[(sequence * T + t) * many + k]))];
  }

  known(sequence) {
    if (!this.truth) return null;
    return [...Array(this.first).fill(null), ...[...part(this.truth, sequence)].map(finite)];
  }
}

class SeenLayer {
  constructor(raw) {
    this.raw = raw;
    Object.assign(this, raw);
    for (const name of ["h", "c", "contributions", "wide"]) Object.defineProperty(this, name, { get: lazily(() => raw[name] && unpack(raw[name])) });
    this.gate = {};
    for (const letter of raw.gates) Object.defineProperty(this.gate, letter, { get: lazily(() => unpack(raw.gate[letter])), enumerable: true });
    Object.defineProperty(this, "path", { get: lazily(() => ({ all: unpack(raw.path), own: unpack(raw.path.own) })) });
  }

  get size() {
    return this.kept.length;
  }

  // A number of one unit at one step: of h, of c or of a gate.
  at(array, sequence, t, unit) {
    const [, T, units] = array.shape;
    return array.values[(sequence * T + t) * units + unit];
  }

  // One unit over time.
  line(array, sequence, unit) {
    const [, T, units] = array.shape, start = sequence * T;
    return Array.from({ length: T }, (_, t) => finite(array.values[(start + t) * units + unit]));
  }

  partAt(t) {
    return this.parts.filter((p) => p.first <= t).at(-1).name;
  }
}

export const finite = (value) => (Number.isNaN(value) ? null : value);

// A word as it can be seen: blanks and ends of lines have a sign of their own.
export function visible(word) {
  return word === " " ? "␣" : word === "\n" ? "↵" : word === "\t" ? "⇥" : word === "" ? "∅" : word;
}

// Where one part of the network hands over to the next, and where the outputs begin.
export function uprights({ seen, view }) {
  const layer = seen.layers[view.state.layer];
  const found = layer.parts.slice(1).map((part) => ({ at: part.first, name: `${part.name} from here` }));
  if (!found.length && seen.first && !seen.along) found.push({ at: seen.first, name: "outputs from here" });
  return found.map(({ at, name }) => ({ at, x: at - 0.5, name }));
}
