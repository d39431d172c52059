"""Biases of the first layer's neurons that are not given but trained."""

from typing import Any

import equinox as eqx
import numpy as np

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import number

__all__ = ["Trained", "bias_field", "given", "trained"]


class Trained(eqx.Module):
    """One bias for all neurons, trained together with the readout.

    It minimises the regularised training objective, itself minimised over the readout (arXiv 2402.04980,
    Appendix C). That is not convex in the bias: the range is scanned, then the deepest valley is refined.
    Between valleys of the same depth, as those of an odd activation and target, the limit takes the bias
    nearest to zero, of two opposite ones the positive; an experiment takes the one that its data prefer.

    Attributes:
        largest: |bias| up to which the range is searched.
        candidates: biases that are scanned, ends included.

    Raises:
        InvalidInput: `largest` is not positive and finite, or there are fewer than five candidates.
    """

    largest: float = eqx.field(static=True, default=4.0)
    candidates: int = eqx.field(static=True, default=65)

    def __check_init__(self) -> None:
        owner, largest, count = "biases.Trained", self.largest, self.candidates
        if not isinstance(largest, (float, int)) or isinstance(largest, bool) or not 0 < largest < np.inf:
            raise InvalidInput(owner, "largest", "a positive and finite number", repr(largest))
        if not isinstance(count, int) or isinstance(count, bool) or count < 5:
            raise InvalidInput(owner, "candidates", "an integer of 5 or more", repr(count))

    @property
    def label(self) -> str:
        """Short name for legends."""
        return "trained bias"


def bias_field(value: Any) -> Any:
    """Field converter: biases given as numbers, or trained."""
    return value if isinstance(value, Trained) else number(value)


def trained(value: Any) -> Trained | None:
    """The statement of a trained bias, None for one that is given."""
    return value if isinstance(value, Trained) else None


def given(value: Any) -> Any:
    """Biases that are given, zero in place of a trained one."""
    return 0.0 if isinstance(value, Trained) else value
