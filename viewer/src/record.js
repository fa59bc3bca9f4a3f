// The numbers in the page, as src/elman/report/recording.py wrote them.

const LOWEST = -46, STEPS = 1000, GONE = 65535;

export function readRecord() {
  return JSON.parse(document.getElementById("elman-record").textContent);
}

// Norms by column and lag as log10: -Infinity for a norm of zero, NaN for none.
export function unpacked(text) {
  const bytes = atob(text), logs = new Float32Array(bytes.length / 2);
  for (let i = 0; i < logs.length; i++) {
    const code = bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8);
    logs[i] = code === 0 ? -Infinity : code === GONE ? NaN : LOWEST + code / STEPS;
  }
  return logs;
}

// The index of the number in sorted xs that is nearest to x.
export function nearest(xs, x) {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle; else high = middle;
  }
  return high < 0 ? -1 : x - xs[low] <= xs[high] - x ? low : high;
}
