"""The support of a law: its bands, whether their ends are square-root edges, and what lies in tails."""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize

from limitlaw.core.precision import double_precision
from limitlaw.numerics.continuation import Fold
from limitlaw.spectra.evaluate import constant, resolve, resolve_with_rules, tabulate, visible
from limitlaw.spectra.resolvent import AbstractResolvent, AbstractTabulated, Trace


class Bands(NamedTuple):
    """Support of the absolutely continuous part.

    Attributes:
        edges: ends of each band; inf where the law is unbounded.
        soft: ends at which the density dies faster than any power, so that at finite size the last
            eigenvalues lie inside.
        visible: the same intervals as far as the density stands out of roundoff.
    """

    edges: Float[np.ndarray, "bands 2"]
    soft: Bool[np.ndarray, "bands 2"]
    visible: Float[np.ndarray, "bands 2"]


_LOWEST, _GEOMETRIC, _LINEAR, _DOUBLINGS = 1e-6, 128, 96, 60
_BISECTIONS, _CLOSE = 14, 1e-7


def find_bands(resolvent: AbstractResolvent) -> Bands:
    """Scan the positive axis, bisect every end of the support, and polish square-root edges by Newton.

    Gaps narrower than about 5 % of their position may be missed unless the density dips there.
    """
    x, inside = _scan(resolvent)
    turns = np.flatnonzero(inside[1:] != inside[:-1])
    ends, hidden = _bisect(resolvent, x, inside, turns)
    edges, soft = _classify(resolvent, ends, hidden)
    if inside[0]:
        # The support reaches down to zero.
        edges, soft = (
            np.append(0.0, edges),
            np.append(constant(resolvent, "tails").vanishing and _starved(resolvent), soft),
        )
        ends = np.append(0.0, ends)
    return _merge_tails(Bands(edges.reshape(-1, 2), soft.reshape(-1, 2).astype(bool), ends.reshape(-1, 2)))


def _merge_tails(bands: Bands) -> Bands:
    """A soft tail that sinks into roundoff between quadrature nodes is still one tail."""
    inner = bands.soft[:-1, 1] & bands.soft[1:, 0]
    first, last = np.append(True, ~inner), np.append(~inner, True)
    merged = (np.stack([part[first, 0], part[last, 1]], axis=1) for part in bands)
    return Bands(*merged)


def _starved(resolvent: AbstractResolvent) -> bool:
    """Fewer samples than features: then eigenvalues follow single samples."""
    return bool(resolvent.samples_per_feature < 1)


def _scan(resolvent: AbstractResolvent) -> tuple[np.ndarray, np.ndarray]:
    with double_precision():
        top = 2 * float(constant(resolvent, "reach"))
    for _ in range(_DOUBLINGS):
        if not visible(_look(resolvent, np.array([top])))[0]:
            break
        top *= 2
    grid = np.append(np.geomspace(_LOWEST * top, top, _GEOMETRIC), np.linspace(0, top, _LINEAR)[1:])
    x = np.unique(grid)
    trace = _look(resolvent, x)
    density, inside = np.sum(trace.parts, axis=-1).imag, visible(trace)
    for _ in range(2):
        dips = 1 + np.flatnonzero(
            (density[1:-1] < density[:-2]) & (density[1:-1] < density[2:]) & inside[1:-1]
        )
        if len(dips) == 0:
            break
        fractions = np.arange(1, 8) / 8
        more = np.concatenate(
            [x[i + side] + fractions * (x[i + side + 1] - x[i + side]) for i in dips for side in (-1, 0)]
        )
        trace = _look(resolvent, more)
        x, order = np.unique(np.append(x, more), return_index=True)
        density = np.append(density, np.sum(trace.parts, axis=-1).imag)[order]
        inside = np.append(inside, visible(trace))[order]
    return x, inside


def _look(resolvent: AbstractResolvent, x: np.ndarray) -> Trace:
    """Traces on the axis, on smooth quadratures only: what they leave unresolved is inside the support."""
    return resolve(resolvent, x + 0j, _SMOOTH)


_SMOOTH = 2


def _bisect(resolvent, x, inside, turns) -> tuple[np.ndarray, np.ndarray]:
    """Points just inside and just outside of each end of the support."""
    rising = inside[turns + 1]
    within, without = np.where(rising, x[turns + 1], x[turns]), np.where(rising, x[turns], x[turns + 1])
    for _ in range(_BISECTIONS):
        if len(turns) == 0:
            break
        middle = (within + without) / 2
        seen = visible(_look(resolvent, middle))
        within, without = np.where(seen, middle, within), np.where(seen, without, middle)
    return within, without


def _classify(resolvent: AbstractResolvent, ends, hidden) -> tuple[np.ndarray, np.ndarray]:
    edges, soft = np.array(ends), np.ones(len(ends), bool)
    if len(ends) == 0:
        return edges, soft
    rules = resolve_with_rules(resolvent, ends + 0j, _SMOOTH)[1]
    tails = constant(resolvent, "tails")
    for i, (end, out, rule) in enumerate(zip(ends, hidden, rules, strict=True)):
        upper = out > end
        if upper and i == len(ends) - 1 and tails.unbounded:
            edges[i] = np.inf
            continue
        place = _fold(resolvent, end, int(rule))
        if place is not None and abs(place - end) < 4 * abs(out - end) + _CLOSE * end:
            edges[i], soft[i] = place, False
        elif upper:
            edges[i] = _last_sample(resolvent, out)
        elif i == 0 and tails.vanishing:
            edges[i] = 0.0
    return edges, soft


def _fold(resolvent: AbstractResolvent, x: float, rule: int) -> float | None:
    with double_precision():
        found = _compiled_fold(tabulate(resolvent, rule), jnp.asarray(x))
        place, residual = float(found.location), float(found.residual)
    return place if residual < 1e-8 and np.isfinite(place) else None


@jax.jit
def _compiled_fold(tables: AbstractTabulated, x) -> Fold:
    return tables.fold(x)


def _last_sample(resolvent: AbstractResolvent, start: float) -> float:
    """Where the equations leave their singularity: the eigenvalue of the rarest samples."""

    def margin(x: float) -> float:
        return float(_look(resolvent, np.array([x])).margin[0])

    low = high = start
    while margin(high) < 0 and high < 1e3 * start:
        low, high = high, 1.2 * high
    if low == high or margin(high) < 0:
        return start
    return cast(float, optimize.toms748(margin, low, high, xtol=1e-10 * high))


def gaps(bands: Bands) -> Float[np.ndarray, "gaps 2"]:
    """Intervals between zero and infinity without density; soft ends count as far as they are visible."""
    ends = np.where(bands.soft, bands.visible, bands.edges)
    pairs = np.concatenate([[0.0], ends.ravel(), [np.inf]]).reshape(-1, 2)
    return pairs[pairs[:, 1] > pairs[:, 0]]
