"""Text of objects of the vocabulary, losses to ensembles, to the objects themselves."""

from typing import Any

from limitlaw.cli.ranges import entries, numbers, split_commas
from limitlaw.core.catalogue import (
    ENSEMBLES,
    LIKELIHOODS,
    LOSSES,
    NETWORKS,
    OPTIMISERS,
    PENALTIES,
    READOUTS,
    find,
)
from limitlaw.core.errors import InvalidInput


def parse_loss(text: str) -> Any:
    """A loss by name; "huber(0.5)" carries its parameter.

    Raises:
        UnknownName, InvalidInput: no such loss, or parameters that it does not take.
    """
    from limitlaw.vocabulary import losses

    name, numbers = _call("loss", text)
    kind = getattr(losses, find("loss", name, LOSSES))
    return _built("loss", name, kind, numbers, allowed=(0, 1) if name == "huber" else (0,))


def parse_penalty(owner: str, text: str) -> Any:
    """A number, which is a ridge, or "lasso(0.1)", "elastic-net(0.1,0.2)".

    Raises:
        InvalidInput: neither, or numbers that the penalty does not take.
    """
    from limitlaw.vocabulary import penalties

    try:
        return float(text)
    except ValueError:
        name, numbers = _call("penalty", text)
    if name not in PENALTIES:
        allowed = "a number, or one of ridge(0.1), lasso(0.1), elastic-net(0.01,0.1)"
        raise InvalidInput(owner, "penalty", allowed, repr(text))
    kind = getattr(penalties, PENALTIES[name])
    return _built("penalty", name, kind, numbers, allowed=(2,) if name == "elastic-net" else (1,))


def parse_bias(text: str) -> Any:
    """ "trained", or "trained(6)" with the range that is searched.

    Raises:
        InvalidInput: another name, or numbers that it does not take.
    """
    from limitlaw.vocabulary.biases import Trained

    name, numbers = _call("shift", text)
    return _built("shift", name, Trained, numbers, allowed=(0, 1))


def parse_network(text: str) -> Any:
    """ "linear", or "softmax(2,1)" with its blocks and their dense layers.

    Raises:
        UnknownName, InvalidInput: no such network, or counts that it does not take.
    """
    from limitlaw.vocabulary import networks

    name, counts = _call("network", text)
    kind = getattr(networks, find("network", name, NETWORKS))
    whole = [int(count) if float(count).is_integer() else count for count in counts]
    return _built("network", name, kind, whole, allowed=(0, 1, 2) if name == "softmax" else (0,))


def parse_optimiser(text: str) -> Any:
    """ "gradient-descent", with its momentum "gradient-descent(0.9)", or "adam" with its decays.

    Raises:
        UnknownName, InvalidInput: no such rule, or numbers that it does not take.
    """
    from limitlaw.vocabulary import optimisers

    name, numbers = _call("optimiser", text)
    kind = getattr(optimisers, find("optimiser", name, OPTIMISERS))
    return _built("optimiser", name, kind, numbers, allowed=(0, 1, 2, 3) if name == "adam" else (0, 1))


def parse_readout(text: str) -> Any:
    """A law with the number of its letters first: "normal(8)", "uniform(6,0.5,1.5)".

    Raises:
        UnknownName, InvalidInput: no such law, or numbers that it does not take.
    """
    from limitlaw.vocabulary import readouts

    name, numbers = _call("readout", text)
    kind = getattr(readouts, find("readout", name, READOUTS))
    # The laws refuse a number of letters that is no integer.
    counts = [int(one) if one.is_integer() else one for one in numbers[:1]]
    allowed = (0, 1, 2) if name == "normal" else (0, 1, 3)
    return _built("readout", name, kind, [*counts, *numbers[1:]], allowed)


def parse_likelihood(text: str) -> Any:
    """A likelihood by name: "probit(0.5,0.1)", "sign", "gaussian(0.3)", "ising(0.5)".

    Raises:
        UnknownName, InvalidInput: no such likelihood, or numbers that it does not take.
    """
    from limitlaw.vocabulary import likelihoods

    name, numbers = _call("likelihood", text)
    kind = getattr(likelihoods, find("likelihood", name, LIKELIHOODS))
    return _built("likelihood", name, kind, numbers, _LIKELIHOOD_NUMBERS.get(name, (0, 1)))


_LIKELIHOOD_NUMBERS = {"probit": (1, 2), "gaussian": (1,)}


def parse_ensemble(text: str) -> Any:
    """An ensemble by name: "marchenko-pastur(2)", "wishart-product(2,0.5)", "two-point(0,2,0.5)".

    Raises:
        UnknownName, InvalidInput: no such ensemble, or numbers that it does not take.
    """
    from limitlaw.vocabulary import ensembles

    name, numbers = _call("ensemble", text)
    kind = getattr(ensembles, find("ensemble", name, ENSEMBLES))
    return _built("ensemble", name, kind, numbers, _ENSEMBLE_NUMBERS.get(name, (1, 2)))


_ENSEMBLE_NUMBERS = {"marchenko-pastur": (1,), "wishart-product": (2,), "two-point": (3,)}


def parse_covariance(owner: str, text: str) -> Any:
    """ "sectors((0.4,1.6),(0.5,0.5))", eigenvalues and their shares; or a bracket with one for each group.

    Shares of the teacher and the variance along the spikes may follow, as in `ll.covariances.Covariance`.

    Raises:
        InvalidInput: another form, or numbers that a covariance does not take.
    """
    from limitlaw.vocabulary.covariances import Covariance

    several = entries(text)
    if several is not None:
        return tuple(parse_covariance(owner, one) for one in several)
    name, bracket, rest = text.partition("(")
    fields = split_commas(rest[:-1]) if bracket and rest.endswith(")") else []
    if name.strip().lower() != "sectors" or not 2 <= len(fields) <= 4:
        raise InvalidInput(owner, "covariance", _COVARIANCE, repr(text))
    return Covariance(*(_sector_numbers(owner, one) for one in fields))


_COVARIANCE = (
    "none, or sectors((0.4,1.6),(0.5,0.5)): eigenvalues, shares, then the teacher's shares and the variance "
    "along the spikes where they differ"
)


def _sector_numbers(owner: str, text: str) -> Any:
    try:
        return None if text.lower() == "none" else numbers(text)
    except ValueError:
        raise InvalidInput(owner, "covariance", _COVARIANCE, repr(text)) from None


def _call(field: str, text: str) -> tuple[str, list[float]]:
    name, bracket, rest = text.strip().lower().partition("(")
    if bracket and not rest.endswith(")"):
        raise InvalidInput("limitlaw", field, "a name with its numbers in brackets", repr(text))
    try:
        return name, [float(part) for part in split_commas(rest[:-1])] if bracket else []
    except ValueError:
        raise InvalidInput("limitlaw", field, "a name with its numbers in brackets", repr(text)) from None


def _built(field: str, name: str, kind: Any, numbers: list[float], allowed: tuple[int, ...]) -> Any:
    if len(numbers) not in allowed:
        counts = " or ".join(str(count) for count in allowed)
        raise InvalidInput(field, name, f"followed by numbers in brackets ({counts} of them)", len(numbers))
    return kind(*numbers)
