"""Papers on which the theories of a user's own data stand."""

from limitlaw.core.reference import Reference

GENERIC_FEATURES = Reference(
    authors=("Loureiro", "Gerbelot", "Cui", "Goldt", "Krzakala", "Mezard", "Zdeborova"),
    title="Learning curves of generic features maps for realistic datasets with a teacher-student model",
    year=2021,
    arxiv="2102.08127",
    equations={
        "method='plug_in', 'gaussian_teacher'": "their curves with empirical covariance and fitted teacher",
        "method='leverage', 'pooled'": "derived here; checked by simulation",
    },
)
ALIGNMENT = Reference(
    authors=("Jacot", "Simsek", "Spadaro", "Hongler", "Gabriel"),
    title="Kernel alignment risk estimator: risk prediction from training data",
    year=2020,
    arxiv="2006.09796",
    equations={"method='pooled' at n = N": "their estimator"},
)
SUBSAMPLES = Reference(
    authors=("Du", "Patil", "Kuchibhotla"),
    title="Subsample ridge ensembles: equivalences and generalized cross-validation",
    year=2023,
    arxiv="2304.13016",
    equations={
        "error of infinitely many averaged fits": "generalised cross-validation at the matched penalty"
    },
)
RATES = Reference(
    authors=("Cui", "Loureiro", "Krzakala", "Zdeborova"),
    title="Generalization error rates in kernel regression: the crossover from the noiseless to noisy regime",
    year=2021,
    arxiv="2105.15004",
    equations={"exponents of `ll.predict`": "capacity and source"},
)
