"""`limitlaw predict`: a file to a report; the data are checked before anything heavy is imported."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from limitlaw.cli.ranges import numbers, parse_axis
from limitlaw.core.errors import InvalidInput
from limitlaw.datasets.files import Dataset, read_dataset
from limitlaw.datasets.labels import Labels, labels_of
from limitlaw.datasets.points import (
    constant_columns,
    require_few_copies,
    require_one_label_each,
    rows_of,
    share_of_copies,
)

KERNELS = ("rbf", "laplace", "polynomial")
_LOSSES = ("square", "logistic")
_OWNER = "predict"


class Request(NamedTuple):
    """What was asked for, valid.

    Attributes:
        data: arrays.
        labels: as numbers.
        samples: n along the curve; None for the default.
        kernel, length: name and parameter; None for features as they are.
        loss: "square" or "logistic".
    """

    data: Dataset
    labels: Labels
    samples: list[float] | None
    kernel: str | None
    length: float | None
    loss: str


def read_request(
    path: Path,
    target: str,
    samples: str | None,
    penalty: float | None,
    kernel: str | None,
    loss: str,
    standardise: bool,
    drop_constant: bool,
    labels: str = "auto",
) -> Request:
    """Read and check, without JAX.

    Raises:
        InvalidInput, UnknownName, StoreError: something does not fit.
    """
    name, length = _kernel(kernel)
    if loss not in _LOSSES:
        raise InvalidInput(_OWNER, "loss", f"one of {', '.join(_LOSSES)}", repr(loss))
    if labels not in ("auto", "real", "classes"):
        raise InvalidInput(_OWNER, "labels", "one of auto, real, classes", repr(labels))
    kind: Any = labels
    if penalty is not None and not 0 <= penalty < np.inf:
        raise InvalidInput(_OWNER, "penalty", "zero or more, and finite", penalty)
    asked = None if samples is None else _samples(samples)
    data = read_dataset(path, target)
    X, found = rows_of(_OWNER, data.X, data.gram), labels_of(_OWNER, data.y, kind)
    require_one_label_each(_OWNER, len(X), len(found.values))
    require_few_copies(_OWNER, share_of_copies(X, found.values))
    if loss == "logistic" and len(found.classes) != 2:
        got = f"{len(found.classes)} classes" if found.classes else "real labels"
        raise InvalidInput(_OWNER, "target", "of two classes for the logistic loss", got)
    if data.gram:
        if name is not None or standardise:
            raise InvalidInput(_OWNER, "kernel", "left out where the file holds a Gram matrix", kernel)
    else:
        X = _varied(X, data.columns, drop_constant)
        X = (X - X.mean(axis=0)) / X.std(axis=0) if standardise else X
    return Request(data._replace(X=X), found, asked, name, length, loss)


def _samples(text: str) -> list[float]:
    try:
        points = parse_axis("samples", text)
    except InvalidInput as mistake:
        raise InvalidInput(_OWNER, "samples", mistake.allowed, mistake.got) from None
    if any(isinstance(point, str) for point in points):
        raise InvalidInput(_OWNER, "samples", "start:stop:count, or numbers separated by commas", repr(text))
    given = np.array(points, dtype=np.float64)
    if not np.all(np.isfinite(given)) or np.round(given.min()) < 3:
        raise InvalidInput(_OWNER, "samples", "whole numbers of 3 or more", repr(text))
    return sorted({float(point) for point in np.round(given)})


def _kernel(text: str | None) -> tuple[str | None, float | None]:
    if text is None:
        return None, None
    name, bracket, rest = text.lower().partition("(")
    if name not in KERNELS or (bracket and not rest.endswith(")")):
        raise InvalidInput(_OWNER, "kernel", f"one of {', '.join(KERNELS)}, as in rbf(2)", repr(text))
    try:
        length = float(numbers(rest[:-1])) if bracket else None
    except (ValueError, TypeError):
        raise InvalidInput(
            _OWNER, "kernel", "a name with one number in brackets, as in rbf(2)", repr(text)
        ) from None
    if length is not None and not (0 < length < np.inf):
        raise InvalidInput(_OWNER, "kernel", "a name with a positive number, as in rbf(2)", repr(text))
    return name, length


def _varied(X: np.ndarray, columns: Sequence[str], drop: bool) -> np.ndarray:
    constant = constant_columns(X)
    if not constant:
        return X
    if not drop:
        shown = ", ".join(columns[k] for k in constant[:4]) + (", ..." if len(constant) > 4 else "")
        allowed = "features that vary (--drop-constant leaves the others out)"
        raise InvalidInput(_OWNER, "data", allowed, f"{len(constant)} constant: {shown}")
    return np.delete(X, constant, axis=1)


def model_of(request: Request, penalty: float | None, intercept: bool, method: str) -> Any:
    """The statement; JAX is imported here."""
    from limitlaw.models.from_data import FromData
    from limitlaw.vocabulary.losses import Logistic, Square

    loss = Square() if request.loss == "square" else Logistic()
    chosen: Any = method  # refused with a sentence of its own where it is none
    features = "precomputed" if request.data.gram else _features(request)
    values, classes = request.labels
    return FromData(
        request.data.X, values, features, loss, penalty, intercept, method=chosen, classes=classes
    )


def _features(request: Request) -> Any:
    from limitlaw.vocabulary import kernels

    if request.kernel is None:
        return None
    if request.kernel == "polynomial":
        degree = 2.0 if request.length is None else request.length
        return kernels.Polynomial(int(degree) if float(degree).is_integer() else degree)  # pyright: ignore[reportArgumentType]
    return (kernels.RBF if request.kernel == "rbf" else kernels.Laplace)(request.length)
