"""Random features: a two-layer network whose first layer is left at its initialisation."""

from typing import ClassVar, Literal, Self

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import is_traced, number
from limitlaw.core.reference import Reference, Standing
from limitlaw.models._groups import activation_field, group_count
from limitlaw.models._readout_problem import is_linear
from limitlaw.models.spiked_random_features import RATIOS, AbstractSpikedEquivalent, SpikedRandomFeatures
from limitlaw.simulation.instances import FeatureInstance
from limitlaw.simulation.sizes import Sizes
from limitlaw.vocabulary.activations import AbstractActivation, ReLU, Sin
from limitlaw.vocabulary.biases import Trained, bias_field
from limitlaw.vocabulary.covariances import Covariance, covariance_field
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss
from limitlaw.vocabulary.penalties import AbstractPenalty, penalty_field
from limitlaw.vocabulary.targets import AbstractLabelTarget, AbstractTarget, SingleIndex, as_target


class RandomFeatures(AbstractSpikedEquivalent):
    """Ridge regression on sigma(w_i . x + t) with isotropic random rows and no spike.

    Normalisations, errors and order parameters are those of `SpikedRandomFeatures` at strength 0, where
    `spike_overlap` vanishes and the whole teacher lies in the bulk. For n, p proportional to d only the
    linear part of the target can be learned: the test error stays above E g^2 - (E z g)^2 + noise.

    Source: arXiv 1908.05355 (Theorem 2, regression) and arXiv 2002.09339 (replica); here as the case
    without spike of arXiv 2402.04980, Result 3.3. Theorem 2 is a proof for one group of spherical rows
    without shift, real labels, square loss and a positive ridge; elsewhere `instance_standing` is replica.

    Attributes:
        activation: one for all groups, or a tuple with one for each.
        target: law of the label given z = w* . x.
        samples_per_dim: n/d.
        width_per_dim: p/d.
        penalty: lambda in sum (y - f)^2 + lambda |a|^2.
        bulk_variance: c, squared norm of a row, shape () or (groups,).
        fraction: share of the neurons in each group; None for equal shares.
        shift: bias t, as in `SpikedRandomFeatures`.
        rows: "spherical", "gaussian" or "orthogonal".
        loss: of a sample; square by default.
        covariance: of the rows, as in `SpikedRandomFeatures`.

    Raises:
        InvalidInput: as `SpikedRandomFeatures`.
    """

    activation: AbstractActivation | tuple[AbstractActivation, ...] = eqx.field(converter=activation_field)
    target: AbstractTarget = eqx.field(converter=as_target)
    samples_per_dim: Float[Array, ""] = eqx.field(converter=number)
    width_per_dim: Float[Array, ""] = eqx.field(converter=number)
    penalty: Float[Array, ""] | AbstractPenalty = eqx.field(converter=penalty_field)
    bulk_variance: Float[Array, "..."] = eqx.field(converter=number, default=1.0)
    fraction: Float[Array, " groups"] | None = eqx.field(converter=number, default=None)
    shift: Float[Array, "..."] | Trained = eqx.field(converter=bias_field, default=0.0)
    rows: Literal["spherical", "gaussian", "orthogonal"] = eqx.field(static=True, default="spherical")
    loss: AbstractLoss = eqx.field(converter=as_loss, default=Square())
    covariance: Covariance | tuple[Covariance, ...] | None = eqx.field(
        converter=covariance_field, default=None
    )

    reference: ClassVar[Reference] = Reference(
        authors=("Mei", "Montanari"),
        title="The generalization error of random features regression: "
        "Precise asymptotics and double descent curve",
        year=2019,
        arxiv="1908.05355",
        equations={"ridge limit": "Theorem 2"},
    )
    standing: ClassVar[Standing] = Standing.PROVED
    meanings: ClassVar[dict[str, str]] = RATIOS | {
        "bulk_variance": "c, the mean squared norm of a row",
        "fraction": "the share of the neurons in each group",
        "shift": "t, the bias of each neuron",
    }

    def __check_init__(self) -> None:
        try:
            self.spiked()
        except InvalidInput as mistake:
            raise mistake.of(type(self).__name__) from None

    @classmethod
    def example(cls) -> Self:
        """A ReLU network with as many neurons as inputs and a sine teacher."""
        return cls(ReLU(), SingleIndex(Sin()), 2.0, 1.0, 0.01)

    @property
    def instance_standing(self) -> Standing:
        return self.standing if self._proved() else Standing.REPLICA

    def _proved(self) -> bool:
        """Whether this is the case of Theorem 2; a traced or trained shift may be any."""
        unshifted = isinstance(self.shift, np.ndarray) and not np.any(self.shift)
        isotropic = self.rows == "spherical" and self.covariance is None
        linear = is_linear(self.loss, self.penalty) and not isinstance(self.target, AbstractLabelTarget)
        return unshifted and isotropic and linear and self._positive_ridge() and self._one_group()

    def _one_group(self) -> bool:
        fields = {name: getattr(self, name) for name in ("bulk_variance", "fraction", "shift", "covariance")}
        return group_count(type(self).__name__, self.activation, fields) == 1

    def _positive_ridge(self) -> bool:
        """A traced penalty is solved as a positive one."""
        return is_traced(self.penalty) or bool(np.all(np.asarray(self.penalty) > 0))

    def spiked(self) -> SpikedRandomFeatures:
        """The same problem as spiked random features of strength 0."""
        return SpikedRandomFeatures(
            self.activation,
            self.target,
            self.samples_per_dim,
            self.width_per_dim,
            self.penalty,
            strength=0.0,
            alignment=0.0,
            bulk_variance=self.bulk_variance,
            fraction=self.fraction,
            shift=self.shift,
            rows=self.rows,
            loss=self.loss,
            covariance=self.covariance,
        )

    def sizes(self, dim: int | None, test_samples: int | None = None) -> Sizes:
        return self.spiked().sizes(dim, test_samples)

    def draw(self, sizes: Sizes, key: PRNGKeyArray) -> FeatureInstance:
        return self.spiked().draw(sizes, key)
