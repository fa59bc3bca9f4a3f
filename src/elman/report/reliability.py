"""The reliability diagram: how often what was given a probability came true."""

from __future__ import annotations

from collections.abc import Sequence

from elman.report import words
from elman.report.charts import Chart, Line, Table
from elman.report.panels import Figure, gaps
from elman.report.runs import Row, number


def reliability(
    bins: Sequence[Row], title: str, how: str, y_label: str, count: tuple[str, str], came: tuple[str, str]
) -> Figure:
    """Of bins with `low`, `high` and `mean_probability`.

    count, came: the keys of how many there are in a bin and of the share that came true, and what each is called.
    """
    (many, counted), (share, happened) = count, came
    filled = [b for b in bins if number(b.get("mean_probability")) is not None and number(b.get(many))]
    chart = Chart(
        title,
        "probability given",
        y_label,
        [
            Line("as it should be", [0.0, 1.0], [0.0, 1.0], "s6", 1.5, "3 4"),
            Line(
                f"{counted}, larger dot = more of them",
                [b["mean_probability"] for b in filled],
                gaps([number(b.get(share)) for b in filled]),
                dots=True,
                joined=False,
                sizes=[b[many] for b in filled],
            ),
        ],
        y_range=(0.0, 1.0),
    )
    headings = ["probability given", counted, "mean probability", happened]
    rows = [
        [f"{words.plain(b.get('low'))} to {words.plain(b.get('high'))}", words.cases(b.get(many))]
        + [words.percent(number(b.get(key))) for key in ("mean_probability", share)]
        for b in bins
    ]
    return Figure(chart, how, "half", Table(headings, rows))
