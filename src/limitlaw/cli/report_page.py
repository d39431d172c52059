"""The page of text of `limitlaw predict`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from limitlaw._trust import Verdict, worst
from limitlaw.core.errors import InvalidInput, NotConverged
from limitlaw.core.status import Status

if TYPE_CHECKING:
    from limitlaw._predict import Report


def require_prediction(report: "Report") -> None:
    """Refuse a curve without a single number, by what kept them away.

    Raises:
        InvalidInput: the points determine none of them.
        NotConverged: they do, but nothing was solved.
    """
    curve = report.curve
    if any(one is not Verdict.NO_PREDICTION for one in curve.verdicts):
        return
    unsolved = [one for one in curve.statuses if one is not Status.BEYOND_DATA]
    if unsolved:
        raise NotConverged(f"no prediction at any n: {unsolved[0].sentence}")
    asked = ", ".join(f"{n:.0f}" for n in curve.samples[:6])
    allowed = f"within what {report.data.points} points determine (n up to {report.largest_samples:.0f} here)"
    raise InvalidInput("predict", "samples", allowed, asked)


def left_out(report: "Report") -> Iterator[str]:
    """A line for each reason for which some n have no prediction."""
    for status in sorted(set(report.curve.statuses) - {Status.CONVERGED, Status.DIVERGED}):
        count = report.curve.statuses.count(status)
        if status is Status.BEYOND_DATA:
            yield f"{count} points beyond what the data determine are left out"
        else:
            yield f"{count} points were not solved: {status.sentence}"


def show_report(report: "Report") -> None:
    """One page of text."""
    from limitlaw.cli.show import show_table

    model, curve = report.data, report.curve
    spectrum = model.prepared.universe.spectrum
    kind = f"{len(model.classes)} classes: {', '.join(model.classes[:6])}" if model.classes else "real labels"
    print(f"{model.points} points, {model.X.shape[1]} columns, rank {len(spectrum.eigenvalues)}; {kind}")
    print(
        f"{model.loss.label} loss, {model.features.label} features, penalty {curve.penalty[0]:.4g} "
        f"({curve.penalty[0] / spectrum.mean_square_norm:.3g} Tr K/N) beside the sum over samples"
    )
    for note in report.notes:
        print(f"note: {note}")
    print()
    show_table(*_curve_table(report))
    print()
    if report.checks:
        show_table(*_check_table(report))
        print()
    for line in _sentences(report):
        print(line)


def _curve_table(report: "Report") -> tuple[list[str], list[list[str]]]:
    curve, classes = report.curve, bool(report.data.classes)
    beyond = bool(np.any(np.isfinite(curve.left_out_error)))
    header = (
        ["n", "test error", "± population"] + (["or by leave-one-out"] if beyond else []) + ["train error"]
    )
    header += ["wrong classes"] if classes else []
    header += ["best penalty", "theory", "verdict"]
    rows = []
    for k, n in enumerate(curve.samples):
        row = [
            f"{n:.0f}",
            _text(curve.test_error[k]),
            _text(curve.test_error[k] * curve.population_error[k], 2),
        ]
        row += [_text(curve.left_out_error[k])] if beyond else []
        row += [_text(curve.train_error[k])]
        row += [_text(curve.classification_error[k])] if classes else []
        rows.append([*row, _text(curve.best_penalty[k], 3), curve.method[k], str(curve.verdicts[k])])
    return header, rows


def _check_table(report: "Report") -> tuple[list[str], list[list[str]]]:
    header = ["checked at n", "quantity", "theory", "trained", "one training set", "z", "verdict", "reason"]
    rows = [
        [str(c.samples), c.quantity.replace("_", " "), _text(c.theory),
         f"{_text(c.simulation)} ± {_text(c.standard_error, 2)}", f"± {_text(c.spread, 2)}", _signed(c.z),
         str(c.verdict), c.reason]
        for c in report.checks
    ]  # fmt: skip
    return header, rows


def _sentences(report: "Report") -> list[str]:
    points = report.data.points
    reach = "any n" if np.isinf(report.largest_samples) else f"n = {report.largest_samples:.0f}"
    inside = [v for n, v in zip(report.curve.samples, report.curve.verdicts, strict=True) if n <= points]
    lines = [f"verdict: {report.verdict} {_meaning(report)}"]
    if inside and len(inside) < len(report.curve.samples):
        lines.append(f"up to your {points} points: {worst(inside)}")
    lines.append(f"these points determine the curve up to {reach} at this penalty")
    return [*lines, *_by_class(report), *_diagnostics(report), *_exponents(report)]


def _by_class(report: "Report") -> Iterator[str]:
    """Wrong labels of each class, at the largest n where they are known."""
    errors = report.curve.class_errors
    known = np.flatnonzero(np.isfinite(errors).any(axis=1)) if errors.size else []
    if len(known):
        last = known[-1]
        pairs = zip(report.data.classes, errors[last], strict=True)
        shares = ", ".join(f"{name!r} {_text(share, 3)}" for name, share in pairs)
        yield f"wrong by class at n = {report.curve.samples[last]:.0f}: {shares}"


def _diagnostics(report: "Report") -> Iterator[str]:
    """What explains a failure of the theory."""
    curve = report.curve
    parts = []
    for name, values, digits in (
        ("degrees of freedom", curve.degrees, 3),
        ("largest leverage of a point", curve.largest_leverage, 2),
    ):
        found = values[np.isfinite(values)]
        if len(found):
            parts.append(f"{name} {_text(found[0], digits)} to {_text(found[-1], digits)}")
    if np.isfinite(report.validation):
        parts.append(f"leave-one-out over cross-validation {report.validation:.3f}")
    if parts:
        yield "; ".join(parts)


def _exponents(report: "Report") -> Iterator[str]:
    laws = report.exponents
    if laws is None:
        return
    steady = "" if laws.steady else " (it drifts: there is no exponent)"
    yield (
        f"capacity exponent {laws.capacity:.2f}, local slope {laws.lowest_slope:.2f} to "
        f"{laws.highest_slope:.2f}{steady}; source {_determined(laws.source, '.2f')}"
    )
    noise = _determined(laws.noise, ".4g")
    yield f"error that no number of samples removes, at the finest resolution: {noise}"
    if laws.steady and np.isfinite(laws.source):
        rates = f"n^-{laws.noiseless_rate:.2f}, and n^-{laws.noisy_rate:.2f} once noise dominates"
        yield f"with the best penalty the rest of the error falls as {rates}"


def _determined(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "not determined"


def _meaning(report: "Report") -> str:
    poor = [c for c in report.checks if c.verdict is not Verdict.TRUSTED]
    if poor:
        farthest = max(poor, key=lambda c: abs(c.relative) if np.isfinite(c.relative) else np.inf)
        return f"({farthest.quantity.replace('_', ' ')} at n = {farthest.samples}: {farthest.reason})"
    if not report.checks:
        return "(nothing was checked by training)"
    if report.verdict is Verdict.TRUSTED:
        return "(training on subsets agrees)"
    return (
        "(training on subsets agrees; beyond your points, or below the smallest check, nothing was checked)"
    )


def _text(value: float, digits: int = 4) -> str:
    return "-" if not np.isfinite(value) else f"{value:.{digits}g}"


def _signed(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:+.1f}"
