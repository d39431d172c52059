"""Losses and penalties as text."""

import pytest

import limitlaw as ll
from limitlaw.cli.fields import build_model
from limitlaw.cli.risks import parse_covariance, parse_loss, parse_penalty


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


def test_latent_models_as_text():
    settings = ["ensemble=wishart-product(2,0.5)", "student=sign(0.1)", "teacher=Probit(0.5,0.05)"]
    model = build_model("latent-gaussian", settings)
    assert isinstance(model.ensemble, ll.ensembles.WishartProduct)
    assert (float(model.student.flip), float(model.teacher.noise_std)) == (0.1, 0.5)
    spins = build_model(
        "latent-gaussian", ["student=ising", "teacher=none", "ensemble=sherrington-kirkpatrick(1)"]
    )
    assert spins.student.silent
    for setting, sentence in (
        ("student=sing", "unknown likelihood 'sing'; the closest: .*sign"),
        ("student=probit", "followed by numbers in brackets"),
        ("ensemble=marchenko-pastur(-1)", "sites_per_factor must be positive"),
        ("ensemble=2", "unknown ensemble '2'"),
    ):
        with pytest.raises(ll.errors.LimitlawError, match=sentence):
            build_model("latent-gaussian", [setting])


def test_covariances_as_text():
    plain = build_model("random-features", ["covariance=sectors((0.4,1.6),(0.5,0.5))"]).covariance
    assert (list(plain.eigenvalues), list(plain.shares)) == ([0.4, 1.6], [0.5, 0.5])
    full = parse_covariance("RandomFeatures", "Sectors((0.4, 1.6), (0.5, 0.5), (0.3, 0.7), (1.2, 0.8))")
    assert (list(full.teacher_shares), list(full.spike_eigenvalue)) == ([0.3, 0.7], [1.2, 0.8])
    general = parse_covariance("RandomFeatures", "sectors((0.4,1.6),(0.5,0.5),none,1.2)")
    assert (general.teacher_shares, float(general.spike_eigenvalue)) == (None, 1.2)
    both = "(sectors((0.4,1.6),(0.5,0.5)),sectors((1.6,0.4),(0.5,0.5)))"
    model = build_model("spiked-random-features", ["strength=(1,-0.5)", f"covariance={both}"])
    assert [list(one.eigenvalues) for one in model.covariance] == [[0.4, 1.6], [1.6, 0.4]]
    assert build_model("random-features", ["covariance=none"]).covariance is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0.4", r"RandomFeatures.covariance must be none, or sectors\(\(0.4,1.6\),\(0.5,0.5\)\)"),
        ("sectors((0.4,1.6))", "must be none, or sectors"),
        ("sectors((0.4,x),(0.5,0.5))", r"must be none, or sectors.*got '\(0.4,x\)'"),
        ("sectors((0.4,1.7),(0.5,0.5))", "Covariance.eigenvalues must be of mean one over `shares`"),
        ("sectors((0.4,1.6),(0.5,0.5)", "must be a list without empty entries or open brackets"),
        ("sectors(none,(0.5,0.5))", "Covariance.eigenvalues must be a number or an array of them"),
    ],
)
def test_mistaken_covariances_are_sentences(text, sentence):
    with pytest.raises(ll.errors.InvalidInput, match=sentence):
        parse_covariance("RandomFeatures", text)
