"""What a step on label minus output does to the groups' mean rows: the rows' part of the leading 1/p term.

At the start the output is small, f_0 ~ (mu_1/p) sum_l v_l w_l . x, but it takes from the rows

    w_i <- w_i - (g/p) v_i S sum_l v_l w_l,     g = step_size mu_1^2,  S = (1/n0) sum_mu x_mu x_mu':

one direction of the neurons among p, the one in which features have a mean. With B_k the rows of group k
outside the spike, its indicator's row (p f_k)^(-1/2) sum_{i in k} b_i has d times the covariance

    E_kl = delta_kl (1 + kappa_k M) + (f_k f_l)^(1/2) v_k v_l [c_1 S + c_2 S^2],
    c_1 = -2 g + g^2 |v|^2 rest d/n0,     c_2 = g^2 |v|^2,     |v|^2 = sum_k f_k v_k^2,

where mu_1^2 rest = E sigma^2 - mu_1^2 is the power of f_0 that is not linear. Derived here, in no paper;
the tests measure it on drawn networks.
"""

import equinox as eqx
from jaxtyping import Array, Float, Inexact

from limitlaw.theory.bulks import Forces
from limitlaw.vocabulary.activation import GaussianMoments


class OwnOutput(eqx.Module):
    """Factors of S and S^2 in E_kl over (f_k f_l)^(1/2)."""

    once: Float[Array, "groups groups"]
    twice: Float[Array, "groups groups"]

    def isotropic(self, dims_per_sample: Float[Array, ""]) -> Float[Array, "groups groups"]:
        """The mean over the eigenvalues of S, of mean 1 and mean square 1 + d/n0."""
        return self.once + self.twice * (1 + dims_per_sample)


def own_output(
    output: GaussianMoments,
    step_size: Float[Array, ""],
    letters: Float[Array, " groups"],
    fractions: Float[Array, " groups"],
    dims_per_sample: Float[Array, ""],
) -> OwnOutput:
    """The law for one step.

    Args:
        output: moments of the activation over N(0, 1); E[h sigma(h)] is mu_1.
        step_size: eta/p.
        letters: v_k.
        fractions: f_k.
        dims_per_sample: d/n0.
    """
    pairs, square = letters[:, None] * letters[None, :], fractions @ letters**2
    linear = output.first**2
    shrinking = step_size * linear
    rest = step_size**2 * linear * (output.second - linear) * square * dims_per_sample
    return OwnOutput(pairs * (rest - 2 * shrinking), pairs * shrinking**2 * square)


def mean_pairs(forces: Forces, inverse_width: Float[Array, ""]) -> Inexact[Array, "groups groups"]:
    """m_k m_l / p: what the readout weighs of two groups' mean rows; zero in the limit."""
    return inverse_width * forces.mean_overlaps[:, None] * forces.mean_overlaps[None, :]
