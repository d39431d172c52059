"""A network of linear width, trained by gradients: an experiment on its spectra."""

import reprlib
from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.counts import is_count, whole
from limitlaw.core.errors import InvalidInput
from limitlaw.core.fingerprint import fingerprint
from limitlaw.core.keys import named, replica_key
from limitlaw.core.precision import double_precision, number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._fields import require_dim, require_kind, require_positive, require_sloped
from limitlaw.models._given_samples import real_array, require_samples
from limitlaw.models._network_kernel import (
    as_activations,
    layer_sizes,
    layer_widths,
    of_each_layer,
    require_layers,
    require_varying,
)
from limitlaw.models._trained_spectra import RESULTS, network_results
from limitlaw.models.base import AbstractTrained
from limitlaw.simulation.network_kernels import draw_network
from limitlaw.simulation.network_probes import NetworkData, Parameters
from limitlaw.simulation.network_tasks import given_task, teacher_task
from limitlaw.simulation.stepped_weights import PARAMETRISATIONS, Parametrisation
from limitlaw.training.probes import logarithmic_steps
from limitlaw.training.wide_network import NetworkTrainer, Trained, WideInstance, WideSizes
from limitlaw.vocabulary.activation import AbstractActivation
from limitlaw.vocabulary.activations import Softplus, Tanh, normalised
from limitlaw.vocabulary.optimisers import AbstractOptimiser, GradientDescent
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractTarget, SingleIndex, as_target

SPECTRAL_EVOLUTION = Reference(
    authors=("Wang", "Engel", "Sarwate", "Dumitriu", "Chiang"),
    title="Spectral evolution and invariance in linear-width neural networks",
    year=2023,
    arxiv="2211.06506",
)


def _whole_steps(value: Any) -> Any:
    """Lists, arrays and whole floats stand for a tuple of integers; the rest is refused later."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(whole(one) for one in value) if isinstance(value, (list, tuple)) else value


class WideNetwork(AbstractTrained):
    r"""A network of linear width and any depth, trained by gradients. It has an experiment and no theory.

    The output is f = v' X_L, X_l = h_l^(-1/2) phi_l(W_l X_(l-1)), X_0 = x/sqrt(d); it starts with standard
    Gaussian weights and readout. Activations are shifted and scaled to mean zero and variance one over a
    standard Gaussian. The loss is the mean of (y - f)^2/2 over n samples with standard Gaussian x and labels
    that follow `target` at w* . x, |w*| = 1; or over a share of a user's own arrays (`of_data`).

    Observables, after the last step: errors; moves of spectra, in W1; outliers of the first layer, as
    eigenvalues of W'W/h beyond the edge of the untrained Marchenko-Pastur law by more than an untrained
    matrix shows in a thousand; alignments, of whatever vector is first, outlier or not; norms of changes.
    `diverged` is 1 where the train error is a thousand times the first, or weights are no longer finite: then
    errors are inf and the rest NaN. Order parameters: the same at every probe, as `..._path`, with axis
    (probes); `probes`, their steps; `weight_eigenvalues` (probes, d), `conjugate_eigenvalues` and
    `tangent_eigenvalues` (probes, n), ascending; `weight_2_eigenvalues` and so on for deeper layers. Kernels
    are those of the tangent parametrisation, with the readout's part.

    `ConjugateKernel`, `NeuralTangentKernel` and the Marchenko-Pastur law are the limits where it starts;
    `SteppedWeights` is the limit after one step. Weights are 32-bit floats, probes 64-bit.

    Attributes:
        activation: of all layers, or a tuple with one for each.
        target: law of the label given w* . x; None with arrays of one's own.
        samples_per_dim: n/d.
        widths_per_dim: h_l/d; a number for one hidden layer.
        optimiser: `ll.optimisers.GradientDescent(momentum)` or `ll.optimisers.Adam()`.
        learning_rate: of gradient descent in units of its stability limit, 2 n/lambda_max of the tangent
            kernel (the part of the weights that move) at the start, for batches too; of Adam the step itself.
        steps: how many.
        batch_fraction: share of the samples in a batch. Epochs are random orders of all samples.
        train_readout: whether v moves. Where it does not, bulk spectra are invariant at small rates.
        parametrisation: "tangent", or "mean-field" with outputs over another h_L^(1/2).
        probes: steps at which to look, increasing, the last one among them; zero and twelve in equal
            ratios by default.
        inputs: arrays of one's own, (samples, d), of mean square one; of which n, drawn anew for each
            replica, are trained on and the rest tested on.
        labels: of the inputs, of order one. Each that repeats is trained and tested on in its share.

    Raises:
        InvalidInput: a ratio is out of range, an activation is constant, or arrays do not fit.
    """

    activation: tuple[AbstractActivation, ...] = eqx.field(converter=as_activations)
    target: AbstractTarget | None = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    widths_per_dim: Float[Array, " layers"] = eqx.field(converter=layer_widths)
    optimiser: AbstractOptimiser = GradientDescent()
    learning_rate: Float[Array, ""] = eqx.field(converter=number, default=0.25)
    steps: int = eqx.field(static=True, converter=whole, default=200)
    batch_fraction: Float[Array, ""] = eqx.field(converter=number, default=1.0)
    train_readout: bool = eqx.field(static=True, default=True)
    parametrisation: Parametrisation = eqx.field(static=True, default="tangent")
    probes: tuple[int, ...] | None = eqx.field(static=True, converter=_whole_steps, default=None)
    inputs: Float[Array, "all dim"] | None = eqx.field(converter=number, default=None)
    labels: Float[Array, " all"] | None = eqx.field(converter=number, default=None)

    reference: ClassVar[Reference] = SPECTRAL_EVOLUTION
    standing: ClassVar[Standing] = Standing.EXPERIMENT
    results: ClassVar[dict[str, str]] = RESULTS
    meanings: ClassVar[dict[str, str]] = {
        "samples_per_dim": "n/d",
        "widths_per_dim": "h/d of each hidden layer",
        "learning_rate": "in units of the stability limit for gradient descent, the step itself for Adam",
        "batch_fraction": "share of the samples in a batch",
        "inputs": "samples in rows",
        "labels": "one for each row of the inputs",
    }

    def __check_init__(self) -> None:
        owner = type(self).__name__
        for field in ("samples_per_dim", "learning_rate", "batch_fraction"):
            require_positive(owner, field, getattr(self, field), self.meanings[field])
        if self.batch_fraction > 1:
            raise InvalidInput(owner, "batch_fraction", "at most 1", float(self.batch_fraction))
        require_layers(owner, self.activation, self.widths_per_dim, self.meanings["widths_per_dim"])
        require_varying(owner, self.activation)
        for one in self.activation:
            require_sloped(owner, one)
        if not isinstance(self.train_readout, bool):
            raise InvalidInput(owner, "train_readout", "True or False", repr(self.train_readout))
        require_kind(owner, "optimiser", self.optimiser, AbstractOptimiser, "ll.optimisers.Adam()")
        if self.parametrisation not in PARAMETRISATIONS:
            allowed = " or ".join(f'"{name}"' for name in PARAMETRISATIONS)
            raise InvalidInput(owner, "parametrisation", allowed, repr(self.parametrisation))
        self._check_steps(owner)
        self._check_data(owner)

    def _check_steps(self, owner: str) -> None:
        if not is_count(self.steps, 1):
            raise InvalidInput(owner, "steps", "a positive integer", repr(self.steps))
        if self.probes is None:
            return
        allowed = f"increasing integers from zero to {self.steps}, both among them"
        counts = isinstance(self.probes, tuple) and all(is_count(one, 0) for one in self.probes)
        if not counts or sorted(set(self.probes)) != list(self.probes):
            raise InvalidInput(owner, "probes", allowed, repr(self.probes))
        if self.probes[:1] != (0,) or self.probes[-1] != self.steps:
            raise InvalidInput(owner, "probes", allowed, repr(self.probes))

    def _check_data(self, owner: str) -> None:
        if (self.inputs is None) != (self.labels is None):
            missing = "inputs" if self.inputs is None else "labels"
            raise InvalidInput(owner, missing, "given, as the other is", "None", self.meanings[missing])
        if self.inputs is None or self.labels is None:
            require_kind(
                owner, "target", self.target, AbstractTarget, "ll.targets.SingleIndex(ll.activations.Tanh())"
            )
            return
        if self.target is not None:
            raise InvalidInput(owner, "target", "None: the labels are given", repr(self.target))
        require_samples(owner, self.inputs, self.labels, self.meanings)
        self._samples()

    @classmethod
    def example(cls) -> Self:
        """A tanh student of a noisy softplus teacher."""
        teacher = SingleIndex(normalised(Softplus()), 0.09)
        return cls(Tanh(), teacher, 2.0, 1.5, learning_rate=0.3, steps=60)

    @classmethod
    def of_data(
        cls,
        inputs: Any,
        labels: Any,
        widths_per_dim: Any,
        activation: Any = None,
        test_share: float = 0.2,
        **training: Any,
    ) -> Self:
        """A network for a user's own arrays.

        Inputs are centred and divided by one number, so that their mean square is one; labels that are not
        all -1 or 1 too, and errors are in that unit. Both over all samples, those to be tested on too.

        Args:
            inputs: samples in rows, d columns.
            labels: numbers, one for each row.
            widths_per_dim: h_l/d.
            activation: tanh by default.
            test_share: share of the samples that is tested on, in (0, 1).
            **training: other fields of the model.

        Raises:
            InvalidInput: arrays do not fit, are not finite or are constant, or the share is out of range.
        """
        for field in ("target", "samples_per_dim", "inputs", "labels"):
            if field in training:
                raise InvalidInput(
                    cls.__name__, field, "left out: the arrays say it", reprlib.repr(training[field])
                )
        rows, values = real_array(cls.__name__, "inputs", inputs), real_array(cls.__name__, "labels", labels)
        require_samples(cls.__name__, rows, values, cls.meanings, scaled=False)
        if not np.all(np.abs(values) == 1):
            values = (values - values.mean()) / values.std()
        if not 0 < test_share < 1:
            raise InvalidInput(cls.__name__, "test_share", "in (0, 1)", test_share)
        rows = rows - rows.mean(axis=0)
        rows = rows / np.sqrt(np.mean(rows**2))
        samples = round((1 - test_share) * len(rows))
        own = Tanh() if activation is None else activation
        given = {"inputs": rows, "labels": values}
        return cls(own, None, samples / rows.shape[1], widths_per_dim, **given, **training)

    @property
    def own_dim(self) -> int | None:
        return None if self.inputs is None else self.inputs.shape[1]

    def _samples(self) -> int:
        """Of the given arrays, those that are trained on."""
        assert self.inputs is not None
        count, dim = self.inputs.shape
        samples = round(float(self.samples_per_dim) * dim)
        if not 1 <= samples < count:
            allowed = f"such that some of the {count} samples of {dim} inputs are left to test on"
            raise InvalidInput(type(self).__name__, "samples_per_dim", allowed, float(self.samples_per_dim))
        return samples

    def sizes(self, dim: int | None, test_samples: int | None = None) -> WideSizes:
        owner = type(self).__name__
        if self.inputs is not None:
            if dim not in (None, self.own_dim):
                raise InvalidInput("simulate", "dim", f"None or {self.own_dim}, that of the inputs", dim)
            if test_samples is not None:
                raise InvalidInput("simulate", "test_samples", "None: the rest of the arrays", test_samples)
            dim, tested = self.own_dim, len(self.inputs) - self._samples()
        else:
            tested = test_samples or max(2 * require_dim(owner, dim), 4000)
        network = layer_sizes(require_dim(owner, dim), float(self.samples_per_dim), self.widths_per_dim)
        batch = round(float(self.batch_fraction) * network.samples)
        if batch < 1:
            allowed = f"large enough for one of {network.samples} samples"
            raise InvalidInput(owner, "batch_fraction", allowed, float(self.batch_fraction))
        return WideSizes(network, tested, batch)

    def draw(self, sizes: WideSizes, key: PRNGKeyArray) -> WideInstance:
        """Weights before training, training set and test set."""
        data = self._data(sizes, named(key, "data"))
        network = draw_network(key, data.train.inputs, sizes.network, "gaussian")
        return WideInstance(Parameters(network.weights, network.readout), data)

    def _data(self, sizes: WideSizes, key: PRNGKeyArray) -> NetworkData:
        samples = sizes.network.samples
        if self.inputs is None:
            assert self.target is not None
            return teacher_task(key, self.target, sizes.dim, samples, sizes.test_samples)
        return given_task(key, jnp.asarray(self.inputs), jnp.asarray(self.labels), samples)

    def learner(self) -> NetworkTrainer:
        return NetworkTrainer(
            of_each_layer(self.activation, len(self.widths_per_dim)),
            self.optimiser,
            jnp.asarray(self.learning_rate),
            self._probes(),
            self.train_readout,
            self.parametrisation == "mean-field",
        )

    def _probes(self) -> tuple[int, ...]:
        return logarithmic_steps(self.steps, _PROBES) if self.probes is None else self.probes

    def measure(
        self, instance: WideInstance, estimate: Trained, sizes: WideSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        # Labels of one's own may be signs; the probe looks at their values.
        signs = self.target is None or isinstance(self.target, AbstractLabelTarget)
        return network_results(estimate, self._probes(), sizes, signs)

    def instance(self, dim: int | None = None, seed: int = 0, replica: int = 0) -> WideInstance:
        """Weights and data of one replica of `simulate`, before training."""
        with double_precision():
            sizes, key = self.sizes(dim), replica_key(seed, fingerprint(self), replica)
            return eqx.filter_jit(type(self).draw)(self, sizes, named(key, "instance"))

    def trained_weights(
        self, dim: int | None = None, seed: int = 0, replica: int = 0
    ) -> dict[str, np.ndarray]:
        """Weights of one replica of `simulate`, after training: `layer_1` and so on, and `readout`.

        Rows are outputs: what `ll.diagnose` and `limitlaw spectra` take.
        """
        with double_precision():
            start = self.instance(dim, seed, replica)
            key = named(replica_key(seed, fingerprint(self), replica), "training")
            found = self.learner().fit(start, self.sizes(dim), key).parameters
            layers = {f"layer_{k}": np.asarray(one) for k, one in enumerate(found.weights, start=1)}
            return layers | {"readout": np.asarray(found.readout)}


_PROBES = 12
