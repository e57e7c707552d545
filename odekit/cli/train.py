"""`odekit train`: train the networks of odekit on your own data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from odekit.core.text import visible_line

if TYPE_CHECKING:
    from odekit.training.data.faces import Faces
    from odekit.training.options.base import RunOptions
    from odekit.training.step import StepResult
    from odekit.training.task import Task

    Kind = TypeVar("Kind", bound=RunOptions)

app = typer.Typer(
    help="Train a face prior, a face upsampler, a face aligner or a scratch detector.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Argument(help="Folder, tar or npz of aligned faces; or a folder with CelebA.")]
Out = Annotated[Path, typer.Option("--output", "-o", help="Output folder: weights, log, samples, checkpoint.")]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML options: a file, or the name of a shipped one.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in the output folder exactly.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Number of steps; overrides the configuration.")]
Init = Annotated[Path | None, typer.Option("--init", help="Folder of weights to start from.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]


class TrainCommand(NamedTuple):
    """A command of `odekit train`: its help, and the option model and task that it runs, as module:attribute."""

    help: str
    options: str
    task: str


COMMANDS = {
    "prior": TrainCommand(
        """Train a face prior. After Ctrl-C, SIGTERM or a kill, --resume continues exactly.

        Example: odekit train prior faces/ -o runs/face64 --config face64

        The paper's prior: odekit train prior CELEBA -o runs/celeba64 --config celeba64-paper

        Several GPUs: accelerate launch --no_python odekit train prior ...
        """,
        "odekit.training.options.base:PriorOptions",
        "odekit.training.tasks.prior:PriorTask",
    ),
    "upsampler": TrainCommand(
        """Train a face upsampler on large aligned faces; the small inputs are computed from them.

        Example: odekit train upsampler faces256.tar -o runs/face-x4 --config configs/train/face-x4.yaml
        """,
        "odekit.training.options.base:UpsamplerOptions",
        "odekit.training.tasks.upsampler:UpsamplerTask",
    ),
    "guided": TrainCommand(
        """Train a face upsampler that sees the original face beside the restored one, on large aligned faces.

        Example: odekit train guided faces256.tar -o runs/face-guided --config configs/train/face-guided.yaml
        """,
        "odekit.training.options.guided:GuidedOptions",
        "odekit.training.tasks.guided:GuidedTask",
    ),
    "aligner": TrainCommand(
        """Train the aligner, which locates facial landmarks in a box, on aligned faces, displaced and damaged.

        Example: odekit train aligner faces128.tar -o runs/aligner --config configs/train/aligner.yaml
        """,
        "odekit.training.options.aligner:AlignerOptions",
        "odekit.training.tasks.aligner:AlignerTask",
    ),
    "mender": TrainCommand(
        """Train the scratch detector for scans of prints, on faces and scenes with drawn damage and lookalikes.

        Example: odekit train mender faces256.tar -o runs/mend --config configs/train/mender.yaml
        """,
        "odekit.training.options.scratches:ScratchOptions",
        "odekit.training.tasks.scratches:ScratchTask",
    ),
}


def add_command(name: str, command: TrainCommand) -> None:
    """Add a command to `odekit train`; its modules are imported when it runs."""

    def train_network(
        data: Data,
        output: Out,
        config: Config = None,
        resume: Resume = False,
        steps: Steps = None,
        init: Init = None,
        device: Device = "auto",
    ) -> None:
        from odekit.plugins.catalog import resolve

        options, task = (resolve(target, f"odekit train {name}") for target in (command.options, command.task))
        _run(options, task, data, output, config, resume, {"steps": steps, "init": init}, device)

    app.command(name, help=inspect.cleandoc(command.help))(train_network)


for command_name, train_command in COMMANDS.items():
    add_command(command_name, train_command)


def _run(
    kind: type[Kind], make_task: Callable[[Faces, Kind], Task], data: Path, output: Path, config: Path | None,
    resume: bool, overrides: dict[str, Any], device: str,
) -> None:  # fmt: skip
    """Load options and faces, and train the task that `make_task` creates from them."""
    from odekit.training import config as configuration
    from odekit.training.data import faces
    from odekit.training.distributed import join_process_group
    from odekit.training.loop import train

    options = configuration.load_options(kind, config, overrides)
    dataset = faces.load(data, options.side, options.skip_bad, options.crop)
    task, team = make_task(dataset, options), join_process_group(device)
    with TrainingBar() as bar:
        for note in dataset.notes if team.rank == 0 else ():
            bar.say(note)
        summary = train(task, output, resume=resume, team=team, watch=bar)
        if team.rank == 0:
            outcomes = {
                "done": "done",
                "early": "stopped early: the validation loss no longer improves",
                "interrupted": "interrupted: continue with --resume",
            }
            bar.say(
                f"{outcomes[summary.why]} (step {summary.step}); best validation {summary.best:.5f} "
                f"at step {summary.best_step}: {output / 'best'}"
            )


class TrainingBar:
    """Progress bar of a training run; it appears when the run begins, so only the first process shows one."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, transient=True)
        self.mean: float | None = None

    def __enter__(self) -> TrainingBar:
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def begin(self, step: int, steps: int) -> None:
        """Show the bar."""
        self.progress.start()
        self.bar = self.progress.add_task("training", completed=step, total=steps)

    def step_done(self, step: int, outcome: StepResult) -> None:
        """Update the bar; the displayed loss is a running mean."""
        self.mean = outcome.loss if self.mean is None else 0.98 * self.mean + 0.02 * outcome.loss
        self.progress.update(self.bar, completed=step, description=f"loss {self.mean:.4f}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(visible_line(text), markup=False, highlight=False, soft_wrap=True)
