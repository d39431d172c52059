"""Learning curves of a user's data: solid where they are trusted, dashed where not, nothing beyond."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from limitlaw._predict import Report
from limitlaw._trust import Verdict
from limitlaw.core.errors import InvalidInput
from limitlaw.plots.style import COLOURS, logarithmic, look


def prediction(report: Report) -> list[Axes]:
    """Draw a report: errors against n with the population's error as a band, and the checks as points.

    Args:
        report: from `predict`.

    Returns:
        One pair of axes for the test and training error, and one for wrong classes where there are classes.

    Raises:
        InvalidInput: this is no report.
    """
    if not isinstance(report, Report):
        raise InvalidInput("plots.prediction", "report", "from `predict`", repr(report))
    curve = report.curve
    panels: list[tuple[str, ...]] = [("test_error", "train_error")]
    if np.any(np.isfinite(curve.classification_error)) and not report.data.loss.takes_labels:
        panels.append(("classification_error",))
    with look():
        places = plt.subplots(1, len(panels), figsize=(5.6 * len(panels), 4.2), squeeze=False)[1][0]
        for place, names in zip(places, panels, strict=True):
            for name, colour in zip(names, COLOURS, strict=False):
                _draw(place, report, name, colour)
            _finish(place, report)
    return list(places)


def _draw(place: Axes, report: Report, name: str, colour: str) -> None:
    curve, words = report.curve, name.replace("_", " ")
    values = getattr(curve, name)
    checks = [one for one in report.checks if one.quantity == name]
    # The theory was solved at the checks too.
    samples = np.append(curve.samples, [one.samples for one in checks])
    line = np.append(values, [one.theory for one in checks])
    verdicts = [*curve.verdicts, *(one.verdict for one in checks)]
    trusted = np.array([one is Verdict.TRUSTED for one in verdicts])
    order = np.argsort(samples, kind="stable")
    samples, line, trusted = samples[order], line[order], trusted[order]
    if name == "test_error" and np.any(np.isfinite(curve.population_error)):
        spread = np.interp(np.log(samples), np.log(curve.samples), curve.population_error)
        style: dict[str, Any] = {"color": colour, "lw": 0}
        low, high = line * np.exp(-spread), line * np.exp(spread)
        place.fill_between(samples, low, high, alpha=0.15, label="population error", **style)
        if np.any(np.isfinite(curve.left_out_error)):
            between = "pooled to leave-one-out"
            place.fill_between(curve.samples, values, curve.left_out_error, alpha=0.3, label=between, **style)
    place.plot(samples, line, "--", color=colour, lw=1.2, label=words)
    place.plot(samples, np.where(trusted, line, np.nan), color=colour)
    where, means, errors = ([getattr(one, part) for one in checks] for part in _POINT)
    if checks:
        place.errorbar(
            where, means, yerr=errors, fmt="o", color=colour, capsize=2.5, label=f"{words}, trained"
        )


_POINT = ("samples", "simulation", "standard_error")


def _finish(place: Axes, report: Report) -> None:
    points, last = report.data.points, report.curve.samples[-1]
    place.axvline(points, color="0.35", ls=":", lw=1.0)
    place.text(points, 0.99, " N", transform=place.get_xaxis_transform(), va="top", fontsize=8)
    if report.largest_samples < last:
        place.axvspan(report.largest_samples, last, color="0.9", lw=0, label="not determined by N points")
    logarithmic(place)
    place.set_ylim(bottom=0)
    place.set_xlabel("n, training samples")
    place.set_ylabel("error")
    place.set_title(f"solid: trusted; dashed: not ({report.data.features.label} features)", fontsize=9)
    place.legend()
