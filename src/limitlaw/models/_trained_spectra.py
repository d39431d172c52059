"""From the records of a training run to named results: distances from the start, outliers, paths."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from limitlaw.spectra.marchenko_pastur import FALSE_ALARM, tracy_widom_threshold
from limitlaw.training.wide_network import Trained, WideSizes

RESULTS = {
    "test_error": "E (y - f)^2 on fresh samples",
    "train_error": "mean squared residual",
    "classification_error": "share of labels -1 and 1 whose sign is missed on fresh samples",
    "r_squared": "share of the labels' variance that is predicted",
    "diverged": "1 where weights are not finite, or the train error is a thousand times the first",
    "stability_limit": "step in the weights from which gradient descent diverges at the start",
    "weight_distance": "mean move of the eigenvalues of W'W/h",
    "conjugate_distance": "mean move of the conjugate kernel's eigenvalues",
    "tangent_distance": "mean move of the tangent kernel's eigenvalues",
    "weight_growth": "largest eigenvalue of W'W/h over the edge of its law",
    "weight_outliers": "eigenvalues of W'W/h beyond the edge and its fluctuations",
    "conjugate_growth": "largest eigenvalue of the conjugate kernel over that at the start",
    "tangent_growth": "largest eigenvalue of the tangent kernel over that at the start",
    "weight_alignment": "squared overlap of the first right singular vector with the labels' direction",
    "conjugate_alignment": "squared overlap of the conjugate kernel's first eigenvector with the labels",
    "tangent_alignment": "squared overlap of the tangent kernel's first eigenvector with the labels",
    "conjugate_target_alignment": "y'Ky/(|K||y|^2) of the conjugate kernel",
    "tangent_target_alignment": "y'Ky/(|K||y|^2) of the tangent kernel",
    "conjugate_centred_alignment": "the same of centred features and labels",
    "tangent_centred_alignment": "the same of centred features and labels",
    "weight_change": "|W - W_0|/sqrt(d), Frobenius",
    "weight_change_norm": "|W - W_0|/sqrt(d), operator",
    "readout_change": "|v - v_0|/sqrt(h)",
    "conjugate_change": "|K - K_0| of the conjugate kernel, Frobenius",
    "tangent_change": "|K - K_0| of the tangent kernel, Frobenius",
}
_DIVERGED = 1e3
_SPECTRUM = "_eigenvalues"

Paths = Mapping[str, Float[Array, " probes"]]


def network_results(
    trained: Trained, probes: tuple[int, ...], sizes: WideSizes, signs: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Named results.

    Args:
        trained: with records of the probes.
        probes: their steps.
        sizes: of the network.
        signs: whether labels may be -1 and 1.

    Returns:
        Observables, after the last step; and every probe's spectra and numbers, as `..._path`.
    """
    spectra = {name: value for name, value in trained.records.items() if name.endswith(_SPECTRUM)}
    numbers = {name: value for name, value in trained.records.items() if name not in spectra}
    if not signs:
        del numbers["classification_error"]
    paths = numbers | _moves(spectra) | _growth(spectra, sizes)
    train = paths["train_error"]
    paths["diverged"] = 1.0 * ~(train <= _DIVERGED * train[0])
    observables = {name: path[-1] for name, path in paths.items()}
    observables["stability_limit"] = trained.stability_limit
    kept = {f"{name}_path": path for name, path in paths.items()}
    return observables, kept | spectra | {"probes": jnp.asarray(probes, jnp.result_type(float))}


def _moves(spectra: Mapping[str, Float[Array, "probes values"]]) -> dict[str, Array]:
    """Mean move of the ordered eigenvalues: W1 of the two spectra."""
    return {
        name.replace(_SPECTRUM, "_distance"): jnp.mean(jnp.abs(values - values[0]), axis=1)
        for name, values in spectra.items()
    }


def _growth(spectra: Mapping[str, Float[Array, "probes values"]], sizes: WideSizes) -> dict[str, Array]:
    width, dim = sizes.network.widths[0], sizes.dim
    weights = spectra["weight_eigenvalues"]
    # The threshold is for the smaller Gram matrix over the larger side.
    threshold = tracy_widom_threshold((width, dim), FALSE_ALARM) * max(width, dim) / width
    beyond = jnp.where(jnp.isnan(weights[:, -1]), jnp.nan, jnp.sum(weights > threshold, axis=1))
    kernels = ("conjugate", "tangent")
    tops = {name: spectra[name + _SPECTRUM][:, -1] for name in kernels}
    return {
        "weight_growth": weights[:, -1] / (1 + (dim / width) ** 0.5) ** 2,
        "weight_outliers": beyond,
    } | {f"{name}_growth": top / top[0] for name, top in tops.items()}
