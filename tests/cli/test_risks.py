"""Losses and penalties as text."""

import pytest

import limitlaw as ll
from limitlaw.cli.risks import parse_loss, parse_penalty


def test_losses_and_penalties_by_name(float64):
    assert isinstance(parse_loss("hinge"), ll.losses.Hinge)
    assert float(parse_loss("huber(0.5)").delta) == 0.5
    assert parse_penalty("GiantStep", "1e-3") == 1e-3
    net = parse_penalty("GiantStep", "elastic-net(0.01,0.1)")
    assert [float(strength) for strength in net.strengths()] == [0.01, 0.1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("small", "GiantStep.penalty must be a number, or one of ridge"),
        ("lasso", "followed by numbers in brackets"),
        ("lasso(a)", "a name with its numbers in brackets"),
        ("lasso(0.1", "a name with its numbers in brackets"),
        ("lasso(-1)", "Lasso.strength must be a positive and finite number"),
    ],
)
def test_mistakes_are_sentences(text, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        parse_penalty("GiantStep", text)
