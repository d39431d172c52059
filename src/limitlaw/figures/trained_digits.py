"""Figure for arXiv 2211.06506: spectra of networks trained on images that ship inside packages.

Labels are 1 for even digits and -1 for odd ones. Sizes, rates and steps are ours.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._spectrum import spectrum
from limitlaw.figures.experiments import kept_replicas
from limitlaw.figures.panels import SCALES, Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.figures.trained_networks import (
    Runs,
    Table,
    draw_histograms,
    finished,
    spread,
    tail_verdict,
    trained_network,
)
from limitlaw.figures.user_data import bundled, large_digits
from limitlaw.models import ConjugateKernel, WideNetwork
from limitlaw.plots.style import COLOURS, look
from limitlaw.spectra.marchenko_pastur import MarchenkoPastur
from limitlaw.vocabulary.activations import Tanh
from limitlaw.vocabulary.optimisers import Adam

Arrays = tuple[np.ndarray, np.ndarray]


class Images(NamedTuple):
    """A set of images and how much of it is learned: samples and hidden units."""

    load: Callable[[], Arrays]
    samples: int
    width: int


def _small_digits() -> Arrays:
    """1797 images of 8 x 8; columns that vary, each of variance one."""
    found = bundled("digits")
    images = found.data[:, found.data.std(axis=0) > 0]
    return images / images.std(axis=0), found.target


_SETS = {
    "8 x 8 digits": Images(_small_digits, 600, 200),
    "28 x 28 digits": Images(large_digits, 600, 1176),
}


def draw_digits(scale: Scale, path: Path) -> Table:
    """Weights and conjugate kernel by an adaptive rule, and the share of wrong signs by two, on two sets."""
    rows: list[list[str]] = []
    share = 1.0 if scale.dim >= SCALES["quick"].dim else 0.02
    with look():
        figure, axes = plt.subplots(2, 3, figsize=(15.0, 8.6))
        for line, (name, images) in zip(axes, _SETS.items(), strict=True):
            models = _networks(images, share)
            runs = {
                rule: finished(kept_replicas(network_on_images, model, 0, 3, path))
                for rule, model in models.items()
            }
            adaptive = runs["Adam"]
            shape = adaptive["weight_eigenvalues"].shape[-1], images.width
            draw_histograms(line[0], MarchenkoPastur(shape[0] / shape[1], 1.0), adaptive, "weight")
            draw_histograms(line[1], _law(adaptive, images), adaptive, "conjugate")
            _draw_errors(line[2], runs)
            line[0].set_title(f"{name}, d = {shape[0]}: W'W/h by Adam")
            line[1].set_title(f"n = {images.samples}, h = {images.width}: conjugate kernel by Adam")
            rows += [[name, rule, *_summary(one, shape)] for rule, one in runs.items()]
            line[0].legend(loc="upper left", fontsize=7.5)
        axes[0, 2].legend()
        figure.tight_layout()
        save_picture(figure, path)
        plt.close(figure)
    return ["images", "rule", *_SUMMARY, "tail of W"], rows


def _networks(images: Images, share: float) -> dict[str, WideNetwork]:
    rows, digits = images.load()
    labels = np.where(np.asarray(digits) % 2 == 0, 1.0, -1.0)

    def network(steps: int, **training: Any) -> WideNetwork:
        left, width = 1 - images.samples / len(rows), images.width / rows.shape[1]
        steps = max(round(share * steps), 2)
        return WideNetwork.of_data(rows, labels, width, test_share=left, steps=steps, **training)

    adaptive = {"optimiser": Adam(), "learning_rate": 0.05, "batch_fraction": 0.1}
    return {
        "gradient descent, rate 0.3": network(300, learning_rate=0.3),
        "Adam": network(300, **adaptive),
    }


def network_on_images(model: Any, dim: int, replica: int) -> Mapping[str, np.ndarray]:
    """A replica, with the eigenvalues of its inputs' Gram matrix."""
    inputs = np.asarray(model.instance(replica=replica).data.train.inputs)
    return {
        **trained_network(model, None, replica),
        "input_eigenvalues": np.linalg.eigvalsh(inputs.T @ inputs),
    }


def _law(runs: Runs, images: Images) -> Any:
    """The conjugate kernel before training, from the inputs of the first replica."""
    inputs = np.maximum(runs["input_eigenvalues"][0], 0.0)
    dim = runs["weight_eigenvalues"].shape[-1]
    return spectrum(
        ConjugateKernel(
            Tanh(), len(inputs) / dim, images.width / dim, input_eigenvalues=inputs / inputs.mean()
        )
    )


def _draw_errors(place: Axes, runs: Mapping[str, Runs]) -> None:
    """Mean and standard deviation over replicas."""
    for colour, (rule, one) in zip(COLOURS, runs.items(), strict=False):
        path = one["classification_error_path"]
        place.errorbar(
            one["probes"][0],
            path.mean(0),
            path.std(0, ddof=1),
            fmt="o-",
            color=colour,
            capsize=2.5,
            label=rule,
        )
    place.set(xscale="symlog", xlabel="steps", ylabel="share of wrong signs, fresh images", ylim=(0.0, None))
    place.set_xlim(0.0, None)


_SUMMARY = {
    "wrong signs": "classification_error",
    "R²": "r_squared",
    "W1 of W": "weight_distance",
    "W1 of CK": "conjugate_distance",
    "top of W over edge": "weight_growth",
    "outliers of W": "weight_outliers",
    "target alignment": "conjugate_target_alignment",
    "limit of stability": "stability_limit",
}


def _summary(runs: Runs, shape: tuple[int, int]) -> list[str]:
    last = runs["weight_eigenvalues"][:, -1]
    verdicts = sorted({tail_verdict(values, shape) for values in last})
    return [*(spread(runs[key]) for key in _SUMMARY.values()), "; ".join(verdicts)]
