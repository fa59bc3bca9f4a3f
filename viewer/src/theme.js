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
const PLACES = ["#000004", "#160b39", "#420a68", "#6a176e", "#932667", "#bc3754", "#dd513a", "#f37819", "#fca50a", "#f6d746", "#fcffa4"].map(rgb);

// Blue, the page's ground, red: a colour's strength is the size, its hue the sign. Blue and red differ for every kind of eye.
const LIGHT = ["#1f5fa8", "#6ba3d6", "#c9deef", "#fbfbfb", "#f9d3bd", "#e8865f", "#b03a1c"].map(rgb);
const DARK = ["#7cc0ff", "#3f80bf", "#24476b", "#1b2027", "#6b3524", "#c4633f", "#ffa07a"].map(rgb);

export const inferno = (share) => between(PLACES, share);
export const diverging = (share) => between(isDark() ? DARK : LIGHT, share);

function between(places, share) {
  const at = Math.min(1, Math.max(0, share)) * (places.length - 1), low = Math.min(Math.floor(at), places.length - 2);
  return places[low].map((value, k) => Math.round(value + (at - low) * (places[low + 1][k] - value)));
}

// A colour of the palette, part of which shows what lies below.
export const faded = (hex, alpha) => `rgba(${rgb(hex).join(",")},${alpha})`;

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}
