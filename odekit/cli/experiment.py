"""`odekit bench table1|synergy|sweep|tradeoff`: the paper's experiments on faces of your own."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from odekit.evaluation.experiments.methods import How
    from odekit.evaluation.results import Results


def named(text: str) -> Any:
    """What a chain would say for `--prior`: a name, a mapping, or the folder of one."""
    from odekit.chains import document

    return {"use": "diffusers", "path": text} if Path(text).is_dir() else document.parse(text, "--prior").data


Number = TypeVar("Number", int, float)
Faces = Annotated[
    Path | None,
    typer.Option("--faces", help="Folder, tar or npz of clean aligned faces; the 128 test faces of a checkout."),
]
Split = Annotated[str, typer.Option("--split", help="train, val, test or all.")]
Limit = Annotated[int | None, typer.Option("--limit", min=2, help="At most this many faces, taken evenly.")]
Kinds = Annotated[str, typer.Option("--kinds", help="Kinds of damage with commas between, or paper: its 20.")]
Severity = Annotated[int, typer.Option("--severity", help="1 (mild) to 5 (severe).")]
Metrics = Annotated[str, typer.Option("--metrics", help="Names with commas between.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of damage and restoration.")]
Side = Annotated[int, typer.Option("--side", min=8, help="Side of the damaged faces.")]
Large = Annotated[
    int | None, typer.Option("--reference-side", min=8, help="Side of the clean faces that results are held against.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[str, typer.Option("--precision", help="auto, float32, tf32, bfloat16 or float16.")]
Batch = Annotated[int | None, typer.Option("--batch-size", min=1, help="Slots of every network call.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what an interrupted run left.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start afresh in a used folder.")]
Page = Annotated[Path | None, typer.Option("--page", help="Also write the page of Markdown here.")]
Report = Annotated[bool, typer.Option("--report", help="Also write OUT/report.html: tables, plots, sliders.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results document.")]


def table1(
    faces: Faces = None, split: Split = "test",
    methods: Annotated[
        str, typer.Option("--methods", help="Chains by name or path, or upsamplers; resize changes nothing.")
    ] = "odedit,sdedit,resize",
    limit: Limit = None, kinds: Kinds = "paper", severity: Severity = 4, metrics: Metrics = "",
    out: Out = Path("table1"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """The paper's Table 1: faces damaged in known ways, restored by each method, measured with intervals.

    The faces have the kinds of damage in turn. Results of another size are brought to the reference's: area means down,
    Lanczos up. Exit code: 0 when every picture was restored and measured, 3 when some failed.

    Example: odekit bench table1 --faces faces/ --methods odedit,resize --limit 32 -o table1/
    """
    from odekit.evaluation.experiments import table1 as bench
    from odekit.evaluation.experiments.methods import contenders
    from odekit.evaluation.panel import choose

    setting, how = arranged(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json,
    )  # fmt: skip
    chosen, found = choose(metrics or bench.METRICS), contenders(methods)
    with stoppable():
        results = bench.table1(setting, found, chosen, how, out, resume)
    close(results, out, page, report, as_json)


def synergy(
    faces: Faces = None, split: Split = "test",
    upsamplers: Annotated[str, typer.Option("--upsamplers", help="Upsamplers with commas between.")] = "face-x4",
    restorer: Annotated[str, typer.Option("--chain", help="The chain that goes before, by name or path.")] = "odedit",
    limit: Limit = None, kinds: Kinds = "paper", severity: Severity = 4, metrics: Metrics = "",
    out: Out = Path("synergy"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """The paper's Figures 4, 8 and 9: each upsampler alone, after ODEdit, and after a plain blur of the same strength.

    The blur leaves each damaged face as sharp as ODEdit's result (equal gradient energy).

    Example: odekit bench synergy --faces faces/ --upsamplers face-x4,resize --limit 8 -o synergy/
    """
    from odekit.evaluation.experiments.methods import contender
    from odekit.evaluation.experiments.synergy import synergy as bench
    from odekit.evaluation.experiments.synergy import upsampler
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    setting, how = arranged(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json,
    )  # fmt: skip
    found = [upsampler(name) for name in upsamplers.split(",") if name.strip()]
    first, chosen = contender(restorer), choose(metrics or METRICS)
    with stoppable():
        results = bench(setting, first, found, chosen, how, out, resume)
    close(results, out, page, report, as_json)


def sweep(
    what: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped sweep.", metavar="SWEEP")],
    faces: Faces = None, split: Split = "test", limit: Limit = 8, metrics: Metrics = "",
    kinds: Annotated[str, typer.Option("--kinds", help="Other damage than the file's.")] = "",
    out: Out = Path("sweep"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Options of a chain crossed: a table, and a plot of fidelity (PSNR) against realism (SWD).

    Shipped: updates (the paper's Figures 6 and 7), masked (Figure 13), settings (by which the defaults were chosen).

    Example: odekit bench sweep updates --faces faces/ --limit 8 -o updates/
    """
    from odekit.evaluation.experiments import sweep_file
    from odekit.evaluation.experiments.sweep import sweep as bench
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    plan = sweep_file.load(what)
    setting, how = arranged(
        faces, split, limit, kinds or ",".join(plan.kinds), plan.severity, seed, side, reference_side, device,
        precision, batch_size, resume, overwrite, quiet=as_json, options="" if kinds else plan.options,
    )  # fmt: skip
    chosen = choose(metrics or METRICS)
    with stoppable():
        results = bench(plan, setting, chosen, how, out, resume)
    close(results, out, page, report, as_json)


def tradeoff(
    faces: Faces = None, split: Split = "test", limit: Limit = 20, kinds: Kinds = "paper", severity: Severity = 4,
    jumps: Annotated[str, typer.Option("--t0", help="Levels of SDEdit, with commas between.")] = "",
    calls: Annotated[
        int, typer.Option("--calls", min=1, help="SDEdit is repeated so that its calls come nearest to these.")
    ] = 600,
    temperatures: Annotated[
        str, typer.Option("--temperatures", help="Of ODEdit's updates, beside the default; with commas between.")
    ] = "",
    prior: Annotated[
        str, typer.Option("--prior", help="A prior by name, as a YAML mapping, or the folder of one.")
    ] = "face64",
    metrics: Metrics = "",
    out: Out = Path("tradeoff"), seed: Seed = 0, side: Side = 64, reference_side: Large = None, device: Device = "auto",
    precision: Precision = "auto", batch_size: Batch = None, resume: Resume = False, overwrite: Overwrite = False,
    page: Page = None, report: Report = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """ODEdit against SDEdit at about equal calls: who is more faithful, who more believable, and who has both.

    ODEdit with its defaults (600 calls), at other temperatures, and with all updates in the top latent; and SDEdit at
    several levels t0; all on the same faces. The notes name the fair rivals and say who is ahead, with paired 95 %
    intervals.

    Example: odekit bench tradeoff --faces faces/ --limit 20 -o tradeoff/
    """
    from odekit.evaluation.experiments import tradeoff as bench
    from odekit.evaluation.experiments.table1 import METRICS
    from odekit.evaluation.panel import choose

    pass  # SELF

    setting, how = arranged(
        faces, split, limit, kinds, severity, seed, side, reference_side, device, precision, batch_size, resume,
        overwrite, quiet=as_json,
    )  # fmt: skip
    levels = numbers(int, "--t0", "whole numbers", jumps) or bench.JUMPS
    heat = numbers(float, "--temperatures", "numbers", temperatures) or bench.TEMPERATURES
    mine, theirs = bench.ours(heat, named(prior)), bench.rivals(levels, calls, named(prior))
    with stoppable():
        results = bench.tradeoff(setting, mine, theirs, choose(metrics or METRICS), how, out, resume)
    close(results, out, page, report, as_json)


def numbers(kind: Callable[[str], Number], option: str, what: str, text: str) -> list[Number]:
    """`200,300` as numbers of a kind; none where the text is empty. Raises ConfigError: what is none."""
    from odekit.errors import ConfigError

    try:
        return [kind(one) for one in text.split(",") if one.strip()]
    except ValueError:
        raise ConfigError(f"{option} {text}: give {what} with commas between") from None


def arranged(
    faces: Path | None, split: str, limit: int | None, kinds: str, severity: int, seed: int, side: int,
    reference_side: int | None, device: str, precision: str, batch_size: int | None, resume: bool, overwrite: bool,
    quiet: bool, options: str = "",
) -> tuple[Any, How]:  # fmt: skip
    """What is damaged, and how methods are run."""
    from odekit.cli.run import Bar
    from odekit.errors import ConfigError
    from odekit.evaluation.experiments.methods import How
    from odekit.evaluation.experiments.setting import Setting, parse_kinds

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; choose one")
    setting = Setting(
        None if faces is None else str(faces), split, limit, parse_kinds(kinds), severity, options, seed, side,
        reference_side,
    )  # fmt: skip
    command = shlex.join(["odekit", *sys.argv[1:]])
    how = How(device, precision, batch_size, overwrite, command=command, tell=told, progress=lambda: Bar(quiet))
    return setting, how


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """A run that was stopped ends with the exit code of `odekit run`."""
    from odekit.cli.run import EXIT_CODES, STOPPED
    from odekit.evaluation.experiments.methods import Interrupted

    try:
        yield
    except Interrupted as stop:
        sys.stderr.write(f"odekit: {stop}\n")
        raise typer.Exit(EXIT_CODES.get(stop.stopped, STOPPED)) from None


def told(text: str) -> None:
    """What goes on, on stderr."""
    sys.stderr.write(f"odekit: {text}\n")


def close(results: Results, out: Path, page: Path | None, report: bool, as_json: bool) -> None:
    """Print the tables or the document, write the pages, and end with the exit code."""
    from odekit.cli.eval import show
    from odekit.cli.show import print_json, print_table
    from odekit.evaluation import tables
    from odekit.evaluation.experiments import markdown
    from odekit.evaluation.report import write_report

    if page is not None:
        markdown.publish(results, out, page)
    if report:
        write_report(results, out)
    if as_json:
        print_json(results.tree())
    else:
        show(results)
        for quote in results.quotes:
            print_table(f"\n{quote.source}: on other data, for orientation", *tables.printed(quote.rows))
    for problem in results.problems:
        sys.stderr.write(f"odekit: {problem}\n")
    raise typer.Exit(3 if results.problems else 0)
