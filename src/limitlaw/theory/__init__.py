"""Asymptotic engines. `ridge_equivalent` takes any spectrum and is public."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limitlaw.theory.feature_ridge import ridge_equivalent

__all__ = ["ridge_equivalent"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'limitlaw.theory' has no attribute {name!r}")
    from limitlaw.theory import feature_ridge

    return getattr(feature_ridge, name)
