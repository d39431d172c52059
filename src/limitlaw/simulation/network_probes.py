"""What is measured of a network on the way: spectra, their outliers' directions, errors, changes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.core.gram_matrices import centred
from limitlaw.simulation.network_kernels import DrawnNetwork, last_layer, outputs, tangent_kernel
from limitlaw.vocabulary.normalised import Normalised


class Parameters(eqx.Module):
    """What is trained.

    Attributes:
        weights: W_1, ..., W_L.
        readout: v.
    """

    weights: tuple[Float[Array, "width before"], ...]
    readout: Float[Array, " width"]

    def network(self, inputs: Float[Array, "dim samples"]) -> DrawnNetwork:
        """The network that sees these inputs, one a column."""
        return DrawnNetwork(inputs, self.weights, self.readout)


class Labelled(eqx.Module):
    """Inputs over sqrt(d), one sample a column, and their labels."""

    inputs: Float[Array, "dim samples"]
    labels: Float[Array, " samples"]


class NetworkData(eqx.Module):
    """All that training and its probes see.

    Attributes:
        train: the training set.
        test: fresh samples.
        signal: unit direction of the inputs that the labels are about.
    """

    train: Labelled
    test: Labelled
    signal: Float[Array, " dim"]


class NetworkProbe(eqx.Module):
    """Measures a network against where it started.

    Attributes:
        start: parameters before training.
        activations: one for each layer.
        output_scale: of the outputs, over that of the tangent parametrisation.
    """

    start: Parameters
    activations: tuple[Normalised, ...]
    output_scale: float = eqx.field(static=True)

    def __call__(self, now: Parameters, data: NetworkData) -> dict[str, Array]:
        """Numbers and spectra, in double precision; all NaN, errors inf, where weights are not finite."""
        shapes = jax.eval_shape(self._measured, now, data)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(now)]))
        return jax.lax.cond(finite, lambda: self._measured(now, data), lambda: _lost(shapes))

    def _measured(self, now: Parameters, data: NetworkData) -> dict[str, Array]:
        now, start, data = (_double(tree) for tree in (now, self.start, data))
        return (
            self._errors(now, data)
            | _weights(now, start, data.signal)
            | self._kernels(now, start, data.train)
        )

    def _errors(self, now: Parameters, data: NetworkData) -> dict[str, Array]:
        train, test = (
            self.output_scale * outputs(now.network(part.inputs), self.activations)
            for part in (data.train, data.test)
        )
        labels, power = data.test.labels, jnp.var(data.test.labels)
        error = _finite(jnp.mean((labels - test) ** 2))
        return {
            "train_error": _finite(jnp.mean((data.train.labels - train) ** 2)),
            "test_error": error,
            "classification_error": _wrong_signs(test, labels),
            # A constant answer scores zero.
            "r_squared": jnp.where(power > 0, 1 - error / power, jnp.nan),
        }

    def _kernels(self, now: Parameters, start: Parameters, train: Labelled) -> dict[str, Array]:
        networks = [one.network(train.inputs) for one in (now, start)]
        layers = [last_layer(network, self.activations) for network in networks]
        conjugate = [layer.T @ layer for layer in layers]
        tangent = [tangent_kernel(network, self.activations) for network in networks]
        return _kernel("conjugate", conjugate, gram_eigenvalues(layers[0]), train.labels) | _kernel(
            "tangent", tangent, jnp.linalg.eigvalsh(tangent[0]), train.labels
        )


def _kernel(
    name: str, matrices: list[Array], values: Float[Array, " n"], labels: Float[Array, " n"]
) -> dict[str, Array]:
    """Of a kernel now, and its change from what it was."""
    now, before = matrices
    top = top_vector(now, values[-1])
    return {
        f"{name}_eigenvalues": values,
        f"{name}_change": jnp.linalg.norm(now - before),
        f"{name}_alignment": (top @ labels) ** 2 / jnp.sum(labels**2),
        f"{name}_target_alignment": target_alignment(now, labels),
        f"{name}_centred_alignment": target_alignment(centred(now), labels - jnp.mean(labels)),
    }


def _weights(now: Parameters, start: Parameters, signal: Float[Array, " dim"]) -> dict[str, Array]:
    """Of W' W over the number of rows, and changes over sqrt(columns)."""
    found = {}
    for number, (weights, before) in enumerate(zip(now.weights, start.weights, strict=True), start=1):
        suffix = "" if number == 1 else f"_{number}"
        scaled = weights / len(weights) ** 0.5
        change = (weights - before) / weights.shape[1] ** 0.5
        found[f"weight{suffix}_eigenvalues"] = gram_eigenvalues(scaled)
        found[f"weight{suffix}_change"] = jnp.linalg.norm(change)
        found[f"weight{suffix}_change_norm"] = jnp.sqrt(gram_eigenvalues(change)[-1])
        if number == 1:
            top = top_vector(scaled.T @ scaled, found["weight_eigenvalues"][-1])
            found["weight_alignment"] = (top @ signal) ** 2
    readout = now.readout - start.readout
    return found | {"readout_change": jnp.linalg.norm(readout) / len(readout) ** 0.5}


def gram_eigenvalues(matrix: Float[Array, "rows columns"]) -> Float[Array, " columns"]:
    """Of M' M, ascending, from the smaller side; its zeros are filled in."""
    rows, columns = matrix.shape
    smaller = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    return jnp.concatenate([jnp.zeros(max(columns - rows, 0)), jnp.linalg.eigvalsh(smaller)])


def top_vector(matrix: Float[Array, "n n"], value: Float[Array, ""]) -> Float[Array, " n"]:
    """Unit eigenvector of the largest eigenvalue, which is known: inverse iteration just above it.

    Where other eigenvalues are within 1e-10 of it, a vector of their common space.
    """
    count = len(matrix)
    shift = value * (1 + 1e-12) + jnp.finfo(matrix.dtype).tiny
    factors = jax.scipy.linalg.lu_factor(matrix - shift * jnp.eye(count))
    vector = jax.random.normal(jax.random.key(0), (count,), matrix.dtype)
    for _ in range(_INVERSE_STEPS):
        vector = jax.scipy.linalg.lu_solve(factors, vector)
        vector = vector / jnp.linalg.norm(vector)
    return vector


_INVERSE_STEPS = 4


def target_alignment(kernel: Float[Array, "n n"], labels: Float[Array, " n"]) -> Float[Array, ""]:
    """y' K y/(|K| |y|^2), with the Frobenius norm and no centring."""
    return labels @ kernel @ labels / (jnp.linalg.norm(kernel) * jnp.sum(labels**2))


def stability_curvature(kernel: Float[Array, "n n"]) -> Float[Array, ""]:
    """Largest eigenvalue of the Hessian of |f - y|^2/(2n) at zero residual: that of K/n."""
    return jnp.linalg.eigvalsh(kernel)[-1] / len(kernel)


def _double(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), tree)


def _wrong_signs(answers: Float[Array, " n"], labels: Float[Array, " n"]) -> Float[Array, ""]:
    """Share of labels -1 and 1 that are missed; NaN for other labels."""
    share = jnp.mean(jnp.sign(answers) != jnp.sign(labels))
    return jnp.where(jnp.all(jnp.abs(labels) == 1), share, jnp.nan)


def _finite(error: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.where(jnp.isfinite(error), error, jnp.inf)


def _lost(shapes: dict[str, jax.ShapeDtypeStruct]) -> dict[str, Array]:
    """Of weights that are not finite."""
    return {
        name: jnp.full(one.shape, jnp.inf if name in ("train_error", "test_error") else jnp.nan, one.dtype)
        for name, one in shapes.items()
    }
