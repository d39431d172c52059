"""The resolvent of a free sum along its bands: one arc of u = -1/m from edge to edge, tabulated.

Within a band u is complex and x(u) = u + sum_k a_k/(u - b_k) real; at the edges u is a real fold. Newton's
method follows the arc from the lower fold, and a table of it starts Newton's method at any other point,
however narrow the band is.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from limitlaw.spectra.free_sum import Poles, Support


class Arc(NamedTuple):
    """u along one band, at x = low + (high - low) sin^2(pi s/2).

    Attributes:
        low, high: edges.
        shares: s, from 0 to 1.
        states: u.
    """

    low: float
    high: float
    shares: Float[np.ndarray, " nodes"]
    states: Complex[np.ndarray, " nodes"]


def arc(poles: Poles, support: Support, band: int) -> Arc:
    """Follow one band; strides halve where Newton's method fails, and grow again where it does not."""
    (low, high), (first, last) = support.edges[band], support.folds[band]
    shares, states = [0.0], [complex(first)]
    stride = _FIRST
    while shares[-1] < 1 - _FIRST and stride > _SHORTEST:
        share = min(shares[-1] + stride, 1 - _FIRST / 2)
        guess = _predicted(poles, shares, states, share, high - low)
        state = _newton(poles, low + (high - low) * np.sin(np.pi * share / 2) ** 2, guess)
        if state.imag > 0 and _smooth(states, state):
            shares.append(share)
            states.append(state)
            stride = min(stride * 1.5, _LONGEST)
        else:
            stride /= 2
    return Arc(low, high, np.array([*shares, 1.0]), np.array([*states, complex(last)]))


_FIRST, _LONGEST, _SHORTEST = 1e-4, 0.02, 1e-9


def _predicted(poles: Poles, shares: list, states: list, share: float, width: float) -> complex:
    """On the straight line through the last two points; at the fold, by its square root."""
    if len(states) > 1:
        slope = (states[-1] - states[-2]) / (shares[-1] - shares[-2])
        return states[-1] + slope * (share - shares[-1])
    bend = 2 * np.sum(poles.weights / (states[0] - poles.places) ** 3)
    root = np.sqrt(2 * width * np.sin(np.pi * share / 2) ** 2 / bend + 0j)
    return states[0] + (root if root.imag > 0 else -root)


def _smooth(states: list, state: complex) -> bool:
    """The arc turns little in a stride."""
    if len(states) < 3:
        return True
    return bool(abs(np.angle((state - states[-1]) / (states[-1] - states[-2]))) < _TURN)


_TURN = 0.7


def _newton(poles: Poles, x: float, state: complex) -> complex:
    """The root near a state, NaN where the method does not settle."""
    for _ in range(_STEPS):
        gaps = state - poles.places
        value = state - x + np.sum(poles.weights / gaps)
        step = value / (1 - np.sum(poles.weights / gaps**2))
        state = state - step
        if abs(step) < _ROUNDOFF * abs(state):
            return state
    return complex(np.nan, np.nan)


_STEPS, _ROUNDOFF = 12, 1e-11


def densities(poles: Poles, arcs: list[Arc], x: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Density at real points: zero off the bands, NaN where an arc was not followed."""
    found = np.zeros(x.shape)
    for one in arcs:
        inside = (x > one.low) & (x < one.high)
        found[inside] = _density(poles, one, x[inside])
    return found


def _density(poles: Poles, one: Arc, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    share = 2 / np.pi * np.arcsin(np.sqrt(np.clip((x - one.low) / (one.high - one.low), 0, 1)))
    real, imaginary = (
        np.interp(share, one.shares, part) for part in (np.real(one.states), np.imag(one.states))
    )
    state = real + 1j * imaginary
    for _ in range(_STEPS):
        gaps = state[:, None] - poles.places
        value = state - x + np.sum(poles.weights / gaps, axis=1)
        state = state - value / (1 - np.sum(poles.weights / gaps**2, axis=1))
    error = np.abs(state - x + np.sum(poles.weights / (state[:, None] - poles.places), axis=1))
    good = (error < _ACCEPTED * (np.abs(x) + np.abs(state))) & (np.imag(state) > 0)
    return np.where(good, np.imag(-1 / state) / np.pi, np.nan)


_ACCEPTED = 1e-9
