"""Learning curves of a user's own data, without training at each size."""

from typing import Any, ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from limitlaw.core.errors import InvalidInput
from limitlaw.core.precision import double_precision, number
from limitlaw.core.records import Solution
from limitlaw.core.reference import Reference, Standing
from limitlaw.datasets.labels import labels_again
from limitlaw.datasets.points import (
    group_codes,
    require_few_copies,
    require_one_label_each,
    require_room_for_each_group,
    rows_of,
)
from limitlaw.models._data_checks import (
    require_choices,
    require_fitting_labels,
    require_resolved_penalty,
)
from limitlaw.models._data_limits import limit_of
from limitlaw.models._data_measures import measured_subset
from limitlaw.models._data_references import ALIGNMENT, GENERIC_FEATURES, RATES, SUBSAMPLES
from limitlaw.models._fields import require_nonnegative, require_positive
from limitlaw.models._universe import Prepared, prepare
from limitlaw.models.base import AbstractSimulable, AbstractSolvable, Plan
from limitlaw.simulation.subsets import Points, SubsetFit, SubsetSizes, fit_subset
from limitlaw.vocabulary.features import AbstractFeatures, Precomputed, as_features
from limitlaw.vocabulary.losses import AbstractLoss, Square, as_loss

Method = Literal["leverage", "pooled", "pooled_left_out", "plug_in", "gaussian_teacher"]

_USUAL = 0.1
"""Default penalty in units of Tr K/N."""
_PADDING = 64


class FromData(AbstractSolvable, AbstractSimulable):
    r"""A linear fit to n of your N points, tested on the others: what its errors will be, at any n.

    The N points are a finite universe. n of them are drawn at random without replacement, and a readout is
    trained on features phi(x), an intercept free,

        min_{w, b} sum_{i in n points} loss(y_i, w . phi(x_i) + b) + (penalty/2) |w|^2,

    as scikit-learn's Ridge(alpha=penalty), KernelRidge and LogisticRegression(C=1/penalty) do. `test_error`
    is the mean over the points that were not drawn: an unbiased estimate of the error on new points. With
    square loss it is the mean of (y - f)^2, summed over outputs, and `classification_error` the share of
    wrong classes where labels are classes; with a loss of labels it is the share of wrong signs, beside
    `test_loss`. `train_error` and `train_loss` are the same on the n points.

    Methods: "leverage", the default, has a leverage (square loss) or a cavity field (smooth convex losses)
    for each point, n < N; "pooled" takes all leverages alike, costs O(N) a point of the curve and goes beyond
    N as far as the points determine it; "pooled_left_out" is the same from exact leave-one-out residuals,
    right at N, and beyond it too high where "pooled" is too low; "plug_in" and "gaussian_teacher" are the
    published recipes, for comparison: both are optimistic.

    Order parameters: `point_mean` (points) and `point_variance` over training sets that leave the point out;
    `leverage` (points) h_i; `point_error` (points) chance of a wrong class; `class_errors` (classes); and of
    the pooled theory `kappa`, `df1`, `df2`, `level`. Experiments measure `point_mean`, with NaN where the
    point was trained on.

    Attributes:
        X: one row a point; with features="precomputed" the Gram matrix.
        y: real labels, or classes (strings, booleans, whole numbers with at most 20 values, one-hot rows).
            Three classes or more are fitted one-hot less 1/K by the square loss.
        features: None for X itself, `ll.features.Random(width, activation)`, `ll.kernels.RBF()`, `Laplace()`,
            `Polynomial()`, a function k(X, X'), or "precomputed". They must not have seen the labels.
        loss: `ll.losses.Square()`, `Logistic()`, or a smooth convex function of label and prediction.
        penalty: lambda, of the sum over samples; a tenth of the features' mean square norm by default. Zero,
            with fewer features than points, is least squares: interpolation of least norm below the rank,
            above it the limit of a tiny penalty.
        intercept: fit a constant without penalty.
        samples: n; half of the points by default.
        groups: one name a point; groups are drawn whole, in experiments only.
        method: which theory.
        penalty_per_sample: lambda/n, in place of `penalty`: held fixed along a curve it is another curve.
        classes: names of the classes; found from y. With names y may hold their numbers (-1 and 1 for two,
            0, 1, ... for more); () takes whole numbers as real labels.

    Raises:
        InvalidInput: fewer than 50 points, values that are not finite, labels that do not fit the loss, more
            than 2 % repeated points, or a number out of range.
    """

    X: Float[Array, "points columns"]
    y: Float[Array, "points *outputs"]
    features: AbstractFeatures
    loss: AbstractLoss
    penalty: Float[Array, ""] | None
    intercept: bool = eqx.field(static=True)
    samples: Float[Array, ""]
    groups: Float[Array, " points"] | None
    method: Method = eqx.field(static=True)
    penalty_per_sample: Float[Array, ""] | None
    classes: tuple[str, ...] = eqx.field(static=True)
    prepared: Prepared = eqx.field(metadata={"fingerprint": False})

    reference: ClassVar[Reference] = GENERIC_FEATURES
    related: ClassVar[tuple[Reference, ...]] = (ALIGNMENT, SUBSAMPLES, RATES)
    standing: ClassVar[Standing] = Standing.HEURISTIC
    check_axis: ClassVar[str] = "samples"
    meanings: ClassVar[dict[str, str]] = {
        "samples": "n, training points out of N",
        "penalty": "lambda, in the term (lambda/2) |w|^2 beside a sum over samples",
        "penalty_per_sample": "lambda/n",
    }
    results: ClassVar[dict[str, str]] = {
        "test_error": "mean over points that were not drawn of (y - f)^2, or the share of wrong signs",
        "train_error": "the same over the drawn points",
        "classification_error": "share of wrong classes among points that were not drawn",
        "point_mean": "mean prediction at a point over training sets without it",
        "point_variance": "its variance over training sets",
        "point_error": "chance that a point is given a wrong class when it is not trained on",
        "class_errors": "the same, averaged over each class",
        "leverage": "h_i of a point that is not trained on",
        "kappa": "effective penalty, in the scale of lambda/n",
        "df1": "Tr S/(S + kappa)",
        "df2": "Tr S^2/(S + kappa)^2",
        "level": "noise and what is not learned at resolution kappa",
        "certificate": "relative residual of the stationarity conditions; above 1e-6 the rest is NaN",
    }

    def __init__(
        self,
        X: Any,
        y: Any,
        features: Any = None,
        loss: Any = Square(),  # noqa: B008
        penalty: Any = None,
        intercept: bool = True,
        samples: Any = None,
        groups: Any = None,
        method: Method = "leverage",
        penalty_per_sample: Any = None,
        classes: tuple[str, ...] | None = None,
        prepared: Prepared | None = None,
    ) -> None:
        owner = type(self).__name__
        self.features, self.loss, self.method = as_features(features), as_loss(loss), method
        self.intercept = intercept
        require_choices(self)
        if prepared is None or not prepared.sources.are(X, y, self.features, intercept):
            rows = rows_of(owner, X, isinstance(self.features, Precomputed))
            labels = labels_again(owner, y, classes, None if prepared is None else prepared.sources.parts[1])
            require_one_label_each(owner, len(rows), len(labels.values))
            X, y, classes = rows, labels.values, labels.classes
            with double_precision():
                prepared = prepare(X, y, classes, self.features, intercept)
        if groups is None:
            require_few_copies(owner, float(prepared.copies))
        else:
            groups = group_codes(owner, groups, len(X))
        self.X, self.y, self.groups, self.classes, self.prepared = X, y, groups, classes or (), prepared
        self._set_numbers(owner, penalty, penalty_per_sample, samples)

    def _set_numbers(self, owner: str, penalty: Any, per_sample: Any, samples: Any) -> None:
        require_fitting_labels(self)
        if penalty is not None and per_sample is not None:
            allowed = "None where penalty_per_sample is given: they are two ways to say one thing"
            raise InvalidInput(owner, "penalty", allowed, penalty)
        if penalty is None and per_sample is None:
            penalty = _USUAL * self.prepared.universe.spectrum.mean_square_norm
        points = len(self.y)
        self.samples = number(points // 2 if samples is None else samples)
        self.penalty = None if penalty is None else number(penalty)
        self.penalty_per_sample = None if per_sample is None else number(per_sample)
        require_positive(owner, "samples", self.samples, self.meanings["samples"])
        if isinstance(self.samples, np.ndarray) and self.samples < _FEWEST:
            raise InvalidInput(owner, "samples", f"{_FEWEST} or more", self.samples, self.meanings["samples"])
        if isinstance(self.samples, np.ndarray) and self.groups is not None:
            require_room_for_each_group(owner, np.asarray(self.groups), float(self.samples))
        for field in ("penalty", "penalty_per_sample"):
            if getattr(self, field) is not None:
                require_nonnegative(owner, field, getattr(self, field), self.meanings[field])
                require_resolved_penalty(self, field)

    @classmethod
    def example(cls) -> Self:
        """Two hundred points in four unequal clusters, a noisy linear target."""
        draw = np.random.default_rng(0)
        centres, sizes = 0.7 * draw.standard_normal((4, 30)), np.array([0.4, 0.8, 1.2, 1.6])
        cluster = draw.integers(0, 4, 200)
        X = centres[cluster] + sizes[cluster, None] * draw.standard_normal((200, 30))
        y = X @ draw.standard_normal(30) / np.sqrt(30) + 0.5 * draw.standard_normal(200)
        return cls(X, y, penalty=5.0, samples=100)

    @property
    def points(self) -> int:
        """N."""
        return len(self.y)

    @property
    def accuracy(self) -> float:
        return 0.03

    @property
    def own_dim(self) -> int:
        return self.X.shape[1]

    @property
    def unmeasured(self) -> tuple[str, ...]:
        return ("leverage", "point_variance", "kappa", "df1", "df2", "level", "point_error")

    @property
    def _unpenalised(self) -> bool:
        given = self.penalty_per_sample if self.penalty is None else self.penalty
        return isinstance(given, np.ndarray) and not given.any()

    @property
    def strength(self) -> Float[Array, ""]:
        """The penalty of the sum, whichever way it was given."""
        if self.penalty_per_sample is None:
            return jnp.asarray(self.penalty)
        return jnp.asarray(self.penalty_per_sample) * jnp.asarray(self.samples)

    def universe_error(self, errors: Any) -> float:
        """Error over all N points, those of training included; some papers report it, it is no test error.

        Args:
            errors: a solution, or a mapping with `test_error` and `train_error`.

        Raises:
            InvalidInput: more samples than points.
        """
        share = float(self.samples) / self.points
        if share > 1:
            allowed = f"up to {self.points} for an error over all points"
            raise InvalidInput(f"{type(self).__name__}.universe_error", "samples", allowed, self.samples)
        return share * float(errors["train_error"]) + (1 - share) * float(errors["test_error"])

    def plan(self, refinement: int = 0) -> Plan:
        if self.groups is not None:
            allowed = (
                "None in theory: points that come in groups are not exchangeable (simulate draws groups)"
            )
            raise InvalidInput(type(self).__name__, "groups", allowed, "some")
        return Plan(self.method, 1, 1024 if self.method in ("pooled", "plug_in") else 1)

    def answer(self, plan: Plan, dim: Any) -> Solution:
        if dim is not None:
            raise InvalidInput("solve", "dim", "None: the data have their own size", "a dimension")
        return limit_of(self, self.instance_standing)

    def room(self, solution: Solution) -> dict[str, float]:
        return {name: float(solution[name]) for name in ("test_error", "train_error")}

    def sizes(self, dim: int | None, test_samples: int | None = None) -> SubsetSizes:
        if dim is not None and dim != self.own_dim:
            raise InvalidInput("simulate", "dim", f"None or {self.own_dim}, the columns of the data", dim)
        if test_samples is not None:
            raise InvalidInput(
                "simulate", "test_samples", "None: all points that are not drawn", test_samples
            )
        samples = round(float(self.samples))
        if samples >= self.points:
            allowed = f"below {self.points} in an experiment: points must be left to test on"
            raise InvalidInput(type(self).__name__, "samples", allowed, samples, self.meanings["samples"])
        padded = min(-(-samples // _PADDING) * _PADDING, self.points)
        if self._unpenalised:
            padded = samples  # exactly as many, so that the smaller of two Gram matrices has full rank
        return SubsetSizes(jnp.asarray(samples), self.points, self.own_dim, padded)

    def draw(self, sizes: SubsetSizes, key: PRNGKeyArray) -> None:
        """Only the training set is random."""

    def learner(self) -> "_Learner":
        return _Learner(self)

    def drawn_from(self) -> Points:
        """What learners see."""
        universe = self.prepared.universe
        groups = None if self.groups is None else jnp.asarray(self.groups)
        rows, gram = (None if part is None else jnp.asarray(part) for part in (universe.rows, universe.gram))
        return Points(rows, gram, jnp.asarray(self.prepared.labels), groups, self.intercept)

    @property
    def codes(self) -> Float[Array, " points"]:
        """Numbers of the classes."""
        values = jnp.asarray(self.y)
        return (values + 1) / 2 if len(self.classes) == 2 else values

    def measure(
        self, instance: None, estimate: SubsetFit, sizes: SubsetSizes, key: PRNGKeyArray
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        return measured_subset(self, estimate)


_FEWEST = 3


class _Learner(eqx.Module):
    """Trains on one random subset."""

    model: FromData

    def fit(self, instance: None, sizes: SubsetSizes, key: PRNGKeyArray) -> SubsetFit:
        """Draw and minimise."""
        return fit_subset(self.model.drawn_from(), self.model.loss, self.model.strength, sizes, key)
