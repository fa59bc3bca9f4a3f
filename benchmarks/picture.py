"""The benchmarks' picture: training steps against torch, and a streaming LSTM against all. Logarithmic, as it says."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from elman.files import write_text
from elman.report.charts import FONT, PALETTE
from elman.report.marks import clean, stroke, text
from measure import Row

WIDTH, HEIGHT, MARGIN, TOP, BOTTOM = 960.0, 400.0, 24.0, 96.0, 352.0
LEFT_PLOT, RIGHT_PLOT = (150.0, 540.0), (640.0, 850.0)  # from where to where
CELLS = {"rnn": "s3", "gru": "s2", "lstm": "s1"}
LIBRARIES = {
    "torch": ("torch's cell", "s6"),
    "numpy": ("numpy", "s5"),
    "onnxruntime": ("ONNX Runtime", "s2"),
    "elman": ("elman", "s1"),
}
Colour = Callable[[str], str]


def logarithmic(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """From a value between low and high to a place between start and stop."""
    return lambda value: start + math.log(value / low) / math.log(high / low) * (stop - start)


def around(values: Sequence[float]) -> list[float]:
    """Round numbers from below the smallest to above the largest.

    >>> around([0.7, 8])
    [0.5, 1.0, 2.0, 5.0, 10.0]
    """
    ticks = [float(f"{n}e{power}") for power in range(-4, 7) for n in (1, 2, 5)]
    low, high = max(t for t in ticks if t <= min(values)), min(t for t in ticks if t >= max(values))
    return [t for t in ticks if low <= t <= high]


def training(rows: Sequence[Row], colour: Colour) -> Iterator[str]:
    """A row of dots for each shape: how many times longer torch takes."""
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        what, cell, shape = row["name"].split(" ", 2)
        if what == "train" and "refused" not in row:
            faster = min(row["speed_up"][torch][1] for torch in ("torch", "torch tuned"))
            found.setdefault(shape, {})[cell] = faster
    shapes = sorted(found, key=lambda shape: [int(n) for n in shape.split(", ")][::-1])
    values = [value for of_shape in found.values() for value in of_shape.values()]
    ticks = [
        n for n in (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if min([1, *values]) <= n * 2 and n / 2 <= max([1, *values])
    ]
    x = logarithmic(ticks[0], ticks[-1], *LEFT_PLOT)
    yield text("Training step: times faster than torch", MARGIN, 34, colour("ink"), size=16, weight=600)
    for k, (cell, role) in enumerate(CELLS.items()):
        yield f'<circle cx="{MARGIN + 5 + 60 * k:.0f}" cy="56" r="5" fill="{colour(role)}"/>'
        yield text(cell.upper(), MARGIN + 15 + 60 * k, 60, colour("ink"))
    yield text("B, T, I, H", LEFT_PLOT[0] - 14, TOP - 12, colour("muted"), anchor="end")
    for tick in ticks:
        line = "muted" if tick == 1 else "grid"
        yield stroke(f"M{x(tick):.1f} {TOP - 6:.1f}V{BOTTOM:.1f}", colour(line), 1)
        yield text(f"{tick:g}", x(tick), BOTTOM + 17, colour("muted"), anchor="middle")
    note = "logarithmic; torch with the better of two malloc settings"
    yield text(note, LEFT_PLOT[1], BOTTOM + 34, colour("muted"), anchor="end")
    for k, shape in enumerate(shapes):
        y = TOP + (k + 0.5) * (BOTTOM - TOP) / len(shapes)
        yield text(shape, LEFT_PLOT[0] - 14, y + 4, colour("ink"), anchor="end")
        yield stroke(f"M{LEFT_PLOT[0]:.1f} {y:.1f}H{LEFT_PLOT[1]:.1f}", colour("grid"), 1)
        for cell, value in found[shape].items():
            tip = clean(f"{cell.upper()} {shape}: {value:.2f}")
            dot = f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="5" fill="{colour(CELLS[cell])}" opacity="0.9">'
            yield f"{dot}<title>{tip}</title></circle>"


def streaming(rows: Sequence[Row], colour: Colour) -> Iterator[str]:
    """A line for each library: microseconds of one step of an LSTM, by its size."""
    found = {
        int(row["name"].split()[1]): {name: seconds * 1e6 for name, seconds in row["seconds"].items()}
        for row in rows
        if row["name"].startswith("lstm") and "refused" not in row
    }
    x0 = RIGHT_PLOT[0] - 34
    yield text("One step of a streaming LSTM", x0, 34, colour("ink"), size=16, weight=600)
    yield text("microseconds, logarithmic", x0, TOP - 12, colour("muted"))
    if not found:
        return
    values = [value for of_size in found.values() for value in of_size.values()]
    ticks = around(values)
    y = logarithmic(ticks[0], ticks[-1], BOTTOM, TOP)
    sizes = sorted(found)
    x = logarithmic(sizes[0], max(sizes[-1], sizes[0] + 1), RIGHT_PLOT[0] + 10, RIGHT_PLOT[1] - 10)
    for tick in ticks:
        yield stroke(f"M{RIGHT_PLOT[0]:.1f} {y(tick):.1f}H{RIGHT_PLOT[1]:.1f}", colour("grid"), 1)
        yield text(f"{tick:g}", RIGHT_PLOT[0] - 8, y(tick) + 4, colour("muted"), anchor="end")
    for size in sizes:
        yield text(f"{size}", x(size), BOTTOM + 17, colour("muted"), anchor="middle")
    yield text("H", RIGHT_PLOT[1], BOTTOM + 34, colour("muted"), anchor="end")
    used: list[float] = []
    for name, (label, role) in LIBRARIES.items():
        points = [(x(size), y(found[size][name]), found[size][name], size) for size in sizes if name in found[size]]
        if not points:
            continue
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b, *_ in points)
        yield stroke(path, colour(role), 2.4 if name == "elman" else 1.6)
        for a, b, value, size in points:
            dot = f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour(role)}">'
            yield f"{dot}<title>{clean(f'{label}, H = {size}: {value:.3g}')}</title></circle>"
        at = points[-1][1]
        while any(abs(at - other) < 14 for other in used):  # labels of lines that end together
            at -= 1
        used.append(at)
        yield text(label, RIGHT_PLOT[1] + 6, at + 4, colour(role), weight=600 if name == "elman" else 400)


def draw(layers: Sequence[Row], streams: Sequence[Row], path: Path, theme: str) -> None:
    def colour(role: str) -> str:
        return PALETTE[role][theme == "dark"]

    label = "Training steps of elman against torch, and a streaming LSTM step against torch, ONNX Runtime and numpy"
    write_text(
        path,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" width="{WIDTH:g}" '
        f'height="{HEIGHT:g}" role="img" aria-label="{label}" font-family="{FONT}">'
        f'<rect width="100%" height="100%" rx="10" fill="{colour("ground")}"/>'
        + "".join([*training(layers, colour), *streaming(streams, colour)])
        + "</svg>\n",
    )
