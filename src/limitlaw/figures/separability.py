"""When three classes can be separated without an error, and what a mixture says of real digits.

For arXiv 2106.03791, beyond its two classes; parameters are ours.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import linprog

from limitlaw._solve import solve
from limitlaw.core.keys import named
from limitlaw.core.precision import double_precision
from limitlaw.figures.experiments import drawn_point, kept_replicas
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.user_data import digits
from limitlaw.models import GaussianMixture
from limitlaw.plots.style import COLOURS, look
from limitlaw.simulation.class_training import train_classes
from limitlaw.simulation.mixture_data import draw_inputs
from limitlaw.vocabulary.losses import CrossEntropy

Table = tuple[list[str], list[list[str]]]
HEADER = ["case", "n/d", "theory", "experiment", "standard error", "z"]

PENALTIES = (1.0, 0.1, 0.01)
CASES = {
    "orthonormal means, Δ = 0.3": GaussianMixture(np.eye(3), 0.3, 2.0, PENALTIES[-1]),
    "random labels": GaussianMixture(np.zeros((3, 3)), 1.0, 2.0, PENALTIES[-1]),
}
_SAMPLES, _DRAWN = np.linspace(0.6, 9.0, 15), np.linspace(1.2, 9.0, 14)
_MOST = 80
"""Dimension of the linear programmes at either scale; thresholds of draws are as sharp as 1/d allows."""


def draw_separability(scale: Scale, path: Path) -> Table:
    """Left, middle: training errors at small penalties, and separable draws. Right: losses on digits."""
    rows: list[list[str]] = []
    with look():
        figure, axes = plt.subplots(1, 3, figsize=(17.6, 4.4), gridspec_kw={"wspace": 0.4})
        for place, (name, model) in zip(axes, CASES.items(), strict=False):
            rows += _threshold(place, name, model, scale, path)
        axes[1].legend(fontsize=8, loc="center right")
        rows += _digits(axes[2], scale)
        draws = f"{_MOST} dimensions and {2 * scale.replicas} draws a point"
        figure.suptitle(f"cross-entropy, three classes ({draws})", y=1.04)
        save_picture(figure, path)
        plt.close(figure)
    return HEADER, rows


def _threshold(place: Axes, name: str, model: GaussianMixture, scale: Scale, path: Path) -> list[list[str]]:
    dim, draws = min(scale.dim, _MOST), 2 * scale.replicas
    for penalty, colour in zip(PENALTIES, COLOURS, strict=False):
        line = _theory(dataclasses.replace(model, penalty=penalty), _SAMPLES, "train_error")
        place.plot(_SAMPLES, line, color=colour, label=f"training error, λ = {penalty:g}")
    points = _theory(model, _DRAWN, "train_error")
    rows, other = [], place.twinx()
    for ratio, theory in zip(_DRAWN, points, strict=True):
        drawn = dataclasses.replace(model, samples_per_dim=ratio)
        share = np.mean(kept_replicas(_separable, drawn, dim, draws, path)["separable"])
        other.plot(ratio, share, "ko", ms=4)
        case = f"{name}: training error, separable draws"
        rows.append([case, f"{ratio:.2f}", f"{theory:.5g}", f"{share:.3g}", "", ""])
    other.set(ylim=(-0.03, 1.03), ylabel="share of separable draws (points)")
    other.grid(False)
    place.set(xlabel="n/d, training samples per input dimension", ylabel="training error", title=name)
    return rows


def _theory(model: GaussianMixture, ratios: Sequence[float] | np.ndarray, quantity: str) -> list[float]:
    """One by one: points settle at very different speeds, and a batch of them takes longer."""
    models = [dataclasses.replace(model, samples_per_dim=ratio) for ratio in ratios]
    return [float(solve(one)[quantity]) for one in models]


def _separable(model: GaussianMixture, dim: int, replica: int) -> dict[str, np.ndarray]:
    """Whether some W has every sample's own logit the largest, by a margin of one: a linear programme."""
    with double_precision():
        key, sizes = jax.random.key(replica), model.sizes(dim)
        means = model.draw(sizes, named(key, "means"))
        inputs = np.asarray(draw_inputs(named(key, "inputs"), means, model.noise, sizes))
    return {"separable": np.asarray(float(is_separable(inputs, np.asarray(sizes.classes), model.classes)))}


def is_separable(inputs: np.ndarray, labels: np.ndarray, classes: int) -> bool:
    """Whether K linear logits without intercept can tell all samples apart."""
    signs = np.eye(classes)[labels][:, None, :] - np.eye(classes)[None]
    others = np.arange(classes)[None, :] != labels[:, None]
    # A common shift of all logits is free: the last is zero.
    margins = (signs[..., :-1, None] * inputs[:, None, None, :])[others].reshape(
        -1, (classes - 1) * inputs.shape[1]
    )
    found = linprog(np.zeros(margins.shape[1]), -margins, -np.ones(len(margins)), bounds=(None, None))
    return found.status == 0


_DIGITS, _PENALTY, _RATIOS = (3, 5, 8), 1.0, np.linspace(0.8, 5.0, 22)
_TRAINED = (1.0, 1.5, 2.5, 4.0)


def _digits(place: Axes, scale: Scale) -> list[list[str]]:
    """Whitened digits: the mixture of one half of them, and readouts trained on parts of the other."""
    inputs, labels = _whitened()
    half, dim = len(labels) // 2, inputs.shape[1]
    mixture = GaussianMixture.of_data(inputs[half:], labels[half:], _PENALTY, intercept=True)
    rows = []
    trained = [
        [_trained(inputs, labels, half, round(ratio * dim), seed) for seed in range(scale.replicas)]
        for ratio in _TRAINED
    ]
    for quantity, colour in zip(("test_loss", "train_loss"), COLOURS, strict=False):
        name = quantity.replace("_", " ")
        place.plot(_RATIOS, _theory(mixture, _RATIOS, quantity), color=colour, label=name)
        for ratio, theory, draws in zip(_TRAINED, _theory(mixture, _TRAINED, quantity), trained, strict=True):
            values = np.array([draw[quantity] for draw in draws])
            rows.append(drawn_point(place, f"digits 3, 5, 8: {name}", ratio, theory, values, colour))
    place.set(
        xlabel="n/d",
        ylabel="cross-entropy",
        title="digits 3, 5, 8 whitened, λ = 1\n(lines: the mixture of other digits)",
    )
    place.legend()
    return rows


def _whitened() -> tuple[np.ndarray, np.ndarray]:
    """Pixels that vary, with one variance in all directions within classes; the classes as 0, 1, 2."""
    images, names = digits(1797)
    kept = np.isin(names, _DIGITS)
    labels, images = np.searchsorted(_DIGITS, names[kept]), images[kept]
    images = images[:, images.std(axis=0) > _VARYING] - images[:, images.std(axis=0) > _VARYING].mean(axis=0)
    residuals = images - np.stack([images[labels == k].mean(axis=0) for k in range(3)])[labels]
    power, axes = np.linalg.eigh(residuals.T @ residuals / len(images))
    return images @ (axes / np.sqrt(power + _FLOOR * power.mean())), labels


_VARYING, _FLOOR = 0.03, 0.05
"""Least deviation of a pixel, and what is added to variances, in units of their mean."""


def _trained(inputs, labels, half: int, samples: int, seed: int) -> dict[str, float]:
    """Losses of a readout trained on so many of the first half, tested on the second."""
    kept = np.random.default_rng(seed).permutation(half)[:samples]
    with double_precision():
        hot = jnp.asarray(np.eye(3)[labels])
        fit = train_classes(jnp.asarray(inputs[kept]), hot[kept], CrossEntropy(), jnp.asarray(_PENALTY), True)
        basis = CrossEntropy().basis(3)
        logits = (
            inputs[half:] @ np.asarray(fit.weights) / np.sqrt(inputs.shape[1]) + np.asarray(fit.intercept)
        ) @ basis.T
        test = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), labels[half:]])
        return {"train_loss": float(fit.train_loss), "test_loss": float(test)}
