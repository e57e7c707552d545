"""`odekit experiment table1|synergy|sweep|tradeoff|photos`: the paper's experiments on your faces."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from odekit.cli.show import print_message

if TYPE_CHECKING:
    from odekit.evaluation.experiments.methods import RunSettings
    from odekit.evaluation.results import Results

app = typer.Typer(help="The paper's experiments on your faces.", no_args_is_help=True)
Number = TypeVar("Number", int, float)
Faces = Annotated[
    Path | None,
    typer.Option("--faces", help="Folder, tar or npz of clean aligned faces; default: a checkout's 128 test faces."),
]
Split = Annotated[str, typer.Option("--split", help="train, val, test or all.")]
Crop = Annotated[
    str,
    typer.Option("--crop", help="Of CelebA: pixels of the middle square, or template, the alignment of other faces."),
]
Limit = Annotated[int | None, typer.Option("--limit", min=2, help="At most this many faces, spread evenly.")]
Kinds = Annotated[str, typer.Option("--kinds", help="Kinds of damage, separated by commas, or paper: its 20.")]
Severity = Annotated[int, typer.Option("--severity", help="1 (mild) to 5 (severe).")]
Metrics = Annotated[str, typer.Option("--metrics", help="Names, separated by commas.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of damage and restoration.")]
Side = Annotated[int, typer.Option("--side", min=8, help="Side of the damaged faces.")]
Large = Annotated[
    int | None, typer.Option("--reference-side", min=8, help="Side of the clean faces that results are compared with.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option("--precision", help="auto, float32, tf32, bfloat16, float16 or int8.")]
Batch = Annotated[int | None, typer.Option("--batch-size", min=1, help="Images in a network call.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again in a used folder.")]
Page = Annotated[
    Path | None, typer.Option("--page", help="Also write a Markdown page, or the part between its markers.")
]
Report = Annotated[bool, typer.Option("--report", help="Also write OUT/report.html: tables, plots, sliders.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results document.")]


@app.callback()
def group() -> None:
    """The paper's experiments on your faces."""


@app.command()
def table1(
    faces: Faces = None, split: Split = "test", crop: Crop = "140",
    methods: Annotated[
        str, typer.Option("--methods", help="Chains by name or path, or upsamplers; resize changes nothing.")
    ] = "odedit,sdedit,resize",
    against: Annotated[
        str, typer.Option("--against", help="The method that the others are compared with, face by face.")
    ] = "",
    limit: Limit = None, kinds: Kinds = "paper", severity: Severity = 4, metrics: Metrics = "",
    out: Out = Path("table1"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """The paper's Table 1: faces damaged in known ways, restored by each method, measured with intervals.

    The faces get the kinds of damage in turn. Results of another size are resized to the reference's: area means to
    reduce, Lanczos to enlarge. Exit code: 0 when every image was restored and measured, 3 when some failed.

    Example: odekit experiment table1 --faces faces/ --methods odedit,resize --limit 32 -o table1/
    """
    from odekit.evaluation.experiments import table1 as experiment
    from odekit.evaluation.experiments.methods import parse_methods
    from odekit.evaluation.panel import choose

    setting, settings = parse_settings(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json, crop=crop,
    )  # fmt: skip
    chosen, compared = choose(metrics or experiment.METRICS), parse_methods(methods)
    with exit_when_interrupted():
        results = experiment.table1(setting, compared, chosen, settings, out, resume, against)
    finish(results, out, page, report, as_json)


@app.command()
def synergy(
    faces: Faces = None, split: Split = "test",
    upsamplers: Annotated[str, typer.Option("--upsamplers", help="Upsamplers, separated by commas.")] = "face-x4",
    restorer: Annotated[str, typer.Option("--chain", help="The chain before it, by name or path.")] = "odedit",
    limit: Limit = None, kinds: Kinds = "paper", severity: Severity = 4, metrics: Metrics = "",
    out: Out = Path("synergy"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """The paper's Figures 4, 8 and 9: each upsampler alone, after ODEdit, and after a plain blur of the same strength.

    The blur leaves each damaged face as sharp as ODEdit's result (equal gradient energy).

    Example: odekit experiment synergy --faces faces/ --upsamplers face-x4,resize --limit 8 -o synergy/
    """
    from odekit.evaluation.experiments import synergy as experiment
    from odekit.evaluation.experiments.methods import parse_method
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    setting, settings = parse_settings(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json,
    )  # fmt: skip
    parts = [experiment.parse_upsampler(name) for name in upsamplers.split(",") if name.strip()]
    first, chosen = parse_method(restorer), choose(metrics or METRICS)
    with exit_when_interrupted():
        results = experiment.synergy(setting, first, parts, chosen, settings, out, resume)
    finish(results, out, page, report, as_json)


@app.command()
def sweep(
    what: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped sweep.", metavar="SWEEP")],
    faces: Faces = None, split: Split = "test", limit: Limit = 8, metrics: Metrics = "",
    kinds: Annotated[str, typer.Option("--kinds", help="Kinds of damage, instead of those of the file.")] = "",
    out: Out = Path("sweep"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Options of a chain crossed: a table, and a plot of fidelity (PSNR) against realism (SWD).

    Shipped: updates (the paper's Figures 6 and 7), masked (Figure 13), settings (used to choose the defaults).

    Example: odekit experiment sweep updates --faces faces/ --limit 8 -o updates/
    """
    from odekit.evaluation.experiments import sweep as experiment
    from odekit.evaluation.experiments import sweep_file
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    plan = sweep_file.load(what)
    setting, settings = parse_settings(
        faces, split, limit, kinds or ",".join(plan.kinds), plan.severity, seed, side, reference_side, device,
        precision, batch_size, resume, overwrite, quiet=as_json, options="" if kinds else plan.options,
    )  # fmt: skip
    chosen = choose(metrics or METRICS)
    with exit_when_interrupted():
        results = experiment.sweep(plan, setting, chosen, settings, out, resume)
    finish(results, out, page, report, as_json)


@app.command()
def tradeoff(
    faces: Faces = None, split: Split = "test", limit: Limit = 20, kinds: Kinds = "paper", severity: Severity = 4,
    jumps: Annotated[str, typer.Option("--t0", help="Start levels of SDEdit, separated by commas.")] = "",
    calls: Annotated[
        int, typer.Option("--calls", min=1, help="SDEdit is repeated until its calls are nearest to this number.")
    ] = 600,
    temperatures: Annotated[
        str, typer.Option("--temperatures", help="Temperatures of ODEdit beside the default, separated by commas.")
    ] = "",
    prior: Annotated[
        str, typer.Option("--prior", help="A prior by name, as a YAML mapping, or its folder.")
    ] = "face64",
    metrics: Metrics = "",
    out: Out = Path("tradeoff"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """ODEdit against SDEdit at about equal calls: fidelity and realism.

    ODEdit runs with its defaults (600 calls), at other temperatures, and with all updates in the top latent; SDEdit
    runs from several levels t0, on the same faces. The notes compare the nearest settings, with paired 95 % intervals.

    Example: odekit experiment tradeoff --faces faces/ --limit 20 -o tradeoff/
    """
    from odekit.evaluation.experiments import tradeoff as experiment
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    setting, settings = parse_settings(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json,
    )  # fmt: skip
    levels = parse_numbers(int, "--t0", "whole numbers", jumps) or experiment.START_LEVELS
    values = parse_numbers(float, "--temperatures", "numbers", temperatures) or experiment.TEMPERATURES
    odedit = experiment.odedit_methods(values, parse_prior(prior))
    sdedit = experiment.sdedit_methods(levels, calls, parse_prior(prior))
    with exit_when_interrupted():
        results = experiment.tradeoff(
            setting, odedit, sdedit, choose(metrics or METRICS), settings, out, resume
        )  # fmt: skip
    finish(results, out, page, report, as_json)


@app.command()
def photos(
    faces: Faces = None, split: Split = "test",
    methods: Annotated[
        str, typer.Option("--methods", help="Chains by name or path, or upsamplers; resize changes nothing.")
    ] = "odedit-plus",
    damage: Annotated[
        Path | None, typer.Option("--damage", help="YAML file of levels; default: mild, medium and heavy.")
    ] = None,
    limit: Limit = None, metrics: Metrics = "", out: Out = Path("photos"), seed: Seed = 0, side: Side = 256,
    device: Device = "auto", precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False,
    overwrite: Overwrite = False, page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Chains on large faces with the damage of photographs: every face at each level of blur, noise and JPEG.

    Measured by PSNR, LPIPS, face distance and NIQE with intervals, those that are installed; sheets for every level.

    Example: odekit experiment photos --faces faces256/ --methods odedit-plus,codeformer --limit 60 -o photos/
    """
    from odekit.evaluation.experiments import photos as experiment
    from odekit.evaluation.experiments.methods import parse_methods
    from odekit.evaluation.panel import choose

    setting, settings = parse_settings(
        faces, split, limit, experiment.KIND, 3, seed, side, None, device, precision, batch_size, resume, overwrite,
        quiet=as_json, levels=experiment.read_levels(damage),
    )  # fmt: skip
    chosen = choose(metrics) if metrics else experiment.available_metrics(device, print_message)
    with exit_when_interrupted():
        results = experiment.photos(setting, parse_methods(methods), chosen, settings, out, resume)
    finish(results, out, page, report, as_json)


def parse_prior(text: str) -> Any:
    """The value of `--prior` as a chain writes it: a name, a mapping, or that of a folder."""
    from odekit.chains import document

    return {"use": "diffusers", "path": text} if Path(text).is_dir() else document.parse_yaml(text, "--prior").data


def parse_numbers(kind: Callable[[str], Number], option: str, what: str, text: str) -> list[Number]:
    """The numbers of `200,300`; none where the text is empty. Raises ConfigError for anything else."""
    from odekit.errors import ConfigError

    try:
        return [kind(one) for one in text.split(",") if one.strip()]
    except ValueError:
        raise ConfigError(f"{option} {text}: give {what}, separated by commas") from None


def parse_settings(
    faces: Path | None, split: str, limit: int | None, kinds: str, severity: int, seed: int, side: int,
    reference_side: int | None, device: str, precision: str, batch_size: int | None, resume: bool, overwrite: bool,
    quiet: bool, options: str = "", levels: Mapping[str, str] | None = None,
    crop: str = "140",
) -> tuple[Any, RunSettings]:  # fmt: skip
    """The faces with their damage, and how methods are run."""
    from odekit.cli.progress import ProgressBar
    from odekit.errors import ConfigError
    from odekit.evaluation.experiments.methods import RunSettings
    from odekit.evaluation.experiments.setting import Setting, parse_kinds

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; choose one")
    setting = Setting(
        None if faces is None else str(faces), split, limit, parse_kinds(kinds), severity, options, seed, side,
        reference_side, levels or {}, int(crop) if crop.isdecimal() else crop,
    )  # fmt: skip
    command = shlex.join(["odekit", *sys.argv[1:]])
    settings = RunSettings(
        device,
        precision,
        batch_size,
        overwrite,
        command=command,
        report=print_message,
        progress_bar=lambda: ProgressBar(quiet),
    )
    return setting, settings


@contextlib.contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """End a run that was stopped with the exit code of `odekit run`."""
    from odekit.cli.run import EXIT_CODES, STOPPED_EXIT_CODE
    from odekit.evaluation.experiments.methods import Interrupted

    try:
        yield
    except Interrupted as stop:
        print_message(str(stop))
        raise typer.Exit(EXIT_CODES.get(stop.stopped, STOPPED_EXIT_CODE)) from None


def finish(results: Results, out: Path, page: Path | None, report: bool, as_json: bool) -> None:
    """Write the pages, print the results, and exit."""
    from odekit.cli.eval import print_and_exit
    from odekit.evaluation.experiments import markdown
    from odekit.evaluation.report import write_report

    if page is not None:
        markdown.publish(results, out, page)
    if report:
        write_report(results, out)
    print_and_exit(results, as_json)
