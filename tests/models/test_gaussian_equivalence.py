"""Result 3.2 of arXiv 2402.04980: features replaced by their conditionally Gaussian equivalent give the same overlaps."""

import jax.numpy as jnp
import numpy as np

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.theory.conditional_features import FirstLayer

A, T = ll.activations, ll.targets
MODEL = ll.models.SpikedRandomFeatures(
    A.Tanh(), T.SingleIndex(A.Sin(), 0.1), 1.5, 0.8, 0.05, strength=1.1, alignment=0.7
)


def gaussian_replica(generator, dim):
    """Draw c0 + c1 (B x_perp + kappa B v) + c2 xi in place of tanh(W x), train, measure."""
    samples, features, tests = round(1.5 * dim), round(0.8 * dim), 3000
    rows = generator.standard_normal((features, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    inputs = generator.standard_normal((samples + tests, dim))
    kappa, zeta = inputs[:, 0], inputs[:, 1]
    labels = np.sin(0.7 * kappa + np.sqrt(1 - 0.49) * zeta) + np.sqrt(0.1) * generator.standard_normal(
        len(inputs)
    )
    layer = FirstLayer((A.Tanh(),), jnp.array([[1.1]]), jnp.ones(1), jnp.zeros(1))
    with double_precision():
        functions = layer.functions(jnp.asarray(kappa[:, None]))
        mean, slope, noise = (
            np.asarray(table[0]) for table in (functions.means, functions.slopes, functions.noises)
        )
    xi = generator.standard_normal((len(inputs), features))
    design = mean[:, None] + slope[:, None] * (inputs @ rows.T) + np.sqrt(noise)[:, None] * xi
    design /= np.sqrt(features)
    train, test = slice(0, samples), slice(samples, None)
    gram = design[train].T @ design[train] + 0.05 * np.eye(features)
    readout = np.linalg.solve(gram, design[train].T @ labels[train])
    pull = readout @ rows / np.sqrt(features)
    return {
        "test_error": np.mean((labels[test] - design[test] @ readout) ** 2),
        "train_error": np.mean((labels[train] - design[train] @ readout) ** 2),
        "mean": readout.sum() / np.sqrt(features),
        "spike_overlap": pull[0],
        "teacher_overlap": pull[1],
        "bulk_norm": pull[1:] @ pull[1:],
        "norm": readout @ readout / features,
    }


def test_gaussian_features_have_the_same_limit():
    generator, dim = np.random.default_rng(0), 240
    drawn = [gaussian_replica(generator, dim) for _ in range(40)]
    theory = ll.solve(MODEL, dim=dim)
    for name, value in (
        (n, np.squeeze(v)) for n, v in (theory.observables | theory.order_parameters).items()
    ):
        if name in drawn[0]:
            values = np.array([one[name] for one in drawn])
            error = values.std(ddof=1) / np.sqrt(len(values))
            assert abs(values.mean() - value) < 4 * error + 3 / dim * abs(value), name
