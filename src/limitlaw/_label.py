"""Results with named axes: xarray datasets that carry their meaning, source and standing."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limitlaw.core.records import Solution
from limitlaw.core.status import Status

if TYPE_CHECKING:
    import xarray as xr

_ORDER = ("group", "group_", "spike", "degree", "class", "logit", "logit_", "point", "probe")
"""In which tables go through axes that are no study's; others follow."""

AXES = {
    "mean": ("group",),
    "spike_overlap": ("group", "spike"),
    "teacher_overlap": ("group",),
    "bulk_norm": ("group", "group_"),
    "norm": ("group",),
    "bulk_response": ("group", "group_"),
    "response": ("group",),
    "row_norm_overlap": ("group",),
    "strength": ("group",),
    "alignment": (),
    "bulk_variance": ("group",),
    "row_spike_variance": ("group",),
    "row_spike_norm": ("group",),
    "row_teacher_norm": ("group",),
    "row_norm_variance": ("group",),
    "shift": (),
    "learnability": ("degree",),
    "bias_factors": ("degree",),
    "intercept": ("logit",),
    "leverage": ("point",),
    "point_mean": ("point",),
    "point_variance": ("point",),
    "point_error": ("point",),
    "class_errors": ("class",),
}
"""Axes of order parameters, after the axes of the study."""

MATRIX_AXES = {
    "mean_logits": ("logit", "class"),
    "norm": ("logit", "logit_"),
    "response": ("logit", "logit_"),
    "point_mean": ("point", "logit"),
    "point_variance": ("point", "logit"),
}
"""Axes where an order parameter has one for each pair: of several logits."""

MEANINGS = {
    "test_error": "E (y - f)^2 on a fresh sample, label noise included; P(y f < 0) for a loss of labels",
    "train_error": "the same mean over the training set, without penalty",
    "test_loss": "E loss(y, f) on a fresh sample",
    "train_loss": "mean loss over the training set, without penalty",
    "train_objective": "minimised objective per sample, square loss with its 1/2",
    "classification_error": "P(y f < 0) on a fresh sample",
    "certificate": "relative duality gap or residual of the training, the larger; above 1e-6 the rest is NaN",
    "mean": "p^(-1/2) times the sum of the readout over the group",
    "spike_overlap": "p^(-1/2) a_k . B_k v_b",
    "teacher_overlap": "p^(-1/2) a_k . B_k w_perp",
    "bulk_norm": "(1/p) a_k' B_k Pi B_l' a_l",
    "norm": "(1/p) |a_k|^2",
    "bulk_response": "(1/p) Tr[Pi B_k' R_kl B_l]",
    "response": "(1/p) Tr R_kk",
    "row_norm_overlap": "p^(-1/2) sum of a_i (|b_i|^2 - c_k) over the group",
    "strength": "component of the group's rows along the spike",
    "alignment": "spike . teacher",
    "bulk_variance": "mean squared norm of the rows outside the spike",
    "row_spike_variance": "d Var(b . v) over the rows b outside the spike v",
    "row_spike_norm": "d Cov(b . v, |b|^2) over the rows",
    "row_teacher_norm": "d Cov(b . w_perp, |b|^2) over the rows",
    "row_norm_variance": "d Var |b|^2 over the rows",
    "shift": "the bias that was trained with the readout",
}


def model_attributes(model: Any) -> dict[str, str]:
    """Model, fixed fields, source and standing, as text."""
    name = type(model).__name__
    fields = {
        f"field_{field.name}": describe(getattr(model, field.name)) for field in dataclasses.fields(model)
    }
    reference = model.reference
    return {
        "model": name,
        "headline": model.headline,
        "standing": str(model.instance_standing),
        "reference": f"{', '.join(reference.authors)} ({reference.year}), arXiv {reference.arxiv}",
        **fields,
    }


def describe(value: Any) -> str:
    """A field's value in a few words."""
    if hasattr(value, "label"):
        return value.label
    if isinstance(value, tuple) and len(value) <= 8:
        return f"({', '.join(describe(one) for one in value)})"
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return f"{float(value):.10g}"
    if isinstance(value, np.ndarray) and value.size <= 8:
        return np.array2string(value, separator=", ")
    if isinstance(value, (np.ndarray, tuple)):
        return f"array of shape {np.shape(value)}"
    return str(value)


def theory_dataset(
    solution: Solution,
    axes: Mapping[str, Sequence[Any]],
    attributes: Mapping[str, Any],
    meanings: Mapping[str, str] | None = None,
) -> "xr.Dataset":
    """A stacked solution over the points of a grid, first axis slowest; or a single one over no axes.

    Args:
        solution: of one point, or of all with a leading axis.
        axes: coordinates of the grid.
        attributes: of the dataset.
        meanings: of quantities that a model calls by a name that others use for something else.
    """
    values = solution.observables | solution.order_parameters
    stacked = np.ndim(solution.convergence.residual)
    dataset = _dataset(values, stacked, tuple(axes), axes, {**attributes, "kind": "theory"}, meanings or {})
    convergence = solution.convergence
    shape = tuple(len(values) for values in axes.values())
    for name, value, text in (
        ("status", np.asarray(convergence.status, dtype=np.int8), "how the solve ended"),
        ("residual", convergence.residual, "largest relative change under one more sweep"),
        ("steps", np.asarray(convergence.steps), "sweeps and Newton steps"),
    ):
        dataset[name] = (tuple(axes), np.asarray(value).reshape(shape), {"long_name": text})
    dataset["status"].attrs |= {
        "flag_values": np.array([int(status) for status in Status], dtype=np.int8),
        "flag_meanings": " ".join(status.name.lower() for status in Status),
    }
    return dataset


def experiment_dataset(
    values: Mapping[str, np.ndarray],
    stacked: int,
    axes: Mapping[str, Sequence[Any]],
    attributes: Mapping[str, Any],
    meanings: Mapping[str, str] | None = None,
) -> "xr.Dataset":
    """Measurements over the points of a grid, with a replica axis after the study's.

    `stacked` is the number of leading axes of the values: replicas, or points and replicas.
    """
    attributes = {**attributes, "kind": "experiment"}
    return _dataset(values, stacked, (*axes, "replica"), axes, attributes, meanings or {})


def inner_axes(values: "xr.DataArray") -> list[str]:
    """Axes of a quantity that are neither the study's, which have coordinates, nor the replicas'."""
    names = [str(dim) for dim in values.dims if dim != "replica" and dim not in values.coords]
    return sorted(names, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))


def _named_axes(name: str, count: int) -> tuple[str, ...]:
    axes: tuple[str, ...] = AXES.get(name, ())
    if name == "probes" or name.endswith("_path"):
        axes = ("probe",)
    if count > len(axes) and name in MATRIX_AXES:
        axes = MATRIX_AXES[name]
    if count > len(axes) and name.endswith("_eigenvalues"):
        axes = ("probe", name.removesuffix("s"))
    # An axis that nobody has named is its quantity's own.
    own = tuple(f"{name}_axis_{place}" for place in range(len(axes), count))
    return (*axes, *own)[:count]


def _dataset(values, stacked: int, leading: tuple[str, ...], axes, attributes, meanings) -> "xr.Dataset":
    import xarray as xr

    grid = [len(coordinates) for coordinates in axes.values()]
    variables = {}
    for name, value in values.items():
        inner = _named_axes(name, np.ndim(value) - stacked)
        tail = value.shape[value.ndim - len(inner) :]
        shape = (*grid, -1, *tail) if leading[-1:] == ("replica",) else (*grid, *tail)
        text = {
            "long_name": name.replace("_", " "),
            "description": meanings.get(name, MEANINGS.get(name, "")),
        }
        variables[name] = ((*leading, *inner), np.asarray(value).reshape(shape), text)
    coordinates = {name: np.asarray(values) for name, values in axes.items()}
    dataset = xr.Dataset(variables, coords=coordinates, attrs=dict(attributes))
    for name in axes:
        dataset[name].attrs["long_name"] = str(attributes.get(f"meaning_{name}", name))
    return dataset
