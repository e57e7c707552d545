"""`odekit train`: train the networks that odekit ships, or your own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from odekit.training.data.faces import Faces
    from odekit.training.options.base import Run
    from odekit.training.step import Outcome
    from odekit.training.task import Task

    Kind = TypeVar("Kind", bound=Run)

app = typer.Typer(help="Train a face prior, a face upsampler, an aligner or a mender.", no_args_is_help=True)

Data = Annotated[Path, typer.Argument(help="Folder, tar or npz of aligned faces.")]
Out = Annotated[Path, typer.Option("--output", "-o", help="Folder of the run: weights, log, samples, checkpoint.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML options, such as configs/train/face64.yaml.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder, exactly.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Length of the run, instead of the configured one.")]
Init = Annotated[Path | None, typer.Option("--init", help="Folder of weights to start from.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]


@app.callback()
def _group() -> None:
    """Train a face prior, a face upsampler, an aligner or a mender."""


@app.command()
def prior(
    data: Data,
    output: Out,
    config: Config = None,
    resume: Resume = False,
    steps: Steps = None,
    init: Init = None,
    device: Device = "auto",
) -> None:
    """Train a face prior. Stopped (Ctrl-C, SIGTERM) or killed, it goes on exactly with --resume.

    Example: odekit train prior faces/ -o runs/face64 --config configs/train/face64.yaml

    Several GPUs: accelerate launch --no_python odekit train prior ...
    """
    from odekit.training.options.base import PriorOptions
    from odekit.training.tasks.prior import PriorTask

    _run(PriorOptions, PriorTask, data, output, config, resume, {"steps": steps, "init": init}, device)


@app.command()
def upsampler(
    data: Data,
    output: Out,
    config: Config = None,
    resume: Resume = False,
    steps: Steps = None,
    init: Init = None,
    device: Device = "auto",
) -> None:
    """Train a face upsampler on large aligned faces; its small inputs are made from them.

    Example: odekit train upsampler faces256.tar -o runs/face-x4 --config configs/train/face-x4.yaml
    """
    from odekit.training.options.base import UpsamplerOptions
    from odekit.training.tasks.upsampler import UpsamplerTask

    _run(UpsamplerOptions, UpsamplerTask, data, output, config, resume, {"steps": steps, "init": init}, device)


@app.command()
def aligner(
    data: Data,
    output: Out,
    config: Config = None,
    resume: Resume = False,
    steps: Steps = None,
    init: Init = None,
    device: Device = "auto",
) -> None:
    """Train the aligner that finds a face's points in a box, on aligned faces that are put out of place and damaged.

    Example: odekit train aligner faces128.tar -o runs/aligner --config configs/train/aligner.yaml
    """
    from odekit.training.options.aligner import AlignerOptions
    from odekit.training.tasks.aligner import AlignerTask

    _run(AlignerOptions, AlignerTask, data, output, config, resume, {"steps": steps, "init": init}, device)


@app.command()
def mender(
    data: Data,
    output: Out,
    config: Config = None,
    resume: Resume = False,
    steps: Steps = None,
    init: Init = None,
    device: Device = "auto",
) -> None:
    """Train the network that mends whole photographs, on crops of large faces and scenes that are damaged blindly.

    Example: odekit train mender faces256.tar -o runs/mend --config configs/train/mender.yaml
    """
    from odekit.training.options.scratches import MenderOptions
    from odekit.training.tasks.scratches import MenderTask

    _run(MenderOptions, MenderTask, data, output, config, resume, {"steps": steps, "init": init}, device)


def _run(
    kind: type[Kind], make: Callable[[Faces, Kind], Task], data: Path, output: Path, config: Path | None, resume: bool,
    said: dict[str, Any], device: str,
) -> None:  # fmt: skip
    """Read options and faces, and train what `make` makes of them."""
    from odekit.training import config as read
    from odekit.training.data import faces
    from odekit.training.distributed import muster
    from odekit.training.loop import train

    options = read.options(kind, config, said)
    found = faces.load(data, options.side, options.skip_bad)
    task, team = make(found, options), muster(device)
    with Bar() as bar:
        for note in found.notes if team.rank == 0 else ():
            bar.say(note)
        summary = train(task, output, resume=resume, team=team, watch=bar)
        if team.rank == 0:
            ends = {"done": "done", "early": "stopped: no new best", "interrupted": "interrupted: go on with --resume"}
            bar.say(
                f"{ends[summary.why]} (step {summary.step}); best validation {summary.best:.5f} "
                f"at step {summary.best_step}: {output / 'best'}"
            )


class Bar:
    """Progress of a run on the terminal; it appears when the run begins, so other ranks show none."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, transient=True)
        self.mean: float | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def begin(self, step: int, steps: int) -> None:
        """Show the bar."""
        self.progress.start()
        self.bar = self.progress.add_task("training", completed=step, total=steps)

    def stepped(self, step: int, outcome: Outcome) -> None:
        """Move it; the loss shown is a running mean."""
        self.mean = outcome.loss if self.mean is None else 0.98 * self.mean + 0.02 * outcome.loss
        self.progress.update(self.bar, completed=step, description=f"loss {self.mean:.4f}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
