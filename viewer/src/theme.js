// Colours by role from the page's CSS variables, the choice of light and dark, and the ramp of heatmaps.

export function colour(role) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim() || "#888";
}

export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function themeButton(onChange) {
  const button = document.createElement("button");
  button.type = "button";
  button.id = "theme";
  const name = () => (button.textContent = isDark() ? "Light page" : "Dark page");
  const change = () => {
    name();
    onChange(isDark());
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    change();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
  name();
  return button;
}

// Inferno (van der Walt and Smith 2015, CC0) at eleven places: its lightness rises all the way, for every kind of eye.
const PLACES = ["#000004", "#160b39", "#420a68", "#6a176e", "#932667", "#bc3754", "#dd513a", "#f37819", "#fca50a", "#f6d746", "#fcffa4"].map(
  (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

export function inferno(share) {
  const at = Math.min(1, Math.max(0, share)) * (PLACES.length - 1), low = Math.min(Math.floor(at), PLACES.length - 2);
  return PLACES[low].map((value, k) => Math.round(value + (at - low) * (PLACES[low + 1][k] - value)));
}
