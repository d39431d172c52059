"""`diagnose`: what the spectra of trained weights say, against a null hypothesis."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limitlaw.core.counts import is_count
from limitlaw.core.errors import InvalidInput, UnknownName
from limitlaw.spectra.marchenko_pastur import FALSE_ALARM
from limitlaw.weights.alignment import Alignment, alignments
from limitlaw.weights.files import read_weights
from limitlaw.weights.layers import Layer, Settings, examine
from limitlaw.weights.matrices import Layout, weight_matrices
from limitlaw.weights.tables import Table, tables


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Of a model's weight matrices; `diagnosis["name"]` is a layer.

    Attributes:
        layers: those with a spectrum, in the model's order.
        alignments: of outliers, between layers that follow one another.
        skipped: the other arrays, and why.
        layout: order of the axes, "out-in" or "in-out".
    """

    layers: tuple[Layer, ...]
    alignments: tuple[Alignment, ...]
    skipped: dict[str, str]
    layout: Layout

    def __getitem__(self, name: str) -> Layer:
        found = {layer.name: layer for layer in self.layers}
        if name not in found:
            raise UnknownName("layer", name, found)
        return found[name]

    def tables(self) -> dict[str, Table]:
        """Bulks, outliers, alignments and tails as tables by title; those without rows are left out."""
        return tables(self.layers, self.alignments)


def diagnose(
    weights: Any,
    layout: Layout | None = None,
    *,
    false_alarm: float = FALSE_ALARM,
    bootstraps: int = 100,
    null_draws: int = 20,
    seed: int = 0,
) -> Diagnosis:
    """Bulk law, outliers, alignment and tail of every weight matrix of a model, against untrained matrices.

    Eigenvalues are squared singular values over the larger side. Each matrix has a Marchenko-Pastur law
    fitted to its bulk; outliers are beyond its edge by more than a Gaussian matrix of the same shape gets,
    but for a chance of `false_alarm`. The tail's exponents come with fit, rivals and null. Nothing here
    imports JAX.

    Args:
        weights: arrays by name (mappings in mappings too), or a path: .npz, .npy, .safetensors, or .pt, .pth
            and .bin where PyTorch is installed.
        layout: "out-in" (PyTorch) or "in-out" (Flax, Keras); by default it is read off the shapes.
        false_alarm: of each matrix.
        bootstraps: samples for the tail's goodness of fit.
        null_draws: Gaussian matrices drawn for each matrix.
        seed: of all draws; a layer's do not depend on the other layers.

    Returns:
        A `Diagnosis`. Matrices that are constant, have fewer than 30 rows or columns or have no bulk are in
        `skipped`.

    Raises:
        InvalidInput: no matrix has a spectrum worth fitting, weights are not finite, or an argument is out of
            range.
        StoreError: the file cannot be read.
    """
    settings = Settings(false_alarm, bootstraps, null_draws, seed)
    _require(settings)
    held = read_weights(weights) if isinstance(weights, str | Path) else weights
    if not isinstance(held, Mapping):
        raise InvalidInput("diagnose", "weights", "arrays by name, or a path", repr(type(weights).__name__))
    sorted_out = weight_matrices(held, layout)
    layers, skipped = {}, dict(sorted_out.others)
    for matrix in sorted_out.matrices:
        try:
            if matrix.refusal:
                skipped[matrix.name] = matrix.refusal
            else:
                layers[matrix.name] = examine(matrix, settings)
        except InvalidInput as problem:
            skipped[matrix.name] = f"no fit: eigenvalues must be {problem.allowed}, got {problem.got}"
    if not layers:
        held_back = "; ".join(f"{one.name}: {skipped[one.name]}" for one in sorted_out.matrices[:3])
        raise InvalidInput("diagnose", "weights", "a model with a matrix that has a spectrum", held_back)
    pairs = alignments(sorted_out.matrices, layers)
    return Diagnosis(tuple(layers.values()), pairs, skipped, sorted_out.layout)


def _require(settings: Settings) -> None:
    if not 0 < settings.false_alarm < 1:
        raise InvalidInput("diagnose", "false_alarm", "between 0 and 1", settings.false_alarm)
    for field, least in (("bootstraps", 1), ("null_draws", 2), ("seed", 0)):
        if not is_count(getattr(settings, field), least):
            allowed = f"an integer of {least} or more"
            raise InvalidInput("diagnose", field, allowed, getattr(settings, field))
