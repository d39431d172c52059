"""A continuous law of the first readout: its limit against the number of letters that stand for it.

arXiv 2402.04980 leaves continuous laws open. The experiment draws every letter from the law and knows no
rule, so that it is one level.
"""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from limitlaw._solve import solve
from limitlaw.figures.experiments import measured_error
from limitlaw.figures.panels import Scale
from limitlaw.figures.pictures import save_picture
from limitlaw.models import GiantStep
from limitlaw.plots.style import COLOURS, look
from limitlaw.vocabulary.activations import Sin, Tanh
from limitlaw.vocabulary.readouts import AbstractReadoutLaw, Normal, Uniform
from limitlaw.vocabulary.targets import SingleIndex

Table = tuple[list[str], list[list[str]]]

NETWORK = GiantStep(Tanh(), SingleIndex(Sin()), 1.0, 20.0, 2.0, 1.0, 0.05)

LAWS = {
    "normal, deviation 1": (Normal(), (2, 4, 6)),
    "uniform from 0.5 to 1.5": (Uniform(low=0.5, high=1.5), (1, 2, 3)),
}
"""Laws, and numbers of letters; an odd number spends one on zero when the law is symmetric. Each number
is a compilation of its own, which grows with its square."""


def draw_letters(scale: Scale, path: Path) -> Table:
    """Test error against the number of letters, with networks that draw from the law as a band."""
    rows = []
    with look():
        figure, axes = plt.subplots(1, len(LAWS), figsize=(11.6, 4.2), sharey=True)
        for place, (name, (law, counts)) in zip(axes, LAWS.items(), strict=True):
            rows += _panel(place, name, law, counts[: scale.points], scale, path)
        axes[0].set_ylabel("test error")
        axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.suptitle(
            f"tanh student, sine target, η/p = 1, n₀/d = 20, n/d = 2, λ = 0.05 (d = {scale.dim}, "
            f"{2 * scale.replicas} draws)",
            fontsize=11,
        )
        save_picture(figure, path)
        plt.close(figure)
    return ["law", "letters", "limit", "theory at d", "experiment", "standard error", "z"], rows


def _panel(
    axes: Axes, name: str, law: AbstractReadoutLaw, counts: tuple[int, ...], scale: Scale, path: Path
) -> list[list[str]]:
    # One level affords twice the draws.
    mean, error = measured_error(_network(law), scale.dim, 2 * scale.replicas, path)
    axes.axhspan(mean - error, mean + error, color=COLOURS[1], alpha=0.3, lw=0)
    axes.axhline(mean, color=COLOURS[1], lw=1.2, label="networks, ± standard error")
    finite, limit = ([_theory(law, count, dim) for count in counts] for dim in (scale.dim, None))
    axes.plot(counts, finite, "o-", color=COLOURS[0], label=f"with the finite-width term, d = {scale.dim}")
    axes.plot(counts, limit, "s--", color="0.35", mfc="white", lw=1.2, label="limit")
    axes.set(xlabel="letters in place of the law", title=name, yscale="log", xticks=counts)
    axes.set_yticks((0.02, 0.03, 0.05, 0.1), ("0.02", "0.03", "0.05", "0.1"))
    axes.minorticks_off()
    return [
        [name, str(k), f"{f:.5f}", f"{t:.5f}", f"{mean:.5f}", f"{error:.5f}", f"{(mean - t) / error:+.1f}"]
        for k, f, t in zip(counts, limit, finite, strict=True)
    ]


def _network(law: AbstractReadoutLaw, **changes: Any) -> GiantStep:
    return dataclasses.replace(NETWORK, readout=dataclasses.replace(law, **changes))


def _theory(law: AbstractReadoutLaw, count: int, dim: int | None) -> float:
    return float(solve(_network(law, letters=count), dim=dim)["test_error"])
