"""Networks after one step on a finite batch and three theories: a table of docs/models/stepped_network.md."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import limitlaw as ll
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision

A, T = ll.activations, ll.targets
DIM, SEED = 500, 0

TANH, SIN, ERF = A.Tanh(), A.Sin(), A.Erf()
RECTIFIED = A.Activation(lambda z: jnp.maximum(z, 0.0) - 1 / jnp.sqrt(2 * jnp.pi), kinks=(0.0,))
COSINE = A.Activation(lambda z: jnp.cos(2 * z) - jnp.exp(-2.0))


def stepped(activation, target, step_size, step_samples, penalty, samples, width, **fields):
    """In the order in which the table names them."""
    return ll.models.GiantStep(
        activation, target, step_size, step_samples, samples, width, penalty, bulk="exact", **fields
    )


TWO = {"readout": (1.0, -0.6), "readout_fraction": (0.4, 0.6)}
DOUBLED = {"readout": (1.0, 2.0), "readout_fraction": (0.5, 0.5)}
THREE = {"readout": (1.0, -2.0, 0.3), "readout_fraction": (0.4, 0.3, 0.3)}
GAUSSIAN = {"rows": "gaussian"}

CASES = {
    "tanh/tanh 3, 0.5; 0.01, 2, 1": stepped(TANH, TANH, 3.0, 0.5, 0.01, 2.0, 1.0),
    "tanh/tanh 3, 0.5; 0.01, 0.6, 1": stepped(TANH, TANH, 3.0, 0.5, 0.01, 0.6, 1.0),
    "tanh/tanh 3, 0.5; 0.01, 3, 0.4": stepped(TANH, TANH, 3.0, 0.5, 0.01, 3.0, 0.4),
    "tanh/tanh 1, 0.5; 0.01, 2, 1": stepped(TANH, TANH, 1.0, 0.5, 0.01, 2.0, 1.0),
    "tanh/tanh 6, 0.3; 0.1, 2, 1": stepped(TANH, TANH, 6.0, 0.3, 0.1, 2.0, 1.0),
    "erf/erf 3, 4; 0.01, 3, 1": stepped(ERF, ERF, 3.0, 4.0, 0.01, 3.0, 1.0),
    "sin/tanh 2, 2; 0.05, 2, 1": stepped(SIN, TANH, 2.0, 2.0, 0.05, 2.0, 1.0),
    "tanh/sin 3, 20; 0.1, 2, 1": stepped(TANH, SIN, 3.0, 20.0, 0.1, 2.0, 1.0),
    "tanh/sin 3, 100; 0.1, 2, 1": stepped(TANH, SIN, 3.0, 100.0, 0.1, 2.0, 1.0),
    "tanh/sin 4, 1; 0.05, 1, 1.5": stepped(TANH, SIN, 4.0, 1.0, 0.05, 1.0, 1.5),
    "erf/relu + noise 2, 1; 0.05, 2, 1": stepped(
        ERF, T.SingleIndex(RECTIFIED, 0.09), 2.0, 1.0, 0.05, 2.0, 1.0
    ),
    "erf/linear + noise 2, 1; 0.05, 2, 1": stepped(
        ERF, T.SingleIndex(A.Linear(), 0.09), 2.0, 1.0, 0.05, 2.0, 1.0
    ),
    "tanh/cos 4, 0.5; 0.05, 2, 1": stepped(TANH, COSINE, 4.0, 0.5, 0.05, 2.0, 1.0),
    "tanh/sin 3, 2; 0.05, 2, 1, Gaussian rows": stepped(TANH, SIN, 3.0, 2.0, 0.05, 2.0, 1.0, **GAUSSIAN),
    "tanh/sin 3, 50; 0.05, 2, 1, Gaussian rows": stepped(TANH, SIN, 3.0, 50.0, 0.05, 2.0, 1.0, **GAUSSIAN),
    "tanh/sin 3, 0.5; 0.02, 2, 1, two letters": stepped(TANH, SIN, 3.0, 0.5, 0.02, 2.0, 1.0, **TWO),
    "erf/tanh 2, 2; 0.05, 2, 1, letters 1, 2": stepped(ERF, TANH, 2.0, 2.0, 0.05, 2.0, 1.0, **DOUBLED),
    "erf/sin 2, 1; 0.05, 1.5, 1.2, three letters": stepped(ERF, SIN, 2.0, 1.0, 0.05, 1.5, 1.2, **THREE),
    "tanh/sign labels 3, 1; 0.05, 2, 1, logistic": stepped(
        TANH, T.SignLabels(), 3.0, 1.0, 0.05, 2.0, 1.0, loss=ll.losses.Logistic()
    ),
}


def draws(model):
    """How many networks: fewer where each is trained by iteration."""
    return 40 if isinstance(model.loss, ll.losses.Square) else 24


def networks(model):
    """Drawn, trained and measured."""
    return ll.simulate(model, dim=DIM, replicas=draws(model), seed=SEED)


def given_weights(model, count):
    """The first layers of the first `count` of these networks, each as a model of its own."""
    with double_precision():
        draw, sizes = eqx.filter_jit(model.draw), model.sizes(DIM)
        keys = [replica_key(SEED, fingerprint(model), replica) for replica in range(count)]
        return [frozen(model, draw(sizes, named(key, "instance"))) for key in keys]


def frozen(model, drawn):
    """The same readout problem with the drawn rows as they are."""
    group = np.repeat(np.arange(len(drawn.groups)), drawn.groups)
    return ll.models.FrozenFeatures(
        drawn.weights, drawn.teacher, model.activation, model.target, model.samples_per_dim, model.penalty,
        drawn.spikes, group, model.loss,
    )  # fmt: skip


def row(name):
    """One line: the mapping, the exact theory, the theory of the drawn weights, the networks themselves."""
    model = CASES[name]
    mapped = ll.solve(dataclasses.replace(model, bulk="isotropic"), dim=DIM)
    exact, measured = ll.solve(model, dim=DIM), networks(model)
    own = np.mean([ll.solve(layer)["test_error"] for layer in given_weights(model, draws(model))])
    tests = [shown(value) for value in (mapped["test_error"], exact["test_error"], own)]
    trains = [shown(mapped["train_error"]), shown(exact["train_error"]), mean(measured, "train_error")]
    return " | ".join([f"| {name}", *tests, mean(measured, "test_error"), " / ".join(trains)]) + " |"


def shown(value):
    """Four digits: standard errors are of order one per cent."""
    return f"{float(value):#.4g}"


def mean(measured, name):
    """Mean over draws, and its standard error."""
    return f"{shown(measured.mean(name))} ± {float(measured.standard_error(name)):#.2g}"


if __name__ == "__main__":
    print("| case | isotropic | exact | given weights | networks | train: isotropic / exact / networks |")
    print("|---|---|---|---|---|---|")
    for name in CASES:
        print(row(name), flush=True)
