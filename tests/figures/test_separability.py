"""Linear programmes that say whether classes can be told apart."""

import numpy as np

from limitlaw.figures.separability import is_separable


def test_three_directions_are_separable_and_crossed_pairs_are_not():
    directions = np.eye(3)
    assert is_separable(np.repeat(directions, 4, axis=0), np.repeat(np.arange(3), 4), 3)
    crossed = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    assert not is_separable(crossed, np.array([0, 0, 1, 1]), 2)


def test_random_labels_of_two_classes_have_covers_threshold():
    """2^(1-n) sum_{k<d} C(n-1, k): all of n = d, half of n = 2 d, few of n = 3 d."""
    draw, dim = np.random.default_rng(0), 20
    shares = []
    for samples in (dim, 2 * dim, 3 * dim):
        found = [
            is_separable(draw.standard_normal((samples, dim)), draw.integers(0, 2, samples), 2)
            for _ in range(40)
        ]
        shares.append(np.mean(found))
    assert shares[0] == 1
    assert abs(shares[1] - 0.5) < 4 * np.sqrt(0.25 / 40)
    assert shares[2] < 0.2
