"""Label moments against draws, noise conventions, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

T = ll.targets
TARGETS = [
    T.SingleIndex(ll.activations.Sin(), noise_variance=0.3),
    T.SingleIndex(jnp.tanh),
    T.SignLabels(),
    T.SignLabels(noise_variance=0.5),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.label)
@pytest.mark.parametrize(("mean", "std"), [(0.4, 0.8), (-1.0, 0.3), (0.0, 1.0)])
def test_moments_are_those_of_drawn_labels(float64, target, mean, std):
    count = 400_000
    zeta = jax.random.normal(jax.random.key(0), (count,))
    labels = target.draw(mean + std * zeta, jax.random.key(1))
    moments = target.moments(jnp.asarray(mean), jnp.asarray(std))
    for expected, sample in zip(moments, (labels, zeta * labels, labels**2), strict=True):
        error = float(jnp.std(sample)) / np.sqrt(count)
        assert abs(float(expected) - float(jnp.mean(sample))) < 4 * error + 1e-12


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.label)
def test_mean_label_is_the_moment_without_spread(float64, target):
    points = jnp.array([-1.2, 0.3, 2.0])
    np.testing.assert_allclose(
        target.mean_label(points), target.moments(points, jnp.asarray(0.0)).mean, atol=1e-12
    )


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_bad_noise_is_refused(value):
    for kind in (lambda v: T.SingleIndex(jnp.sin, v), T.SignLabels):
        with pytest.raises(ll.errors.InvalidInput, match="noise_variance must be zero or more"):
            kind(value)
