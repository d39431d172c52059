"""Experiments of drawn figures, kept next to the picture: a killed run loses the replica in flight."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from limitlaw._label import model_attributes
from limitlaw._simulate import run_spectrum
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.records import Measurements
from limitlaw.studies import Study
from limitlaw.studies.store import Store

Measure = Callable[[Any, int, int], Mapping[str, np.ndarray]]
"""One replica: from a model, an input dimension and the replica's number to what was measured."""


def measured_error(model: Any, dim: int, replicas: int, picture: Path) -> tuple[float, float]:
    """Mean test error over replicas of one model, and its standard error."""
    store = _folder(model, dim, picture)
    errors = Study(model, {}).simulate(dim, replicas, store=store, progress=False)["test_error"].values
    return float(np.mean(errors)), float(np.std(errors, ddof=1) / np.sqrt(replicas))


def drawn_eigenvalues(model: Any, dim: int, replicas: int, picture: Path) -> Measurements:
    """Eigenvalues of drawn matrices; no readout is trained."""
    return Measurements({}, kept_replicas(_eigenvalues, model, dim, replicas, picture), dim, 0, replicas)


def _eigenvalues(model: Any, dim: int, replica: int) -> dict[str, np.ndarray]:
    return run_spectrum(model, dim, 0, replica)


def kept_study(study: Study, replicas: int, picture: Path) -> Any:
    """An experiment over a study of models with their own dimension; one store for each study."""
    store = picture.with_name(f"{picture.stem}-cells") / fingerprint(study.models)[:16]
    return study.simulate(None, replicas, store=store)


def kept_replicas(
    measure: Measure, model: Any, dim: int, replicas: int, picture: Path
) -> dict[str, np.ndarray]:
    """What `measure` finds, with a leading replica axis; finished replicas come from the store."""
    identity = {"model": fingerprint(model), "dim": dim, "measure": measure.__name__}
    description = {"axes": {}, "attributes": model_attributes(model)}
    store = Store(_folder(model, dim, picture), identity, description)
    cells = [_cell(store, measure, model, dim, replica) for replica in range(replicas)]
    return {name: np.stack([cell[name] for cell in cells]) for name in cells[0]}


def _cell(store: Store, measure: Measure, model: Any, dim: int, replica: int) -> Mapping[str, np.ndarray]:
    found = store.read(0, replica)
    if found is not None:
        return found[0]
    cell = dict(measure(model, dim, replica))
    store.write(0, replica, (cell, {}))
    return cell


def _folder(model: Any, dim: int, picture: Path) -> Path:
    """One store for each model and size; other models of the figure lie beside it."""
    stem = picture.with_suffix("")
    return stem.with_name(f"{stem.name}-cells") / f"{fingerprint(model)[:16]}-{dim}"


def drawn_point(
    place: Axes, case: str, where: float, theory: float, values: np.ndarray, colour: str, mark: str = "o"
) -> list[str]:
    """A mean over draws with its error bar; its row of the table."""
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
    place.errorbar(where, mean, yerr=error, fmt=mark, color=colour, capsize=2.5)
    z = (mean - theory) / error
    return [case, f"{where:g}", f"{theory:.5g}", f"{mean:.5g}", f"{error:.2g}", f"{z:+.1f}"]
