"""What a page tells of the scores of forecasts, by lead time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from elman.report import words
from elman.report.runs import Metric, Row, Scores
from elman.report.scores import HIGH, LOW, Column


@dataclass(frozen=True, kw_only=True)
class ForecastScores(Scores):
    """Of each model a row for each lead, and one of their mean."""

    horizon: int
    freq: str
    levels: Sequence[str]  # in percent, from narrow to wide, as they stand in the names of columns: "80", "97.5"
    event: Row | None

    # NSE, the share of variance explained, is 1 - squared error / variance; at or below 0 the mean would do as well.
    metric: ClassVar[Metric] = Metric(
        "nse", "mean NSE", "NSE: 1 is a perfect forecast, 0 what the plain mean reaches.",
        partial(words.score, decimals=2),
    )  # fmt: skip
    baselines: ClassVar[Mapping[str, str]] = {
        "persistence": "persistence",
        "seasonal_naive": "seasonal naive",
        "climatology": "climatology",
        "ridge": "ridge on lags",
    }
    intro: ClassVar[str] = (
        "Each line is one way to forecast, judged on the test part, on average over all lead times. A star marks the "
        "best of a column. The baselines need no network: what they reach is what a network has to beat."
    )
    how: ClassVar[str] = (
        "NSE and KGE: 1 is perfect, and an NSE of 0 is what the plain mean reaches. RMSE, MAE and width are in the "
        "target's unit. MASE: the error as a share of the naive forecast's, so below 1 beats it. Pinball: the error of "
        "the quantiles; lower is better. Coverage: the share of measured values inside the interval; best is what it "
        "promises. Width is not marked: a narrow interval is good only where the coverage holds."
    )

    @classmethod
    def _fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        return super()._fields(raw) | {
            "horizon": int(raw["horizon"]),
            "freq": str(raw.get("freq", "")),
            "levels": [f"{level:g}" for level in sorted(float(level) for level in raw.get("levels") or ())],
            "event": dict(raw["event"]) if raw.get("event") else None,
        }

    @property
    def title(self) -> str:
        return f"{self.target}, {words.lead(self.horizon, self.freq)} ahead"

    @property
    def about(self) -> str:
        test = self.test
        if not test:
            return ""
        first, last = (words.plain(test.get(end)).removesuffix(" 00:00:00") for end in ("first", "last"))
        span = f"{'steps ' if first.isdigit() else ''}{first} to {last}"
        forecasts = f", {words.cases(test['forecasts'])} forecasts" if "forecasts" in test else ""
        return f"Tested on {span}{forecasts}, none of which was used in training."

    @property
    def tested(self) -> tuple[object, ...]:
        return self.target, self.horizon, self.freq, self.test.get("first"), self.test.get("last")

    def found(self, network: str, value: float) -> str:
        if value > 0:
            said = f"explains {words.percent(value, 0)} of the variance of {self.target}"
        else:
            said = f"forecasts {self.target} no better than its plain mean would"
        return f"{words.leads(self.horizon, self.freq)} ahead, {network} {said}"

    def numbers(self, mean: Callable[..., float | None], best: tuple[str, float] | None) -> list[tuple[str, str]]:
        first, last = (words.lead(lead, self.freq) for lead in (1, self.horizon))
        numbers = [("mean NSE (1 is perfect)", words.score(mean("nse"), 2))]
        if best:
            numbers.append((f"mean NSE of the best baseline, {best[0]}", words.score(best[1], 2)))
        unit = f"in the unit of {self.target}"
        numbers.append((f"RMSE {first} ahead, {unit}", words.amount(mean("rmse", 1))))
        if self.horizon > 1:
            numbers.append((f"RMSE {last} ahead, {unit}", words.amount(mean("rmse", self.horizon))))
        if self.levels:
            level = self.levels[-1]
            covered = words.percent(mean(f"coverage_{level}"))
            numbers.append((f"of measured values inside the {level} % interval", covered))
        return numbers

    def columns(self) -> list[Column]:
        columns = [
            Column("NSE", "nse", words.score, HIGH),
            Column("KGE", "kge", words.score, HIGH),
            Column("RMSE", "rmse", words.amount, LOW),
            Column("MAE", "mae", words.amount, LOW),
            Column("MASE", "mase", words.score, LOW),
            Column("pinball", "pinball", words.amount, LOW),
        ]
        for level in self.levels:
            promised = _distance_to(float(level) / 100)
            columns.append(Column(f"coverage {level}", f"coverage_{level}", words.percent, promised))
            # The narrowest interval is not the best one where it covers too little, so no width is marked.
            columns.append(Column(f"width {level}", f"width_{level}", words.amount))
        for lead in (1, self.horizon) if self.horizon > 1 else ():
            columns.append(Column(f"NSE at {words.lead(lead, self.freq)}", "nse", words.score, HIGH, lead))
        return columns


def _distance_to(nominal: float) -> Callable[[float], float]:
    return lambda value: abs(value - nominal)
