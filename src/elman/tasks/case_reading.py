"""How classifiers and regressors read what they are given, and read the same way what they are to predict."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BufferedIOBase
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from elman.data.cases import Cases
from elman.data.images import Images, read_images
from elman.data.records import Columns, Records
from elman.data.roles import holds_numbers
from elman.data.sequences import Sequences, read_long, read_sequences
from elman.data.tables import Table, read_table
from elman.errors import InputError
from elman.tasks.settings import CaseSettings

Kind = Literal["series", "sequences", "image", "long", "records"]


@dataclass(frozen=True)
class Given:
    """The cases and, of a table, the table and the first row of each case."""

    cases: Cases
    table: Table | None = None
    rows: pl.DataFrame | None = None
    steps: pl.DataFrame | None = None  # of a long table all rows, in the order of the cases
    unseen: dict[str, list[str]] | None = None  # words of categories that training had not

    def column(self, name: str, role: str) -> pl.Series:
        """The column of a table with one value for each case; InputError where a sequence has several."""
        assert self.table is not None and self.rows is not None
        self.table.need(name, role)
        return self.rows[name]

    def digest(self, *others: np.ndarray | None) -> str:
        """A hash of the cases, and of arrays beside them."""
        if self.table is not None and self.table.sha256 is not None and all(o is None for o in others):
            return self.table.sha256
        whole = hashlib.sha256()
        for part in (self.cases.values, self.cases.lengths, *others):
            if part is not None:
                whole.update(np.asarray(part).astype(str).tobytes() if part.dtype == object else part.tobytes())
        return whole.hexdigest()


@dataclass(frozen=True)
class Form:
    """What kind of thing the cases were read from, and all that it takes to read more of it."""

    kind: Kind
    features: int  # columns, or numbers a step
    inputs: tuple[str, ...] = ()  # columns of a table
    columns: Columns | None = None  # of records
    shape: tuple[int, int, int] | None = None  # of images: H, W, C
    steps: int | None = None  # that a network without time, mlp, reads all at once

    def to_dict(self) -> dict[str, Any]:
        columns = None if self.columns is None else self.columns.to_dict()
        return {
            "kind": self.kind, "features": self.features, "inputs": list(self.inputs), "columns": columns,
            "shape": self.shape, "steps": self.steps,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> "Form":
        return cls(
            saved["kind"], int(saved["features"]), tuple(saved["inputs"]),
            None if saved["columns"] is None else Columns.from_dict(saved["columns"]),
            None if saved["shape"] is None else tuple(saved["shape"]), saved["steps"],
        )  # fmt: skip


def read_to_fit(estimator: BaseEstimator, settings: CaseSettings, X: Any, label: str | None) -> tuple[Form, Given]:
    """Find out what X is, and read it. Sets scikit-learn's `n_features_in_` and `feature_names_in_`.

    label: the column of the answers, if they are in the table.
    """
    as_columns = not _is_frame(X) or label is not None or _needs_columns(settings)
    table = as_table(X) if is_table(X) and as_columns else None
    if table is not None:
        inputs = _inputs(table, settings, label)
        if settings.group is not None:
            form = Form("long", len(inputs), inputs)
        elif settings.architecture == "mlp":
            form = Form("records", len(inputs), inputs, Columns.fit(table, inputs, settings.categories))
        else:
            form = Form("series", len(inputs), inputs)
        estimator.feature_names_in_ = np.array(inputs, dtype=object)
    elif settings.group is not None:
        raise InputError("group= names a column of a long table; X is none. Leave it out, or give a table")
    elif settings.layout == "image":
        images = read_images(X)
        form = Form("image", images.values.shape[1], shape=(images.height, images.width, images.values.shape[1]))
    elif (kind := _kind_of_array(X)) == "sequences":
        form = Form("sequences", read_sequences(X, settings.layout).values.shape[1])
    elif settings.architecture == "mlp":
        X = validate_data(estimator, X, dtype=np.float64, ensure_all_finite="allow-nan")
        form = Form("records", X.shape[1])
    else:
        X = validate_data(estimator, X, dtype=np.float64, ensure_all_finite="allow-nan")
        form = Form(kind, X.shape[1])
    if form.kind != "series" or form.inputs:
        estimator.n_features_in_ = form.features
        if not form.inputs and hasattr(estimator, "feature_names_in_") and not _is_frame(X):
            del estimator.feature_names_in_
    given = _read(estimator, settings, form, table if table is not None else X)
    if settings.architecture == "mlp" and isinstance(given.cases, Sequences):
        if given.cases.ragged:
            raise InputError(
                f"architecture='mlp' reads all steps of a sequence at once, so all need one length; found from "
                f"{given.cases.lengths.min()} to {given.cases.lengths.max()} steps. Choose lstm, gru, cnn or another "
                "that reads one after another"
            )
        form = replace(form, steps=int(given.cases.lengths[0]))
    return form, replace(given, cases=_as_read_by(settings, form, given.cases))


def read_to_predict(estimator: BaseEstimator, settings: CaseSettings, form: Form, X: Any) -> Given:
    """Read X as what the estimator was fitted on was read; InputError where it is something else."""
    if form.inputs:
        if not is_table(X):
            raise InputError(
                f"the model was fitted on a table with the columns {', '.join(form.inputs)}; found {type(X).__name__}"
            )
        X = as_table(X)
    elif is_table(X) and not _is_frame(X):
        raise InputError("the model was fitted on arrays, and a table was given; give an array of the same form")
    given = _read(estimator, settings, form, X)
    return replace(given, cases=_as_read_by(settings, form, given.cases))


def _read(estimator: BaseEstimator, settings: CaseSettings, form: Form, X: Any) -> Given:
    if form.kind == "image":
        return Given(read_images(X, form.shape))
    if form.kind == "long":
        assert settings.group is not None
        cases, steps, rows = read_long(X, settings.group, form.inputs, settings.time)
        return Given(cases, X, rows, steps)
    if form.columns is not None:
        return Given(form.columns.read(X), X, X.frame, unseen=form.columns.unseen(X))
    if form.inputs:
        values = np.column_stack(
            [X.numbers(X.need(column, "an input of the model")).to_numpy() for column in form.inputs]
        )
        return Given(_rows(values), X, X.frame)
    kind = _kind_of_array(X)
    if kind == "sequences":
        expected = 1 if form.kind == "series" else form.features
        if form.kind == "records":
            raise InputError(f"the model was fitted on an array (n, {form.features}); sequences were given")
        return Given(read_sequences(X, settings.layout, expected))
    if form.kind == "sequences":
        found = np.shape(X)
        if form.features != 1:
            hint = " Is it one sequence? Give [X]." if len(found) == 2 and found[1] == form.features else ""
            raise InputError(
                f"the model was fitted on sequences with {form.features} features, (n, T, {form.features}) or a list; "
                f"found an array of shape {found}.{hint}"
            )
        return Given(_rows(np.array(X, dtype=np.float64)))
    X = validate_data(estimator, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
    return Given(Records.of(X) if form.kind == "records" else _rows(X))


def _rows(values: np.ndarray) -> Sequences:
    """(n, T): each row is a sequence of one feature."""
    return Sequences(values.reshape(-1, 1), np.full(len(values), values.shape[1], dtype=np.int64))


def _as_read_by(settings: CaseSettings, form: Form, cases: Cases) -> Cases:
    """The cases in the form that the architecture reads: images row by row, or all that there is at once."""
    if settings.architecture == "mlp":
        if isinstance(cases, Images):
            return Records.of(cases.values.reshape(len(cases), -1))
        if isinstance(cases, Sequences):
            if (cases.lengths != form.steps).any():
                other = int(cases.lengths[cases.lengths != form.steps][0])
                raise InputError(f"the model reads {form.steps} steps at once; there is a sequence of {other}")
            return Records.of(cases.values.reshape(len(cases), -1))
    elif isinstance(cases, Images) and settings.architecture != "cnn":
        return Sequences.of(list(cases.pixels.reshape(len(cases), cases.height, -1)))
    return cases


def is_table(X: Any) -> bool:
    """A path, an opened file, a table that was read, or a data frame."""
    return isinstance(X, str | os.PathLike | Table | BufferedIOBase) or _is_frame(X)


def as_table(X: Any) -> Table:
    return X if isinstance(X, Table) else read_table(X)


def _is_frame(X: Any) -> bool:
    return isinstance(nw.from_native(X, eager_only=True, pass_through=True), nw.DataFrame)


def _needs_columns(settings: CaseSettings) -> bool:
    """Whether a data frame is more than an array with names."""
    named = (settings.group, settings.time, settings.inputs, settings.together)
    return settings.architecture == "mlp" or any(name is not None for name in named)


def _kind_of_array(X: Any) -> Literal["series", "sequences"]:
    """Lists of arrays, or of lists that differ in length, and arrays of three sides are sequences."""
    if isinstance(X, list | tuple):
        try:
            return "sequences" if np.asarray(X).ndim > 2 else "series"
        except ValueError:
            return "sequences"
    if isinstance(X, np.ndarray):
        if X.ndim == 4:
            raise InputError(f"an array of shape {X.shape} has four sides; if these are images, say layout='image'")
        return "sequences" if X.ndim > 2 or (X.dtype == object and X.ndim == 1 and _holds_arrays(X)) else "series"
    return "series"


def _holds_arrays(X: np.ndarray) -> bool:
    return len(X) > 0 and all(isinstance(one, np.ndarray | list) for one in X)


def _inputs(table: Table, settings: CaseSettings, label: str | None) -> tuple[str, ...]:
    """The columns that are read: those named, or else all that have no other part and can be read."""
    others = {label, settings.group, settings.time, settings.together}
    if settings.inputs is not None:
        for column in settings.inputs:
            table.need(column, "input")
            if column in others:
                raise InputError(f"column {column!r} is given two roles; it can't be an input as well")
        return tuple(settings.inputs)
    frame = table.frame
    reads_words = settings.architecture == "mlp" and settings.group is None
    found = [
        c
        for c in frame.columns
        if c not in others and (holds_numbers(frame[c]) or (reads_words and not frame[c].dtype.is_temporal()))
    ]
    if not found:
        raise InputError(
            f"{table.name} has no column left to read, beside {', '.join(sorted(str(o) for o in others if o))}; its "
            f"columns are: {', '.join(frame.columns)}"
        )
    return tuple(found)


def one_for_each(given: Given, column: str, role: str, group: str | None) -> pl.Series:
    """A column of a table with one value for each case; InputError where a sequence has several, or none."""
    values = given.column(column, role)
    if given.steps is not None and group is not None:
        several = given.steps.group_by(group, maintain_order=True).agg(pl.col(column).n_unique())
        wrong = several.filter(pl.col(column) > 1)
        if not wrong.is_empty():
            raise InputError(
                f"column {column!r} ({role}) has {wrong[column][0]} values within {group!r} {wrong[group][0]}; each "
                "sequence needs one"
            )
    return values


def names(given: Given, group: str | None) -> Sequence[Any]:
    """What each case is called: the value of its group, or its row."""
    if given.rows is not None and group is not None:
        return given.rows[group].to_list()
    return range(1, len(given.cases) + 1)
