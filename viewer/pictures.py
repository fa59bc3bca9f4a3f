"""Draw the pictures of the page from real runs: `.venv/bin/python viewer/pictures.py` (needs chromium and `make demo`).

With names (gradients, inside, memories) it draws these only; `inside` alone needs the demo.
README.md has the middle of the demo's first run, looked into. For docs/reading-the-page.md
three networks learn to recall the first number of a sequence at its end, which takes a gradient that reaches back all
the way: a simple network whose gradient vanishes, one whose gradient explodes, and an LSTM that remembers.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from playwright.sync_api import Browser, Page, sync_playwright
from sklearn.datasets import load_digits
from torch import nn

import elman
from elman.report import write_report
from elman.training.diagnostics import Probe
from elman.training.loop import train
from elman.training.record import Run

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
DEMO = Path(__file__).parents[1] / "runs" / "demo" / "perfect-weather-forecast-0"
STEPS, UNITS, EPOCHS = 60, 32, 30
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


class Recall(nn.Module):
    """A recurrent layer, and what its last state says."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(UNITS, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


def vanishing() -> Recall:
    return Recall(elman.RNN(1, UNITS, batch_first=True))


def exploding() -> Recall:
    net = Recall(elman.RNN(1, UNITS, batch_first=True, nonlinearity="relu"))
    with torch.no_grad():
        weight = net.layer.weight_hh_l0
        weight.mul_(1.8 / torch.linalg.eigvals(weight).abs().max())  # each step back, the gradient grows by that
    return net


def healthy() -> Recall:
    net = Recall(elman.LSTM(1, UNITS, batch_first=True))
    with torch.no_grad():
        net.layer.bias_ih_l0[UNITS : 2 * UNITS] = 3.0  # the forget gate begins open
    return net


def run_of(name: str, make: Callable[[], Recall], folder: Path, rate: float) -> Path:
    torch.manual_seed(0)
    x = torch.randn(512, STEPS, 1)
    y = x[:, 0]
    net, run = make(), Run(folder / name, label=name)
    run.start({"settings": {"clip": 1.0, "learning_rate": rate, "seed": 0}})
    run.record("fact", constant=y.var().item())
    probe = Probe(lambda net: net(x[:16]).sum(), every=4, share=1.0)
    train(
        net, lambda epoch: list(zip(x.split(32), y.split(32), strict=True)),
        lambda net, batch: (net(batch[0]) - batch[1]).square().mean(),
        optimizer=torch.optim.Adam(net.parameters(), rate), epochs=EPOCHS, clip=1.0, probe=probe, run=run,
    )  # fmt: skip
    return run.path


def shoot(page: Page, charts: Sequence[str], picture: Path) -> None:
    """The part of the page that holds these charts."""
    boxes = [page.locator(f"#chart-{chart}").bounding_box() for chart in charts]
    left, top = (min(box[side] for box in boxes) for side in ("x", "y"))
    right, bottom = (max(box[side] + box[size] for box in boxes) for side, size in (("x", "width"), ("y", "height")))
    top += page.evaluate("scrollY")  # where a click has scrolled to
    bottom += page.evaluate("scrollY")
    clip = {"x": left - 12, "y": top - 12, "width": right - left + 24, "height": bottom - top + 24}
    page.screenshot(full_page=True, clip=clip, path=picture)
    print(picture.name, f"{picture.stat().st_size / 1000:.0f} kB", "\n")


def opened(browser: Browser, path: Path, theme: str, scale: float = 1.0) -> Page:
    page = browser.new_page(
        viewport={"width": 1180, "height": 900}, color_scheme=theme, device_scale_factor=scale, reduced_motion="reduce"
    )
    page.goto(path.as_uri())
    page.wait_for_function("window.elman !== undefined")
    page.wait_for_timeout(500)
    return page


def gradients(browser: Browser, folder: Path) -> None:
    for name, make, rate in (
        ("vanishing", vanishing, 1e-4),
        ("exploding", exploding, 2e-5),
        ("healthy", healthy, 3e-3),
    ):
        page = opened(browser, write_report([run_of(name, make, folder, rate)], folder / f"{name}.html"), "light")
        print(name, page.locator(".diagnosis").inner_text(), page.locator(".alerts").inner_text(), sep="\n")
        shoot(page, ("flow", "profile"), PICTURES / f"gradient-{name}.png")


def inside(browser: Browser, folder: Path) -> None:
    for theme in ("light", "dark"):
        page = opened(browser, write_report([DEMO], folder / "demo.html"), theme, 1.5)
        shoot(page, ("inside-network", "inside-card", "inside-h", "inside-c"), PICTURES / f"inside-{theme}.png")


def memories(browser: Browser, folder: Path) -> None:
    """Ten digits in three networks, for docs/memories.md."""
    digits = load_digits().images[:10]
    for name, settings in (("projection", {"storage": "pseudo-inverse"}), ("modern", {"kind": "modern"})):
        elman.HopfieldNetwork(**settings).fit(digits, run=folder / name)
        path = write_report([folder / name], folder / f"{name}.html")
        for theme in ("light", "dark"):
            page = opened(browser, path, theme, 1.5)
            page.select_option("#memory-pattern", label="pattern 2")
            if name == "modern":
                shoot(page, ("memory-frames", "memory-energy", "memory-attention"), PICTURES / f"modern-{theme}.png")
                continue
            shoot(page, ("memory-frames", "memory-energy", "memory-overlaps"), PICTURES / f"recall-{theme}.png")
            page.select_option("#play-start", "3")
            page.click("#play-damage")
            page.click("#play-recall")
            shoot(page, ("play-pattern", "play-energy", "play-overlaps"), PICTURES / f"play-memory-{theme}.png")


KINDS = {"gradients": gradients, "inside": inside, "memories": memories}


def main() -> None:
    torch.set_num_threads(1)
    wanted = sys.argv[1:] or list(KINDS)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name in wanted:
            KINDS[name](browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
