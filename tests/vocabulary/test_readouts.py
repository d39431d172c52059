"""Laws of the first readout: their rules, their draws, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import limitlaw as ll

pytestmark = pytest.mark.usefixtures("float64")
R = ll.readouts


@pytest.mark.parametrize(
    "law", [R.Normal(7, 0.8), R.Uniform(5, 0.5, 1.5), R.Uniform()], ids=lambda law: law.label
)
def test_rule_and_draws_have_the_same_moments(law):
    drawn = np.asarray(law.draw(jax.random.key(0), 200_000))
    assert np.sum(law.fractions) == pytest.approx(1.0, abs=1e-12)
    assert len(law.values) == len(law.fractions) == law.letters
    for fn in (lambda v: v, np.square, np.cos):
        error = 4 * np.std(fn(drawn)) / np.sqrt(len(drawn))
        assert abs(np.mean(fn(drawn)) - law.fractions @ fn(law.values)) < error + 1e-5


def test_rules_of_closed_form():
    np.testing.assert_allclose(
        R.Normal(3, 2.0).values, 2.0 * np.sqrt([3.0, 0.0, 3.0]) * [-1, 0, 1], atol=1e-14
    )
    np.testing.assert_allclose(R.Normal(3).fractions, [1 / 6, 2 / 3, 1 / 6])
    np.testing.assert_allclose(R.Uniform(2, -1.0, 1.0).values, [-(3**-0.5), 3**-0.5])
    assert R.Uniform().fractions @ R.Uniform().values ** 2 == pytest.approx(1.0)


def test_numbers_may_be_traced():
    slope = jax.grad(lambda s: jnp.sum(jnp.asarray(R.Normal(4, s).values) ** 2))(1.5)
    assert float(slope) == pytest.approx(2 * 1.5 * float(np.sum(R.Normal(4).values ** 2)))


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: R.Normal(0),
            r"Normal.letters must be an integer from 1 to 32, got 0 \(it is the number of nodes",
        ),
        (lambda: R.Normal(2.5), "Normal.letters must be an integer from 1 to 32, got 2.5"),
        (lambda: R.Uniform(33), "Uniform.letters must be an integer"),
        (lambda: R.Normal(8, 0.0), "Normal.deviation must be positive"),
        (lambda: R.Normal(8, np.inf), "Normal.deviation must be a finite number"),
        (lambda: R.Normal(deviation=1j), "Normal.deviation must be a number, got 1j"),
        (lambda: R.Uniform(high=True), "Uniform.high must be a number, got True"),
        (lambda: R.Normal(8, "a"), "Normal.deviation must be a number, got 'a'"),
        (lambda: R.Uniform(6, 1.0, 1.0), r"Uniform.high must be above low = 1"),
        (lambda: R.Uniform(6, [0.0, 1.0], 2.0), "Uniform.low must be a finite number"),
    ],
)
def test_mistakes_are_sentences(build, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        build()
