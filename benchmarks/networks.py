"""Speed of network kernels and of training: each against its own matrix products, measured in one run."""

import resource

import jax
import jax.numpy as jnp
import numpy as np
from promises import Promises, best_time

import limitlaw as ll
from limitlaw.core.precision import double_precision
from limitlaw.simulation.network_kernels import NetworkSizes, draw_network, gaussian_inputs, tangent_kernel
from limitlaw.training.wide_network import NetworkUpdate
from limitlaw.vocabulary.normalised import Normalised

SIZES = NetworkSizes(1000, 2000, (1500,))


def ready(function, *arguments):
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    return lambda: jax.block_until_ready(compiled(*arguments))


def density(promises):
    law = ll.spectrum(ll.models.ConjugateKernel(ll.activations.Tanh(), 2.0, [1.5, 1.0, 2.0]))
    x = np.geomspace(1e-3, 20, 400)
    law.density(x)
    promises.hold("density of a depth-3 kernel, 400 points (s)", best_time(lambda: law.density(x), 3), 2)


def kernel(promises):
    """Its products: fields, two Gram matrices of hidden units, one of inputs."""
    with double_precision():
        key, phi = jax.random.key(0), (Normalised.of(ll.activations.Tanh()),)
        network = draw_network(key, gaussian_inputs(key, SIZES), SIZES, "gaussian")
        weights, inputs = network.weights[0], network.inputs
        hidden = weights @ inputs

        def products(weights, inputs, hidden):
            return weights @ inputs, hidden.T @ hidden, (hidden + 1.0).T @ (hidden + 1.0), inputs.T @ inputs

        own = best_time(ready(products, weights, inputs, hidden), 3)
        whole = best_time(ready(lambda one: tangent_kernel(one, phi), network), 3)
    promises.hold("tangent kernel n = 2000, d = 1000, h = 1500, over its products", whole / own, 1.5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    promises.hold("peak memory of the process (GiB)", peak, 1.5)


def step(promises):
    """Its products: fields of the batch, and their gradient."""
    model = ll.models.WideNetwork(ll.activations.Tanh(), ll.activations.Tanh(), 2.0, 1.5)
    with double_precision():
        instance, learner = model.instance(1000), model.learner()
        single = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (instance, learner.activations))
        data, phi = single[0].data, single[1]
        update = NetworkUpdate(phi, model.optimiser, jnp.float32(0.1), 2000, True, 1.0)
        state = update.start(single[0].parameters)

        def products(weights, inputs):
            fields = weights @ inputs
            return fields @ inputs.T

        own = best_time(ready(products, single[0].parameters.weights[0], data.train.inputs), 5)
        key = jax.random.key(0)
        whole = best_time(ready(lambda one: update(one, (data, key), key), state), 5)
    promises.hold("a step of training, over its products", whole / own, 1.5)


def main():
    promises = Promises()
    density(promises)
    kernel(promises)
    step(promises)
    promises.settle()


if __name__ == "__main__":
    main()
