"""Text of a range to plain Python numbers; nothing heavy is imported before it is valid."""

import math
from typing import Any

from limitlaw.core.errors import InvalidInput

_ALLOWED = "start:stop:count, start:stop:count:log, or values separated by commas"


def parse_assignment(option: str, text: str) -> tuple[str, str]:
    """Split "name=value".

    Raises:
        InvalidInput: there is no name, no equals sign or no value.
    """
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise InvalidInput("limitlaw", option, "name=value", repr(text))
    return name.strip().replace("-", "_"), value.strip()


def parse_assignments(option: str, texts: list[str]) -> dict[str, str]:
    """Several assignments of one option.

    Raises:
        InvalidInput: one is malformed, or a name is given twice.
    """
    found: dict[str, str] = {}
    for name, value in (parse_assignment(option, text) for text in texts):
        if name in found:
            raise InvalidInput(option, name, "given once", f"{found[name]!r} and {value!r}")
        found[name] = value
    return found


def parse_axis(name: str, text: str) -> list[float] | list[str]:
    """Points of an axis: "0.2:3:40" evenly spaced, "1e-3:10:20:log" geometrically, "0,0.5,inf" or "tanh,sin".

    Vectors keep their brackets: "(1,-0.6),(1,2)".

    Raises:
        InvalidInput: the range is malformed.
    """
    if ":" in text:
        return _range(name, text)
    parts = split_commas(text)
    numbers = [_number(part) for part in parts]
    if all(number is not None for number in numbers):
        return [number for number in numbers if number is not None]
    return parts


def _range(name: str, text: str) -> list[float]:
    parts = text.split(":")
    start, stop = _number(parts[0]), _number(parts[1])
    spacing = parts[3] if len(parts) == 4 else "linear"
    if len(parts) not in (3, 4) or start is None or stop is None or spacing not in ("log", "linear"):
        raise InvalidInput("--over", name, _ALLOWED, repr(text))
    if not (parts[2].isdecimal() and int(parts[2]) >= 1):
        raise InvalidInput("--over", name, f"{_ALLOWED}, with a positive integer count", repr(text))
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise InvalidInput("--over", name, "a range between finite ends", repr(text))
    count = int(parts[2])
    if spacing == "log":
        if start <= 0 or stop <= 0:
            raise InvalidInput("--over", name, "a logarithmic range between positive ends", repr(text))
        low, high = math.log(start), math.log(stop)
        return [start if count == 1 else math.exp(low + (high - low) * i / (count - 1)) for i in range(count)]
    return [start if count == 1 else start + (stop - start) * i / (count - 1) for i in range(count)]


def entries(text: str) -> list[str] | None:
    """What a vector "(1,-0.6)" holds; None when the text is no vector.

    Raises:
        InvalidInput: a bracket is left open, or there is an empty entry.
    """
    if text[0] not in "([":
        return None
    split_commas(text)  # refuses what does not close
    return split_commas(text[1:-1])


def numbers(text: str) -> Any:
    """A number, or a list of what a vector holds, vectors in it too.

    Raises:
        ValueError: there is something else than numbers.
        InvalidInput: as `entries`.
    """
    parts = entries(text)
    return float(text) if parts is None else [numbers(part) for part in parts]


def split_commas(text: str) -> list[str]:
    """Split at commas outside brackets; empty parts are refused."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts = [part.strip() for part in [*parts, current]]
    if depth != 0 or not all(parts):
        raise InvalidInput("limitlaw", "value", "a list without empty entries or open brackets", repr(text))
    return parts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
