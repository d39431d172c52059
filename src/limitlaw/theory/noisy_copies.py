"""Training on noisy copies of each sample: the two halves with a shared and an own part of every feature.

Weights feel both parts through the same two numbers, the load on the rows' Gram and the load on the
identity; only the output half knows how many copies there are.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.theory.bulks import ForceVariances, Loads, Responses
from limitlaw.theory.conditional_features import Tables
from limitlaw.theory.copies import AbstractCopies, CopyAverages, CopyVariances
from limitlaw.theory.output_half import classification_error, loss_errors
from limitlaw.theory.readout import FieldLaw, conditional_error, field_law
from limitlaw.theory.two_halves import AbstractTwoHalves, State
from limitlaw.theory.variance_sector import pack, pair_products
from limitlaw.vocabulary.losses import AbstractLoss, Square
from limitlaw.vocabulary.targets import AbstractLabelTarget


class NoisyCopies(AbstractTwoHalves):
    """The tabulated equations; `tables` hold what the copies of a sample share.

    Attributes:
        own: slope^2 and noise of a copy alone.
        clean: tables on inputs without injected noise.
        copies: the output half.
        loss: of a sample.
    """

    own: Float[Array, "unknowns nodes"]
    clean: Tables
    copies: AbstractCopies
    loss: AbstractLoss

    def laws(self, state: State) -> tuple[FieldLaw, CopyVariances]:
        """Law of the shared field, and variances and responses of both parts."""
        responses = pack(state.responses)
        norms = pack(Responses(state.readout.bulk_norm, state.readout.norm))
        shared = responses @ pair_products(self.tables.groups)
        variances = CopyVariances(norms @ self.own, shared, responses @ self.own)
        return field_law(self.tables.groups, state.readout), variances

    def averages(self, law: FieldLaw, variance: CopyVariances) -> CopyAverages:
        return self.copies.averages(self.channel, self.projection, law, variance)

    def conjugates(self, averages: CopyAverages) -> tuple[Loads, ForceVariances]:
        shared = self.loaded(pair_products(self.tables.groups), averages.stiffness, averages.square)
        own = self.loaded(self.own, averages.own_stiffness, averages.own_square)
        return jax.tree.map(jnp.add, shared, own)

    def errors(self, state: State, law: tuple[FieldLaw, Any]) -> dict[str, Float[Array, ""]]:
        rule, test = self.tables.latent.weights, field_law(self.clean.groups, state.readout)
        found = self.copies.trained(self.channel, self.projection, *law) | self._clean_errors(state, test)
        return {name: rule @ values for name, values in found.items()}

    def _clean_errors(self, state: State, law: FieldLaw) -> dict[str, Float[Array, " nodes"]]:
        if self.loss.takes_labels:
            found = loss_errors(self.channel, self.loss, self.projection, law, jnp.ones_like(law.variance))
            return {name: found[name] for name in ("test_loss", "test_error")}
        error = conditional_error(self.clean, state.readout)
        found = {"test_error": error, "test_loss": error / 2}
        if not isinstance(self.loss, Square):
            losses = loss_errors(self.channel, self.loss, self.projection, law, jnp.ones_like(law.variance))
            found["test_loss"] = losses["test_loss"]
        if isinstance(self.channel.target, AbstractLabelTarget):
            found["classification_error"] = classification_error(self.channel, self.projection, law)
        return found
