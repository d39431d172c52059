"""Text of a field to its value: numbers, vectors, activations, targets."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from limitlaw.cli.ranges import entries, numbers, parse_assignments, parse_axis
from limitlaw.cli.risks import (
    parse_bias,
    parse_covariance,
    parse_ensemble,
    parse_likelihood,
    parse_loss,
    parse_network,
    parse_optimiser,
    parse_penalty,
    parse_readout,
)
from limitlaw.core.catalogue import ACTIVATIONS, find, model_class
from limitlaw.core.errors import InvalidInput, UnknownName


def build_model(name: str, settings: list[str]) -> Any:
    """The model's example with some fields set.

    Raises:
        UnknownName, InvalidInput: no such model or field, or a value that it cannot take.
    """
    assignments = parse_assignments("--set", settings)
    model = model_class(name).example()
    _require_fields(model, assignments)
    values = {field: parse_value(model, field, text) for field, text in assignments.items()}
    return dataclasses.replace(model, **values)


def parse_axes(over: list[str]) -> dict[str, list[float] | list[str]]:
    """Axes as text; this imports nothing heavy and is done before the model is built."""
    return {name: parse_axis(name, text) for name, text in parse_assignments("--over", over).items()}


def require_set_once(settings: list[str], axes: Iterable[str]) -> None:
    """A field is set or varied; imports nothing heavy.

    Raises:
        InvalidInput: one is both.
    """
    fixed = parse_assignments("--set", settings)
    for name in axes:
        if name in fixed:
            allowed = "a field that --set leaves free: a field is set or varied"
            raise InvalidInput("--over", name, allowed, f"--set {name}={fixed[name]} as well")


def build_axes(model: Any, axes: dict[str, list[float] | list[str]]) -> dict[str, Any]:
    """Axes with their values in place of text.

    Raises:
        UnknownName: the model has no such field, or there is no such object.
    """
    _require_fields(model, axes)
    return {
        name: [parse_value(model, name, point) if isinstance(point, str) else point for point in points]
        for name, points in axes.items()
    }


def parse_value(model: Any, field: str, text: str) -> Any:
    """One value: a number, a vector "(1,-0.6)", none, or an object by name."""
    if field in ("activation", "function"):
        return _activations(text)
    if field == "target":
        return parse_target(text)
    if field == "loss":
        return parse_loss(text)
    if field == "penalty":
        return parse_penalty(type(model).__name__, text)
    if field == "shift" and text.lower().startswith("trained"):
        return parse_bias(text)
    if field == "readout" and text[0].isalpha():
        return parse_readout(text)
    if text.lower() == "none" and field in _optional(model):
        return None
    if field == "covariance":
        return parse_covariance(type(model).__name__, text)
    if field == "network":
        return parse_network(text)
    if field == "optimiser":
        return parse_optimiser(text)
    if field in ("student", "teacher") and text[0].isalpha():
        return parse_likelihood(text)
    if field == "ensemble":
        return parse_ensemble(text)
    if isinstance(getattr(model, field), str):
        return text
    if isinstance(getattr(model, field), bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if _types(model)[field] in (int, int | None):
        return _integer(model, field, text)
    return _numbers(model, field, text)


def _activations(text: str) -> Any:
    """One by name, one for each group in brackets, or the coefficients of one by degree."""
    from limitlaw.vocabulary.activations import ByDegree

    parts = entries(text)
    if parts is None:
        return parse_activation(text)
    try:
        return ByDegree(numbers(text))
    except ValueError:
        return tuple(parse_activation(part) for part in parts)


def _numbers(model: Any, field: str, text: str) -> Any:
    try:
        return numbers(text)
    except ValueError:
        raise InvalidInput(
            type(model).__name__, field, "a number or a vector such as (1,-0.6)", repr(text)
        ) from None


def _integer(model: Any, field: str, text: str) -> int:
    try:
        return int(float(text)) if float(text).is_integer() else int(text)
    except ValueError:
        raise InvalidInput(type(model).__name__, field, "an integer", repr(text)) from None


def parse_activation(text: str) -> Any:
    """An activation by name; "hermite3" and "erf(1)" carry their parameter."""
    from limitlaw.vocabulary import activations

    name, parameter = text.lower().rstrip(")"), None
    if "(" in name:
        name, parameter = name.split("(", 1)
    elif name.startswith("hermite") and name[7:].isdigit():
        name, parameter = "hermite", name[7:]
    kind = getattr(activations, find("activation", name, ACTIVATIONS))
    if name == "hermite":
        return kind(_parameter(name, int, parameter or "3"))
    return kind() if parameter is None else kind(_parameter(name, float, parameter))


def _parameter(name: str, kind: Any, text: str) -> Any:
    if name not in ("erf", "hermite"):
        raise InvalidInput("activation", name, "without a parameter", repr(text))
    try:
        return kind(text)
    except ValueError:
        word = "an integer, as in hermite3" if kind is int else "a number, as in erf(1)"
        raise InvalidInput("activation", name, word, repr(text)) from None


def parse_target(text: str) -> Any:
    """A target: an activation's name, or "labels" for sign labels; "sin+0.1" adds noise of variance 0.1."""
    from limitlaw.vocabulary.targets import SignLabels, SingleIndex

    name, _, noise = text.partition("+")
    try:
        variance = float(noise) if noise else 0.0
    except ValueError:
        raise InvalidInput("target", "noise_variance", "a number, as in sin+0.1", repr(noise)) from None
    if name.lower() in ("labels", "sign-labels"):
        return SignLabels(variance)
    return SingleIndex(parse_activation(name), variance)


def _types(model: Any) -> dict[str, Any]:
    return {field.name: field.type for field in dataclasses.fields(model)}


def _optional(model: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(model) if field.default is None]


def _require_fields(model: Any, names: Any) -> None:
    known = [field.name for field in dataclasses.fields(model)]
    for name in names:
        if name not in known:
            raise UnknownName(f"field of {type(model).__name__}", name, known)
