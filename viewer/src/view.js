// What all charts share: which run and layer, the range of steps, the cursor, and the settings of single charts.
// Charts listen; whoever sets something tells which keys changed.

export function createView(first) {
  const state = { ...first }, listeners = new Set();
  return {
    state,
    set(changes) {
      const changed = Object.keys(changes).filter((key) => !same(state[key], changes[key]));
      if (!changed.length) return;
      Object.assign(state, changes);
      for (const listener of [...listeners]) listener(new Set(changed));
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const same = (a, b) => a === b || (Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((v, i) => v === b[i]));
