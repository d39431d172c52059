"""Commands: a few lines each over a Study; mistakes are one sentence and a non-zero exit."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from limitlaw.cli.fields import build_axes, build_model, parse_axes, require_set_once
from limitlaw.core.catalogue import FIGURES, MODELS, find, model_class
from limitlaw.core.errors import InvalidInput, LimitlawError, StoreError, UnknownName

app = App(
    name="limitlaw",
    help="Exact high-dimensional limits of learning problems, their experiments, and the pictures.",
    version_flags=["--version"],
)

Settings = Annotated[
    list[str] | None,
    Parameter(name="--set", consume_multiple=True, negative="", help="fields, as step_size=3 target=sin"),
]
Over = Annotated[
    list[str] | None,
    Parameter(
        name="--over",
        consume_multiple=True,
        negative="",
        help="axes, as penalty=1e-3:1:9:log target=sin,tanh",
    ),
]
Device = Annotated[str | None, Parameter(help="where to compute: cpu, gpu or tpu; the best by default")]
Output = Annotated[Path | None, Parameter(name=["-o", "--output"])]


@app.command
def models() -> None:
    """List the models, their paper and standing."""
    from limitlaw.cli.show import show_table

    rows = []
    for name in MODELS:
        kind = model_class(name)
        rows.append(
            [name, f"arXiv {kind.reference.arxiv}", str(kind.standing), (kind.__doc__ or "").split("\n")[0]]
        )
    show_table(["model", "paper", "standing", "statement"], rows)


@app.command
def solve(
    model: str,
    *,
    set_: Settings = None,
    over: Over = None,
    dim: int | None = None,
    output: Output = None,
) -> None:
    """The exact limit of a model, or of a study of it; -o writes netCDF."""
    study = _study(model, set_, over)
    if output is not None:
        from limitlaw.studies.files import require_target

        require_target(output)
    theory = study.solve(dim=dim)
    from limitlaw.cli.show import show_dataset

    if output is None:
        show_dataset(theory)
        print(f"standing: {theory.attrs['standing']}")
    else:
        from limitlaw.studies import save

        print(save(theory, output))
    _warn_untrusted(theory)


@app.command
def simulate(
    model: str,
    *,
    dim: int | None = None,
    replicas: int = 10,
    seed: int = 0,
    set_: Settings = None,
    over: Over = None,
    test_samples: int | None = None,
    device: Device = None,
    output: Output = None,
) -> None:
    """The same statement at finite size; -o is a folder of finished cells that can be resumed."""
    study = _study(model, set_, over)
    _use_device("simulate", device)
    measured = study.simulate(dim, replicas, seed, store=output, test_samples=test_samples)
    from limitlaw.cli.show import show_dataset

    show_dataset(measured)
    if output is not None:
        print(output)
    _warn_uncertified(measured)


@app.command
def plot(*results: Path, quantity: str | None = None, x: str | None = None, output: Output = None) -> None:
    """Draw theory files and experiment stores on one pair of axes."""
    if not results:
        raise InvalidInput("plot", "results", "one or two files or stores", "none")
    from limitlaw.figures.pictures import require_picture, save_picture
    from limitlaw.studies import load

    target = Path("curve.png") if output is None else output
    require_picture("plot", target)
    loaded = [load(path) for path in results]
    kinds = {str(data.attrs.get("kind")): data for data in loaded}
    if len(kinds) < len(loaded):
        raise InvalidInput(
            "plot", "results", "at most one theory and one experiment", [str(p) for p in results]
        )
    from limitlaw.plots import learning_curve

    axes = learning_curve(kinds.get("theory"), kinds.get("experiment"), quantity, x)
    figure = axes.get_figure(root=True)
    assert figure is not None
    save_picture(figure, target)
    print(target)


@app.command
def figure(
    name: str,
    *,
    scale: str = "quick",
    device: Device = None,
    output: Annotated[Path, Parameter(name=["-o", "--output"])] = Path("figures"),
) -> None:
    """Make a figure of a paper: theory, experiment, picture, table."""
    find("figure", name, FIGURES)
    if scale not in ("quick", "paper"):
        raise UnknownName("scale", scale, ("quick", "paper"))
    _compilation_cache()
    _use_device("figure", device)
    from limitlaw.cli.show import show_table
    from limitlaw.figures import make_figure

    result = make_figure(name, scale, output)
    show_table(result.header, result.rows)
    print(result.path.resolve())


@app.command
def figures(*, names: bool = False) -> None:
    """List the figures that can be made; --names prints bare names."""
    from limitlaw.cli.show import show_table

    if names:
        print("\n".join(FIGURES))
    else:
        show_table(["figure", "content"], [list(item) for item in FIGURES.items()])


@app.command
def check(model: str, *, dim: int | None = None, replicas: int = 24) -> None:
    """Check a model: residuals, gradients, and theory against experiment extrapolated in 1/d."""
    kind = model_class(model)
    from limitlaw.checks import check_model
    from limitlaw.cli.show import show_table

    report = check_model(kind.example(), dim=dim, replicas=replicas)
    show_table(
        ["check", "passed", "measured"], [[e.name, "yes" if e.passed else "NO", e.detail] for e in report]
    )
    if not all(entry.passed for entry in report):
        raise SystemExit(1)


@app.command
def spectra(
    file: Path,
    *,
    layout: str | None = None,
    false_alarm: float = 1e-3,
    bootstraps: int = 100,
    seed: int = 0,
    output: Output = None,
) -> None:
    """Spectra of a saved model's weights against untrained ones: bulk, outliers, tails; -o draws them.

    FILE is .npz, .npy, .safetensors, or a PyTorch state dict where PyTorch is installed.
    """
    if output is not None:
        from limitlaw.figures.pictures import require_picture

        require_picture("spectra", output)
    from limitlaw._diagnose import diagnose
    from limitlaw.cli.show import show_diagnosis

    chosen: Any = layout  # refused with a sentence of its own where it is no layout
    found = diagnose(file, chosen, false_alarm=false_alarm, bootstraps=bootstraps, seed=seed)
    show_diagnosis(found)
    if output is not None:
        from limitlaw.figures.pictures import save_picture
        from limitlaw.plots import weight_spectra

        figure = weight_spectra(found)[0].get_figure(root=True)
        assert figure is not None
        save_picture(figure, output)
        print(output)


@app.command
def predict(
    data: Path,
    *,
    target: str = "y",
    kernel: str | None = None,
    penalty: float | None = None,
    samples: str | None = None,
    loss: str = "square",
    labels: str = "auto",
    method: str = "leverage",
    intercept: bool = True,
    standardise: Annotated[bool, Parameter(negative="")] = False,
    drop_constant: Annotated[bool, Parameter(negative="")] = False,
    check: bool = True,
    subsets: int = 24,
    seed: int = 0,
    output: Output = None,
) -> None:
    """Learning curve of your own data, with checks and a verdict; -o draws it.

    DATA is a .csv with a header, or an .npz with X (or a Gram matrix K) and labels. --kernel is rbf, laplace
    or polynomial, with a length or degree in brackets; --samples 50:2000:20; --loss square or logistic;
    --labels real or classes where whole numbers should not be, or other labels should be, classes.
    """
    if output is not None:
        from limitlaw.figures.pictures import require_picture

        require_picture("predict", output)
    from limitlaw.cli.predictions import model_of, read_request

    request = read_request(data, target, samples, penalty, kernel, loss, standardise, drop_constant, labels)
    _compilation_cache()
    from limitlaw._predict import predict as predicted
    from limitlaw.cli.report_page import left_out, require_prediction, show_report

    report = predicted(
        model_of(request, penalty, intercept, method),
        request.samples,
        check=check,
        subsets=subsets,
        seed=seed,
    )
    require_prediction(report)
    show_report(report)
    if output is not None:
        from limitlaw.figures.pictures import save_picture
        from limitlaw.plots import prediction

        figure = prediction(report)[0].get_figure(root=True)
        assert figure is not None
        save_picture(figure, output)
        print(output)
    for line in left_out(report):
        print(line, file=sys.stderr)


@app.command
def cite(model: str) -> None:
    """The papers behind a model as BibTeX, and where their statements stand."""
    kind = model_class(model)
    for reference in (kind.reference, *kind.related):
        print(reference.bibtex())
        for statement, place in reference.equations.items():
            print(f"% {statement}: {place}")


def _study(model: str, settings: list[str] | None, over: list[str] | None) -> Any:
    find("model", model, MODELS)
    axes = parse_axes(over or [])
    require_set_once(settings or [], axes)
    _compilation_cache()
    from limitlaw.studies import Study

    built = build_model(model, settings or [])
    return Study(built, build_axes(built, axes))


def _compilation_cache() -> None:
    """Keep compiled programs between runs, in the user's cache folder; the library itself does not."""
    # jaxlib 0.10.1 warns of its own pseudo-features at each program that it loads; its errors are exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import jax

    from limitlaw.studies.files import require_writable

    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "limitlaw"
    try:
        require_writable(folder)
    except StoreError:
        return  # a cache saves time and nothing else: without one, JAX would warn at each program
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def _use_device(owner: str, name: str | None) -> None:
    """Compute on the first device of a kind."""
    if name is None:
        return
    import jax

    try:
        jax.config.update("jax_default_device", jax.devices(name)[0])
    except RuntimeError:
        known = sorted({device.platform for device in jax.devices()} | {"cpu"})
        raise InvalidInput(owner, "device", f"one that is there ({', '.join(known)})", repr(name)) from None


def _warn_untrusted(theory: Any) -> None:
    from limitlaw.core.status import Status

    for status in Status:
        count = int((theory["status"] == int(status)).sum())
        if count and status not in (Status.CONVERGED, Status.DIVERGED):
            print(f"{count} points: {status.sentence}", file=sys.stderr)


def _warn_uncertified(measured: Any) -> None:
    from limitlaw.simulation.convex import ACCEPTED

    count = int((measured["certificate"] > ACCEPTED).sum()) if "certificate" in measured else 0
    if count:
        sentence = "training is not certified, and they are left out of the means; try a larger penalty"
        print(f"{count} cells: {sentence}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a mistake is one sentence on the error stream and exit code 2, a failed run 1."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as mistake:
        _stop(str(mistake).strip().replace("\n", " "), 2)
    except (InvalidInput, UnknownName) as mistake:
        _stop(mistake.args[0], 2)
    except LimitlawError as failure:
        _stop(str(failure), 1)
    except OSError as failure:
        _stop(f"{failure.strerror or failure}: {failure.filename or ''}".rstrip(": "), 1)
    except KeyboardInterrupt:
        _stop("interrupted; finished cells are kept", 130)


def _stop(sentence: str, code: int) -> None:
    print(f"limitlaw: {sentence}", file=sys.stderr)
    raise SystemExit(code)
