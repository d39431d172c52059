"""Mistakes as sentences: whose field, what is allowed, what came. No heavy imports live here."""

import difflib
from collections.abc import Iterable


class LimitlawError(Exception):
    """Root of every error that limitlaw raises on purpose."""


class InvalidInput(LimitlawError, ValueError):
    """A value that a statement cannot take.

    Args:
        owner: the class or verb that refuses.
        field: its field or argument.
        allowed: what it takes, as it reads after "must be".
        got: the value refused.
        meaning: what the field stands for, added in brackets.
    """

    def __init__(self, owner: str, field: str, allowed: str, got: object, meaning: str = "") -> None:
        self.owner, self.field, self.allowed, self.got, self.meaning = owner, field, allowed, got, meaning
        explanation = f" (it is {meaning})" if meaning else ""
        super().__init__(f"{owner}.{field} must be {allowed}, got {got}{explanation}")

    def of(self, owner: str) -> "InvalidInput":
        """The same mistake, told of the statement that the user wrote."""
        return InvalidInput(owner, self.field, self.allowed, self.got, self.meaning)

    def __reduce__(self):
        return type(self), (self.owner, self.field, self.allowed, self.got, self.meaning)


class UnknownName(LimitlawError, LookupError):
    """A name that is not on the list; the sentence offers the closest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"unknown {kind} {name!r}; the closest: {', '.join(closest(name, self.known))}")

    def __reduce__(self):
        return type(self), (self.kind, self.name, self.known)


class NotConverged(LimitlawError, RuntimeError):
    """A solver stopped without a solution it can vouch for."""


class PrecisionError(LimitlawError, TypeError):
    """Theory was asked for inside a transformation while JAX rounds to 32 bits."""


class ForeignStore(LimitlawError, RuntimeError):
    """A store on disk belongs to another study."""


class StoreError(LimitlawError, OSError):
    """A store or file on disk cannot be read or written; what was committed before is intact."""


def closest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Known names nearest in spelling to `name`, or all of them when none is near."""
    names = sorted(known)
    return difflib.get_close_matches(name, names, n=count, cutoff=0.5) or names
