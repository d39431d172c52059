"""What a loss does to a field: the force of its proximal point and how stiffly it holds."""

from typing import NamedTuple

from jaxtyping import Array, Float


class ProximalResponse(NamedTuple):
    """Force (z - omega)/V towards the label, and minus its slope in omega, in [0, 1/V].

    For K logits the force is a vector and the stiffness a symmetric matrix on the last axes.
    """

    force: Float[Array, "..."]
    stiffness: Float[Array, "..."]
