"""Forecast series: from a table to calibrated forecasts of the coming steps."""

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from elman.data.roles import Roles, guess_roles
from elman.data.series import Held, Panel, read_panel
from elman.data.tables import Table, read_table
from elman.data.windows import Scaling, Windows, calendar_for
from elman.errors import InputError
from elman.models.sequence import EncoderForecaster
from elman.tasks.base import Estimator
from elman.tasks.calibration import Event, conformal_shifts, ends_of, quantiles_for
from elman.tasks.fitting import check_optimizer, fit_network
from elman.tasks.forecast_inside import forecast_inside
from elman.tasks.forecast_lessons import AT_ONCE, ForecastLessons, probe
from elman.tasks.scoring import Forecasts, Scores, score
from elman.tasks.settings import ForecastSettings, check_settings
from elman.training.diagnosis import Finding, diagnose
from elman.training.distributed import ALONE, World, joined
from elman.training.look import Inside
from elman.training.record import Run
from elman.training.threads import threads_for

MIN_OBSERVED = 10  # values of the target from which a series' own mean and spread are taken


@dataclass(kw_only=True, repr=False, eq=False)
class Forecaster(ForecastSettings, Estimator):
    """Direct forecasts of the next `horizon` steps of one series or many, with calibrated intervals.

    The settings are described in `elman.tasks.settings`. A table is long (`unique_id, ds, y`, or names of your own)
    or wide with `target=`; a path to CSV or Parquet, or a polars, pandas or pyarrow frame. One network serves all
    series (a global model). It learns a point forecast (the mean of the transformed target)
    and a grid of quantiles at once; the quantiles are then calibrated on the validation part (split-conformal).

    >>> import math
    >>> table = pl.DataFrame({"ds": range(200), "y": [math.sin(t / 5) for t in range(200)]})
    >>> f = Forecaster(horizon=3, window=20, hidden_size=8, epochs=2, level=(90,)).fit(table)
    >>> f.predict(table).columns
    ['ds', 'forecast', 'lo-90', 'hi-90']
    """

    task: ClassVar[str] = "forecast"

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        test: Held | None = None,
        run: Run | str | os.PathLike[str] | None = None,
        resume: bool = False,
        force: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> Self:
        """Learn from the table `X`, apart from its `test` part: so many last steps, or everything from a time on.

        run: a folder for the run's record and model, refused if it exists unless `force`. resume: go on with the
        interrupted run there; it ends with the weights that it would have had without the interruption.
        """
        table, panel = self._new_panel(X)
        begins, ends = panel.test_begins(test), panel.observed_lengths()
        if test is not None and max(e - b for b, e in zip(begins, ends, strict=True)) < self.horizon:
            raise InputError(f"the test part ({test}) is shorter than the horizon of {self.horizon} steps")
        lessons = self._prepare(panel.head(begins))
        facts = {
            "path": None if table.path is None else str(table.path),
            "sha256": table.sha256,
            "rows": table.frame.height,
            "series": len(panel.series),
            "first": str(min(s.times[0] for s in panel.series)),
            "last": str(max(s.times[-1] for s in panel.series)),
            "test": None if test is None else str(test),
        }
        check_optimizer(self, lambda: self._network(lessons.windows.input_size))  # before a run folder is made
        with joined() as world:
            recording = self._open_run(run, facts, resume=resume, force=force, world=world)
            self._train(lessons, recording, resume, on_event, world)
            self.samples_ = lessons.sample_windows()
            if recording and world.first:
                if self.probe:
                    self._look_inside(lessons).save(recording.path)
                self.samples_.save(recording.path)  # before the model, which says that the run is whole
                self.save(recording.model_path)
                recording.checkpoint_path.unlink(missing_ok=True)
        return self

    def _new_panel(self, X: Any) -> tuple[Table, Panel]:
        check_settings(self)
        table = read_table(X)
        roles = guess_roles(
            table,
            self.target,
            time=self.time,
            series=self.series,
            past=self.past,
            future=self.future,
            static=self.static,
        )
        return table, read_panel(table, roles, step=self.step, gaps=self.gaps)

    def _prepare(self, panel: Panel) -> ForecastLessons:
        """Learn all that needs no network; return what the network is to be taught."""
        panel, lengths, train_ends, notes = self._long_enough(panel)
        self.trained_until_ = {s.name: str(s.times[-1]) for s in panel.series}
        self.roles_, self.step_, self.notes_ = panel.roles, panel.step, [*panel.notes, *notes]
        self.quantiles_ = quantiles_for(tuple(self.level))
        self.calendar_ = tuple(self.calendar if self.calendar is not None else calendar_for(panel.head(train_ends)))
        self.event_ = None if self.event is None else Event.parse(self.event)
        self.scaling_ = Scaling.fit(panel.head(train_ends), self.transform)
        windows = self._windows(panel, lengths)
        train_on, validate_on = windows.origins(last=train_ends), windows.origins(first=train_ends)
        if not len(train_on) or not len(validate_on):
            raise InputError(
                f"no window of {self.window} + {self.horizon} steps has an observed target ahead to "
                f"{'validate' if len(train_on) else 'train'} on; choose a smaller window, horizon or validation"
            )
        return ForecastLessons(
            windows, train_on, validate_on, self.quantiles_, self.batch_size, self.truncate, self.seed
        )

    def _long_enough(self, panel: Panel) -> tuple[Panel, list[int], list[int], list[str]]:
        """The series that can be trained on, their lengths, where their validation begins, and a note of the others."""
        lengths = panel.observed_lengths()
        ends = self._train_ends(lengths)
        need = self.window + self.horizon
        good = [
            k
            for k, s in enumerate(panel.series)
            if ends[k] >= need
            and lengths[k] - ends[k] >= self.horizon
            and (~np.isnan(s.target[: ends[k]])).sum() >= MIN_OBSERVED
        ]
        if not good:
            longest = max(range(len(lengths)), key=ends.__getitem__)
            raise InputError(
                f"the table is too short: window={self.window} and horizon={self.horizon} need at least {need} steps "
                f"to train on, with {MIN_OBSERVED} values of {panel.roles.target!r}, and {self.horizon} more to "
                f"validate on (validation={self.validation:g}); the longest series has {ends[longest]} and "
                f"{lengths[longest] - ends[longest]}. Choose a smaller window or horizon, or give more rows"
            )
        left = [s.name for k, s in enumerate(panel.series) if k not in good]
        notes = (
            [f"{len(left)} of {len(lengths)} series are too short to train on ({', '.join(left[:5])})"] if left else []
        )
        kept = panel.only(good).head([lengths[k] for k in good])
        return kept, [lengths[k] for k in good], [ends[k] for k in good], notes

    def _train(
        self,
        lessons: ForecastLessons,
        run: Run | None = None,
        resume: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        world: World = ALONE,
    ) -> None:
        windows, validate_on = lessons.windows, lessons.validate_on
        with torch.random.fork_rng(), threads_for(self.hidden_size, self.threads):
            torch.manual_seed(self.seed)
            network = self._network(windows.input_size)
            self.history_ = fit_network(self, network, lessons, world=world, run=run, resume=resume, on_event=on_event)
        self.network_, self.input_size_ = network.eval(), windows.input_size
        y = windows.truth(validate_on).double().numpy()
        self.shifts_ = conformal_shifts(y, self._outputs(windows, validate_on)[..., 1:], self.quantiles_)

    def _look_inside(self, lessons: ForecastLessons) -> Inside:
        """What the trained network does with windows of the validation part."""

        def in_units(scaled: np.ndarray, origins: Tensor) -> np.ndarray:
            calibrated = np.sort(np.sort(scaled[..., 1:], axis=-1) + self.shifts_, axis=-1)
            whole = np.concatenate([scaled[..., :1], calibrated], axis=-1)
            return self.scaling_.inverse(lessons.windows.panel, origins, whole)

        with threads_for(self.hidden_size, self.threads):
            return forecast_inside(self.network_, lessons.windows, lessons.validate_on, self.quantiles_, in_units)

    def _train_ends(self, lengths: Sequence[int]) -> list[int]:
        """For each series of so many steps before the test part, where its validation part begins."""
        return [
            max(0, n - (int(self.validation) if self.validation >= 1 else round(n * self.validation))) for n in lengths
        ]

    def _network(self, input_size: int) -> nn.Module:
        return EncoderForecaster(
            self.architecture,
            input_size,
            1 + len(self.quantiles_),
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            dropout=self.dropout,
        )

    def _windows(self, panel: Panel, known: Sequence[int]) -> Windows:
        """The windows of `panel`; a series that was not trained on is scaled by its first `known` steps."""
        scaling = self.scaling_.knowing(panel, known)
        return Windows(panel, scaling, window=self.window, horizon=self.horizon, calendar=self.calendar_)

    def diagnose(self, X: Any = None) -> list[Finding]:
        """What ails the network and its training, if anything, what shows it and what may cure it.

        X: a table to look at the network with; without it, what was recorded while training must do.
        """
        check_is_fitted(self)
        events = list(self.history_)
        if X is not None:
            table, panel = self._read(X)
            windows = self._windows(panel, panel.observed_lengths())
            origins = windows.origins()
            self._need_windows(origins, table, None)
            look = probe(windows, origins, horizon=self.horizon, truncate=self.truncate, every=1).look(self.network_)
            events.append({"event": "probe", "step": 0, **look})
        return diagnose(events)

    def _outputs(self, windows: Windows, origins: Tensor) -> np.ndarray:
        """(N, horizon, 1 + Q) scaled: the point forecast, then the quantiles in order, not yet calibrated."""
        with torch.no_grad():
            parts = [self.network_(windows.batch(part).x, self.horizon) for part in origins.split(AT_ONCE)]
        outputs = torch.cat(parts).double().numpy()
        outputs[..., 1:].sort(axis=-1)
        return outputs

    def predict(self, X: Any) -> Any:
        """The `horizon` steps after the last observed target of each series, as the kind of data frame that X is.

        Columns: the series (if there are several), the time, `forecast`, `lo-LEVEL` and `hi-LEVEL`, and `p_event` with
        `event=`. X needs at least `window` steps of each series; rows with inputs known ahead, without target, follow.
        """
        table, panel = self._read(X)
        origins, short = [], []
        for k, (s, n) in enumerate(zip(panel.series, lengths := panel.observed_lengths(), strict=True)):
            if n < self.window:
                short.append(
                    f"there are {n} steps{s.of} up to the last observed {self.roles_.target!r}, and the model reads "
                    f"window={self.window} of them"
                )
                continue
            for c, column in enumerate(self.roles_.future):
                lost = int(np.isnan(s.future[n : n + self.horizon, c]).sum()) + max(0, n + self.horizon - len(s))
                if 0 < lost < self.horizon:
                    warnings.warn(
                        f"{lost} of {self.horizon} values of {column!r} ahead{s.of} are missing", stacklevel=2
                    )
                if np.isnan(s.future[n : n + self.horizon, c]).all():
                    raise InputError(
                        f"{table.name}: the model was trained with {column!r} known ahead, and there is no value of "
                        f"it{s.of} after {s.times[n - 1]}. Append {self.horizon} rows with their times and {column!r}, "
                        "without target"
                    )
            origins.append([k, n - 1])
        if not origins:
            raise InputError(f"{table.name}: {short[0]}")
        for reason in short:
            warnings.warn(f"no forecast: {reason}", stacklevel=2)
        frame = self._forecast(self._windows(panel, lengths), torch.tensor(origins)).frame
        return self._in_users_words(frame.drop("cutoff", "lead", "y"), table)

    def backtest(self, X: Any, test: Held | None = None, *, stride: int = 1) -> Any:
        """Forecasts from every `stride`-th origin whose steps ahead lie in the `test` part of X (default: anywhere).

        Columns as `predict`, and `cutoff` (the last step that the forecast knew), `lead` (1 to horizon) and `y`.
        """
        table, panel = self._read(X)
        first = panel.test_begins(test, default=self.window)
        windows = self._windows(panel, first)
        origins = windows.origins(first=first, stride=stride)
        self._need_windows(origins, table, test)
        return self._in_users_words(self._forecast(windows, origins).frame, table)

    def evaluate(self, X: Any, test: Held) -> Scores:
        """Scores of all forecasts in the `test` part of X, beside baselines that learn from the rows before it."""
        table, panel = self._read(X)
        first = panel.test_begins(test)
        windows = self._windows(panel, first)
        origins = windows.origins(first=first)
        self._need_windows(origins, table, test)
        seen = [
            s.name
            for s, n in zip(panel.series, first, strict=True)
            if self.trained_until_.get(s.name, "") > str(s.times[n - 1])
        ]
        self.scores_ = score(
            self.architecture,
            self._forecast(windows, origins),
            target=self.roles_.target,
            levels=self.level,
            event=self.event_,
            season=self.season,
            train_ends=self._train_ends(first),
            test_begins=first,
            notes=[*self.notes_, *self._known_ahead(), *(["part of the test part was trained on"] if seen else [])],
        )
        return self.scores_

    def _known_ahead(self) -> list[str]:
        if not self.roles_.future:
            return []
        return [
            f"{', '.join(self.roles_.future)} of the coming steps were given to the network and to ridge as later "
            "measured: the scores are those with a perfect forecast of them"
        ]

    def cross_validation(self, X: Any, *, n_windows: int = 5, step_size: int | None = None, refit: bool = False) -> Any:
        """Forecasts from `n_windows` origins, `step_size` (default: the horizon) apart, the last a horizon off the end.

        Each is made by a network that has seen nothing after its origin: one trained before the first origin, or with
        `refit` one trained anew before each. `self` stays as it is. Columns as `backtest`.
        """
        table, panel = self._new_panel(X)
        size = self.horizon if step_size is None else step_size
        if n_windows < 1 or size < 1:
            raise InputError(f"n_windows and step_size must be at least 1; found {n_windows} and {size}")
        ends = panel.observed_lengths()
        frames: list[pl.DataFrame] = []
        for back in range(n_windows - 1, -1, -1):
            cutoffs = [max(0, n - self.horizon - back * size) for n in ends]
            if refit or not frames:
                fitted = clone(self)
                fitted._train(fitted._prepare(panel.head(cutoffs)))
            origins = torch.tensor([[k, c - 1] for k, c in enumerate(cutoffs) if c >= self.window])
            frames.append(fitted._forecast(fitted._windows(panel, cutoffs), origins).frame)
        return fitted._in_users_words(pl.concat(frames), table)

    def _add_to_page(self, run: Run) -> None:
        if hasattr(self, "samples_"):  # not of a model that was loaded, which has no data
            self.samples_.save(run.path)
            self.save(run.model_path)

    def _read(self, X: Any) -> tuple[Table, Panel]:
        """A table with the columns, and the step, that this model was trained on."""
        check_is_fitted(self)
        table, roles = read_table(X), self.roles_
        for role in ("target", "time", "series"):
            if getattr(roles, role) is not None:
                table.need(getattr(roles, role), role)
        for column in roles.inputs:
            table.need(column, "an input of the model")
        panel = read_panel(table, roles, step=self.step, gaps=self.gaps)
        if panel.step != self.step_:
            raise InputError(
                f"the model was trained on rows {self.step_} apart; those of {table.name} are {panel.step} apart"
            )
        return table, panel

    def _need_windows(self, origins: Tensor, table: Table, test: Held | None) -> None:
        if not len(origins):
            part = "" if test is None else f" whose steps ahead lie in the test part ({test})"
            raise InputError(f"{table.name} has no whole window of {self.window} + {self.horizon} steps{part}")

    def _forecast(self, windows: Windows, origins: Tensor) -> Forecasts:
        scaled = self._outputs(windows, origins)
        scaled[..., 1:] = np.sort(scaled[..., 1:] + self.shifts_, axis=-1)
        outputs = windows.scaling.inverse(windows.panel, origins, scaled)
        point, quantiles = outputs[..., 0], outputs[..., 1:]
        columns: dict[str, np.ndarray] = {"forecast": point}
        for level in self.level:
            for side, end in zip(("lo", "hi"), ends_of(level), strict=True):
                columns[f"{side}-{level:g}"] = quantiles[..., self.quantiles_.index(end)]
        if self.event_:
            columns["p_event"] = self.event_.probability(quantiles, self.quantiles_)
        return Forecasts(windows, origins, point, quantiles, self.quantiles_, windows.long_form(origins, columns))

    def _in_users_words(self, frame: pl.DataFrame, table: Table) -> Any:
        """`frame` as the user's kind of data frame, with the names and types of their columns of series and time."""
        roles, own = self.roles_, table.frame.schema
        if roles.time is not None and own[roles.time] == pl.Date:
            frame = frame.with_columns(pl.col(c).cast(pl.Date) for c in ("cutoff", "ds") if c in frame.columns)
        if roles.series is None:
            frame = frame.drop("unique_id")
        else:
            frame = frame.with_columns(pl.col("unique_id").cast(own[roles.series])).rename({"unique_id": roles.series})
        return table.give_back(frame.rename({"ds": roles.time or "ds"}))

    def _learned(self) -> dict[str, Any]:
        return {
            "roles": asdict(self.roles_),
            "step": self.step_,
            "calendar": self.calendar_,
            "input_size": self.input_size_,
            "scaling": self.scaling_.to_dict(),
            "quantiles": self.quantiles_,
            "shifts": self.shifts_.tolist(),
            "notes": self.notes_,
            "trained_until": self.trained_until_,
            "history": [event for event in self.history_ if event["event"] != "step"],
        }

    def _restore(self, learned: dict[str, Any]) -> nn.Module:
        check_settings(self)
        roles: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in learned["roles"].items()}
        self.roles_ = Roles(**roles)
        self.step_, self.notes_, self.history_ = str(learned["step"]), list(learned["notes"]), list(learned["history"])
        self.trained_until_ = dict(learned["trained_until"])
        self.calendar_, self.quantiles_ = tuple(learned["calendar"]), tuple(learned["quantiles"])
        self.event_ = None if self.event is None else Event.parse(self.event)
        self.input_size_ = int(learned["input_size"])
        self.scaling_ = Scaling.from_dict(learned["scaling"])
        self.shifts_ = np.array(learned["shifts"], dtype=np.float64)
        if self.shifts_.shape != (self.horizon, len(self.quantiles_)) or not np.isfinite(self.shifts_).all():
            raise InputError(f"the calibration is not {self.horizon} x {len(self.quantiles_)} finite numbers")
        return self._network(self.input_size_)
