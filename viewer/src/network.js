// A trained network, run in the page: what src/elman/models and src/elman/layers compute, one step at a time.
// The equations and the order of the gates stand in src/elman/kernels/reference.py and gated_reference.py, layers/lru.py and slstm.py.
// Weights are halves (see src/elman/report/networks.py), all that is computed with them is in double precision.

export function halves(text) {
  const bytes = atob(text), numbers = new Float32Array(bytes.length / 2);
  for (let k = 0; k < numbers.length; k++) numbers[k] = half(bytes.charCodeAt(2 * k) | (bytes.charCodeAt(2 * k + 1) << 8));
  return numbers;
}

// 1 bit of sign, 5 of the exponent, 10 of the fraction.
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
}

export function floats(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, k) => view.getFloat32(4 * k, true));
}

const sigmoid = (v) => 1 / (1 + Math.exp(-v));
const softplus = (v) => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
const logsigmoid = (v) => -softplus(-v);
const positive = (v) => (v >= 0 ? v + 0.5 : sigmoid(v));

// W (rows, columns) x + b. An x that is a number is a one-hot vector: a column of W.
export function product(W, x, b, rows) {
  const columns = W.length / rows, y = new Float64Array(rows);
  for (let r = 0, at = 0; r < rows; r++, at += columns) {
    let sum = b ? b[r] : 0;
    if (typeof x === "number") sum += W[at + x];
    else for (let k = 0; k < columns; k++) sum += W[at + k] * x[k];
    y[r] = sum;
  }
  return y;
}

// Of each cell: its state's parts with their sizes in units, and one step: weights w, x and the state to {y, state}.
const CELLS = {
  RNN: {
    parts: ["h"],
    step(w, x, [h], H, { nonlinearity }) {
      const a = product(w.weight_ih, x, w.bias_ih, H), u = product(w.weight_hh, h, w.bias_hh, H);
      const next = a.map((v, k) => (nonlinearity === "relu" ? Math.max(0, v + u[k]) : Math.tanh(v + u[k])));
      return [next, [next]];
    },
  },
  LSTM: {
    parts: ["h", "c"],
    step(w, x, [h, c], H) {
      const a = product(w.weight_ih, x, w.bias_ih, 4 * H), u = product(w.weight_hh, h, w.bias_hh, 4 * H);
      const bar = (gate, k) => a[gate * H + k] + u[gate * H + k];
      const memory = c.map((v, k) => sigmoid(bar(1, k)) * v + sigmoid(bar(0, k)) * Math.tanh(bar(2, k)));
      const next = memory.map((v, k) => sigmoid(bar(3, k)) * Math.tanh(v));
      return [next, [next, memory]];
    },
  },
  GRU: {
    parts: ["h"],
    step(w, x, [h], H) {
      const a = product(w.weight_ih, x, w.bias_ih, 3 * H), u = product(w.weight_hh, h, w.bias_hh, 3 * H);
      const next = h.map((v, k) => {
        const r = sigmoid(a[k] + u[k]), z = sigmoid(a[H + k] + u[H + k]), n = Math.tanh(a[2 * H + k] + r * u[2 * H + k]);
        return (1 - z) * n + z * v;
      });
      return [next, [next]];
    },
  },
  MinGRU: {
    parts: ["h"],
    step(w, x, [h], H, { nonlinearity }) {
      const p = product(w.weight_ih, x, w.bias_ih, 2 * H), g = nonlinearity === "positive" ? positive : (v) => v;
      const next = h.map((v, k) => {
        const z = sigmoid(p[k]);
        return (1 - z) * v + z * g(p[H + k]);
      });
      return [next, [next]];
    },
  },
  MinLSTM: {
    parts: ["h"],
    step(w, x, [h], H, { nonlinearity }) {
      const p = product(w.weight_ih, x, w.bias_ih, 3 * H), g = nonlinearity === "positive" ? positive : (v) => v;
      const next = h.map((v, k) => {
        const i = sigmoid(logsigmoid(p[k]) - logsigmoid(p[H + k]));
        return (1 - i) * v + i * g(p[2 * H + k]);
      });
      return [next, [next]];
    },
  },
  RGLRU: {
    parts: ["h"],
    step(w, x, [h], H) {
      const p = product(w.weight_ih, x, w.bias_ih, 3 * H);
      const next = h.map((v, k) => {
        const log_a = -8 * softplus(w.Lambda[k]) * sigmoid(p[k]);
        return Math.exp(log_a) * v + Math.sqrt(-Math.expm1(2 * log_a)) * (sigmoid(p[H + k]) * p[2 * H + k]);
      });
      return [next, [next]];
    },
  },
  LRU: {
    parts: ["re", "im"],
    step(w, x, [re, im], H) {
      const b = product(w.weight_ih, x, null, 2 * H), direct = product(w.weight_io, x, w.bias_o, H);
      const real = new Float64Array(H), imaginary = new Float64Array(H);
      for (let k = 0; k < H; k++) {
        const size = Math.exp(-Math.exp(w.nu_log[k])), angle = Math.exp(w.theta_log[k]), gamma = Math.exp(w.gamma_log[k]);
        const a = size * Math.cos(angle), c = size * Math.sin(angle);
        real[k] = a * re[k] - c * im[k] + gamma * b[k];
        imaginary[k] = a * im[k] + c * re[k] + gamma * b[H + k];
      }
      const joined = new Float64Array(2 * H); // Re(C h) = Re C Re h - Im C Im h
      joined.set(real);
      joined.set(imaginary.map((v) => -v), H);
      return [product(w.weight_ho, joined, null, H).map((v, k) => v + direct[k]), [real, imaginary]];
    },
  },
  SLSTM: {
    parts: ["h", "c", "n", "m"],
    step(w, x, [h, c, n, m], H) {
      const a = product(w.weight_ih, x, w.bias_ih, 4 * H), d = w.weight_hh.length / (4 * H); // units of a head
      const next = [0, 1, 2, 3].map(() => new Float64Array(H));
      for (let k = 0; k < H; k++) {
        const [i, f, g, o] = [0, 1, 2, 3].map((gate) => {
          const row = (gate * H + k) * d, head = k - (k % d);
          let sum = a[gate * H + k];
          for (let j = 0; j < d; j++) sum += w.weight_hh[row + j] * h[head + j];
          return sum;
        });
        const past = logsigmoid(f) + (n[k] === 0 ? -Infinity : m[k]), most = Math.max(past, i);
        const open = Math.exp(i - most), keep = Math.exp(past - most);
        next[1][k] = keep * c[k] + open * Math.tanh(g);
        next[2][k] = keep * n[k] + open;
        next[3][k] = most;
        next[0][k] = sigmoid(o) * (next[1][k] / next[2][k]);
      }
      return [next[0], next];
    },
  },
};

class Stack {
  constructor(name, spec, tensors) {
    Object.assign(this, spec, { name, spec });
    this.weights = Array.from({ length: spec.layers }, (_, layer) => {
      const begin = `${name}.`, end = `_l${layer}`, own = {};
      for (const [key, tensor] of Object.entries(tensors)) if (key.startsWith(begin) && key.endsWith(end)) own[key.slice(begin.length, -end.length)] = tensor;
      return own;
    });
  }

  initial() {
    return this.weights.map(() => CELLS[this.cell].parts.map(() => new Float64Array(this.units)));
  }

  // x, a vector or the place of a one-hot one, and the state of all layers to {y, state, outputs}: of the last layer, of all layers.
  // `held`: {layer, unit, value} is what a unit gives at every step, and keeps where that is its state, whatever its equations say.
  step(x, state, held) {
    const after = [], outputs = [];
    let y = x;
    this.weights.forEach((w, layer) => {
      let [out, parts] = CELLS[this.cell].step(w, y, state[layer], this.units, this.spec);
      if (held && held.layer === layer) {
        out = Float64Array.from(out);
        out[held.unit] = held.value;
        if (this.cell !== "LRU") parts = [out, ...parts.slice(1)];
      }
      after.push(parts);
      outputs.push((y = out));
    });
    return { y, state: after, outputs };
  }
}

export class Network {
  constructor(spec) {
    const numbers = halves(spec.weights);
    this.tensors = {};
    let at = 0;
    for (const [name, ...shape] of spec.shapes) {
      const size = shape.reduce((a, b) => a * b, 1);
      this.tensors[name] = numbers.subarray(at, (at += size));
    }
    this.stacks = Object.fromEntries(Object.entries(spec.stacks).map(([name, stack]) => [name, new Stack(name, stack, this.tensors)]));
  }
}

// elman.models.language.LanguageModel.
export class LanguageModel extends Network {
  constructor(spec) {
    super(spec);
    this.size = spec.vocabulary.length;
    this.layer = this.stacks.layer;
    const table = this.tensors["embedding.weight"];
    if (spec.embedded) {
      const wide = table.length / this.size;
      this.embed = (token) => table.subarray(token * wide, (token + 1) * wide);
    } else this.embed = (token) => token;
    this.head = spec.tied ? table : this.tensors["head.weight"];
  }

  initial() {
    return this.layer.initial();
  }

  step(token, state, held) {
    const made = this.layer.step(this.embed(token), state, held);
    return { ...made, logits: product(this.head, made.y, this.tensors["head.bias"], this.size) };
  }
}

// elman.models.sequence.EncoderForecaster: rows of x to rows of outputs.
export class Forecaster extends Network {
  constructor(spec) {
    super(spec);
    this.horizon = spec.horizon;
  }

  forecast(rows) {
    const { encoder, decoder } = this.stacks, begin = rows.length - this.horizon, bias = this.tensors["head.bias"];
    let state = encoder.initial();
    for (const x of rows.slice(0, begin)) state = encoder.step(x, state).state;
    return rows.slice(begin).map((x) => {
      const made = decoder.step(x, state);
      state = made.state;
      return product(this.tensors["head.weight"], made.y, bias, bias.length);
    });
  }
}

// Probabilities of logits that are divided by the temperature first.
export function softmax(logits, temperature = 1) {
  const most = Math.max(...logits), powers = logits.map((v) => Math.exp((v - most) / temperature));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / sum);
}
