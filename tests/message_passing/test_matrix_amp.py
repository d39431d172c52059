"""Message passing with given maps: against `amp`, another solver, state evolution; refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll
from limitlaw.message_passing import amp, matrix_amp, matrix_state_evolution

DIM, SAMPLES, PENALTY = 60, 90, 0.4
DRAW = np.random.default_rng(0)
INPUTS = DRAW.standard_normal((SAMPLES, DIM))
LABELS = np.arange(SAMPLES) % 3
HOT = np.eye(3)[LABELS]
MATRIX = INPUTS / np.sqrt(DIM)


def square_force(fields, label, variance):
    """(1 + V)^-1 (y - omega)."""
    return jnp.linalg.solve(jnp.eye(3) + variance, label - fields)


def ridge(fields, _, slope):
    """(lambda - C)^-1 z."""
    return jnp.linalg.solve(PENALTY * jnp.eye(3) - slope, fields)


def test_square_loss_with_a_ridge_is_amp_step_by_step():
    one = amp(INPUTS, HOT, PENALTY, ll.losses.Square(), noise_variance=1.0, steps=12, throw=False)
    other = matrix_amp(
        MATRIX, square_force, ridge, np.zeros((DIM, 3)), 12, HOT, onsager=np.eye(3) / (1 + PENALTY)
    )
    np.testing.assert_allclose(other.norms[1:], one.norms, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(other.changes, one.changes, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(other.onsager, one.response, rtol=1e-9)


def group_lasso(fields, _, slope):
    """The minimum over w of |w| - z w + w' (-C) w/2: rows are zero together. Its length by bisection."""
    stiffness, size = -slope, jnp.linalg.norm(fields)

    def point(length):
        return jnp.linalg.solve(stiffness + jnp.eye(3) / length, fields)

    def halve(_, ends):
        low, high = ends
        middle = jnp.sqrt(low * high)
        short = jnp.linalg.norm(point(middle)) > middle
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    least = jnp.linalg.eigvalsh(stiffness)[0]
    low, high = jax.lax.fori_loop(0, 100, halve, (jnp.asarray(1e-12), size / least))
    length = jax.lax.stop_gradient(jnp.sqrt(low * high))
    # One Newton step on |point| = length, whose slope is that of the root.
    gap, rate = jax.jvp(lambda r: jnp.linalg.norm(point(r)) - r, (length,), (jnp.ones(()),))
    return jnp.where(size > 1, point(length - gap / jax.lax.stop_gradient(rate)), jnp.zeros(3))


def test_another_penalty_reaches_its_minimum():
    """Group lasso, rows of K weights at once: stationarity of sum_i |y - W'x|^2/2 + sum_j |w_j|."""
    found = matrix_amp(
        MATRIX, square_force, group_lasso, np.zeros((DIM, 3)), 400, HOT,
        onsager=np.eye(3), tolerance=1e-11,
    )  # fmt: skip
    pull = MATRIX.T @ (HOT - MATRIX @ found.estimate)
    sizes = np.linalg.norm(found.estimate, axis=1)
    kept = sizes > 0
    assert 0.1 < np.mean(kept) < 0.9
    np.testing.assert_allclose(pull[kept], found.estimate[kept] / sizes[kept, None], atol=1e-8)
    assert np.all(np.linalg.norm(pull[~kept], axis=1) <= 1)


def soft(fields, shift, _):
    """A map in which the entries of a row compete."""
    return jax.nn.softmax(2 * fields) + shift


def turned(fields, shift, _):
    return jnp.tanh(jnp.roll(fields, 1) - 0.5 * fields) + shift


@pytest.mark.slow
def test_state_evolution_of_competing_entries():
    """Norms and forces of every step; the algorithm without its Onsager terms is far off."""
    dim, samples, steps, draws = 800, 1200, 5, 12
    kept, forces, naive = [], [], []
    for seed in range(draws):
        draw = np.random.default_rng(seed)
        matrix = draw.standard_normal((samples, dim)) / np.sqrt(dim)
        shifts = draw.standard_normal((samples, 3)), 0.3 * draw.standard_normal((dim, 3))
        start = draw.standard_normal((dim, 3))
        found = matrix_amp(matrix, soft, turned, start, steps, *shifts)
        kept.append(found.norms[1:])
        forces.append(found.forces)
        estimate = start
        for _ in range(steps):
            force = np.asarray(jax.vmap(soft, (0, 0, None))(matrix @ estimate, shifts[0], None))
            estimate = np.asarray(jax.vmap(turned, (0, 0, None))(matrix.T @ force, shifts[1], None))
        naive.append(estimate.T @ estimate / dim)
    draw = np.random.default_rng(99)
    rows = draw.standard_normal((400_000, 3)), 0.3 * draw.standard_normal((400_000, 3))
    theory = matrix_state_evolution(soft, turned, 1.5, np.eye(3), steps, *rows)
    for measured, limit in ((kept, theory.norms[1:]), (forces, theory.forces)):
        error = np.std(measured, axis=0, ddof=1) / np.sqrt(draws)
        assert np.all(np.abs(np.mean(measured, axis=0) - limit) < 4 * error + 3 / dim)
    error = np.std(naive, axis=0, ddof=1) / np.sqrt(draws)
    assert np.max(np.abs(np.mean(naive, axis=0) - theory.norms[-1]) / error) > 20


def test_divergence_is_a_status():
    fields = {"steps": 200, "sample_data": np.zeros(SAMPLES), "estimate_data": np.zeros(DIM)}

    def growing(row, _, __):
        return row**3

    with pytest.raises(ll.errors.NotConverged, match="matrix_amp: left the finite numbers"):
        matrix_amp(MATRIX, growing, growing, np.full((DIM, 2), 9.0), **fields)
    found = matrix_amp(MATRIX, growing, growing, np.full((DIM, 2), 9.0), throw=False, **fields)
    assert np.all(np.isfinite(found.estimate))
    assert len(found.norms) == found.steps + 1 < 200


GOOD = {
    "sample_map": square_force,
    "estimate_map": ridge,
    "start": np.zeros((DIM, 3)),
    "steps": 3,
    "sample_data": HOT,
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start": np.zeros((5, 3))}, "matrix_amp.start must be a row for each of 60 columns"),
        ({"steps": 0}, "matrix_amp.steps must be an integer of 1 or more"),
        ({"sample_data": HOT[:5]}, "sample_map_data must be arrays with an entry for each of 90 rows"),
        ({"sample_map": 3}, "sample_map must be a JAX function"),
        ({"estimate_map": lambda row, *_: row[0]}, r"estimate_map must be a function that gives a row of 3, got shape \(\)"),
        ({"estimate_map": lambda row: row}, "estimate_map must be a function of a row of 3, its data and a matrix"),
        ({"onsager": np.eye(2)}, r"onsager must be of shape \(3, 3\)"),
        ({"tolerance": 2}, "tolerance must be from 0 to 1"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(change, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        matrix_amp(MATRIX, **(GOOD | change))
    with pytest.raises(ll.errors.InvalidInput, match="sample_data must be arrays with an entry for each row"):
        matrix_state_evolution(soft, turned, 1.0, np.eye(3), 2, None, np.zeros((10, 3)))
