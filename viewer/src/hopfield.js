// An associative memory, run in the page: what src/elman/layers/associative.py and dense.py compute, one small move at a time.
// The equations stand there. All is in double precision; couplings and patterns came in single (src/elman/report/play_memory.py).

import { floats } from "./network.js";
import { random } from "./play_language.js";

export const memoryOf = (spec) => (spec.network === "modern" ? new Dense(spec) : spec.network === "continuous" ? new Graded(spec) : new Binary(spec));

const rows = (flat, N) => Array.from({ length: flat.length / N }, (_, p) => Float64Array.from(flat.subarray(p * N, (p + 1) * N)));
const dot = (a, b) => {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
};

// Units that are all coupled to all: `W` row by row, from a factor or the lower triangle.
class Coupled {
  constructor(spec) {
    const N = (this.N = spec.shape.reduce((a, b) => a * b)), W = (this.W = new Float64Array(N * N));
    this.stored = rows(floats(spec.stored), N);
    if (spec.factor)
      for (const b of rows(floats(spec.factor), N)) for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) W[i * N + j] += b[i] * b[j];
    else {
      const below = floats(spec.below);
      for (let i = 0, at = 0; i < N; i++) for (let j = 0; j <= i; j++, at++) W[i * N + j] = W[j * N + i] = below[at];
    }
    floats(spec.diagonal).forEach((d, i) => (W[i * N + i] = d));
    this.theta = Float64Array.from(floats(spec.thresholds));
    Object.assign(this, { tie: spec.tie, beta: spec.beta, dt: spec.time_step });
  }

  field(i, s) {
    const { W, N } = this;
    let h = -this.theta[i];
    for (let j = 0, at = i * N; j < N; j++, at++) h += W[at] * s[j];
    return h;
  }

  energy(s) {
    let twice = 0;
    for (let i = 0; i < this.N; i++) twice += s[i] * (this.field(i, s) - this.theta[i]);
    return -twice / 2;
  }

  overlaps(s) {
    const length = Math.sqrt(dot(s, s) * this.N) || 1;
    return this.stored.map((x) => dot(x, s) / length);
  }
}

// A recall is an iterator: each `next()` changes the state that it was given and yields how many units turned.
export class Binary extends Coupled {
  *recall(s, { update = "asynchronous", order = "random", seed = 1 } = {}) {
    if (update === "synchronous") return yield* this.atOnce(s);
    const draw = random(seed), units = Array.from({ length: this.N }, (_, i) => i);
    for (let turned = true; turned; ) {
      turned = false;
      if (order === "random") for (let i = this.N - 1; i > 0; i--) { const j = Math.floor(draw() * (i + 1)); [units[i], units[j]] = [units[j], units[i]]; } // prettier-ignore
      for (const i of units) {
        if (this.field(i, s) * s[i] >= -this.tie) continue;
        s[i] = -s[i];
        turned = true;
        yield 1;
      }
    }
    return "rests";
  }

  *atOnce(s) {
    for (let before = null; ; ) {
      const after = Float64Array.from(s, (v, i) => (this.field(i, s) * v < -this.tie ? -v : v));
      const turned = after.reduce((sum, v, i) => sum + (v !== s[i]), 0);
      if (!turned) return "rests";
      if (before && after.every((v, i) => v === before[i])) return "swings";
      before = Float64Array.from(s);
      s.set(after);
      yield turned;
    }
  }
}

export class Graded extends Coupled {
  energy(V) {
    const ends = V.reduce((sum, v) => sum + (part(1 + v) + part(1 - v)) / 2, 0);
    return super.energy(V) + ends / this.beta;
  }

  // What is shown is V = tanh(beta u); the cue is where u begins, as in settle_graded.
  *recall(V) {
    const u = Float64Array.from(V);
    V.set(u.map((v) => Math.tanh(this.beta * v)));
    yield 0;
    for (let step = 0; step < 5000; step++) {
      const change = u.map((v, i) => this.dt * (this.field(i, V) - v));
      if (change.every((v) => Math.abs(v) <= 1e-7)) return "rests";
      let turned = 0;
      change.forEach((v, i) => {
        turned += u[i] * (u[i] + v) < 0;
        u[i] += v;
        V[i] = Math.tanh(this.beta * u[i]);
      });
      yield turned;
    }
    return "time is up";
  }
}

const part = (v) => (v > 0 ? v * Math.log(v) : 0);

export class Dense {
  constructor(spec) {
    const N = (this.N = spec.shape.reduce((a, b) => a * b));
    this.stored = rows(floats(spec.stored), N);
    Object.assign(this, { beta: spec.beta, normalise: spec.normalise });
    this.mean = Float64Array.from({ length: N }, (_, k) => (this.stored.length > 1 ? this.stored.reduce((sum, x) => sum + x[k], 0) / this.stored.length : 0));
    this.keys = this.stored.map((x) => this.compared(x));
  }

  compared(x) {
    if (!this.normalise) return x;
    const apart = x.map((v, k) => v - this.mean[k]), length = Math.sqrt(dot(apart, apart));
    return length ? apart.map((v) => v / length) : apart;
  }

  shares(xi) {
    const scores = this.keys.map((x) => this.beta * dot(x, xi)), most = Math.max(...scores), weights = scores.map((v) => Math.exp(v - most)), sum = weights.reduce((a, b) => a + b);
    return weights.map((v) => v / sum);
  }

  energyAt(xi) {
    const scores = this.keys.map((x) => this.beta * dot(x, xi)), most = Math.max(...scores), sum = scores.reduce((a, v) => a + Math.exp(v - most), 0);
    return -(most + Math.log(sum)) / this.beta + dot(xi, xi) / 2 + Math.log(this.keys.length) / this.beta + Math.max(...this.keys.map((x) => dot(x, x))) / 2;
  }

  energy(s) {
    return this.energyAt(this.xi ?? this.compared(s));
  }

  overlaps(s) {
    const x = this.compared(s), length = Math.sqrt(dot(x, x)) || 1;
    return this.keys.map((key) => dot(key, x) / length / (Math.sqrt(dot(key, key)) || 1));
  }

  // The state that moves is xi; what is shown is the mean of the patterns by their shares.
  *recall(s) {
    let xi = (this.xi = this.compared(s));
    for (let step = 0; step < 100; step++) {
      const shares = this.shares(xi), mix = (from) => Float64Array.from({ length: this.N }, (_, k) => shares.reduce((sum, share, p) => sum + share * from[p][k], 0)), after = mix(this.keys);
      if (step && after.every((v, k) => Math.abs(v - xi[k]) <= 1e-7)) return "rests";
      xi = this.xi = after;
      s.set(mix(this.stored));
      yield 0;
    }
    return "time is up";
  }

  forget() {
    this.xi = null; // the reader has drawn: the state is what is shown again
  }
}
