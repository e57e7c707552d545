"""The training loop: steps, validations and checkpoints. The same for every kind of network."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from odekit.core.files import write_atomic
from odekit.errors import ConfigError
from odekit.runs import stop
from odekit.training import checkpoint, distributed, log, run_folder
from odekit.training.errors import TrainingError
from odekit.training.step import Stepper, StepResult
from odekit.training.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Watch(Protocol):
    """Progress callback of `train`. It does not influence the run."""

    def begin(self, step: int, steps: int) -> None:
        """Training starts after `step` completed steps and ends after `steps`."""
        ...

    def step_done(self, step: int, outcome: StepResult) -> None:
        """`step` steps are completed; `outcome` is the result of the last one."""
        ...

    def say(self, text: str) -> None:
        """A message for the user."""
        ...


class NoProgress:
    """A progress callback that shows nothing."""

    def begin(self, step: int, steps: int) -> None:
        """Ignored."""

    def step_done(self, step: int, outcome: StepResult) -> None:
        """Ignored."""

    def say(self, text: str) -> None:
        """Ignored."""


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run."""

    step: int
    """Completed steps."""
    best: float
    """Lowest validation loss."""
    best_step: int
    """The step of the lowest validation loss."""
    why: str
    """'done', 'early' (no new best within `patience` validations) or 'interrupted'."""


def train(
    task: Task,
    folder: Path,
    *,
    resume: bool = False,
    team: distributed.ProcessGroup | None = None,
    watch: Watch | None = None,
) -> TrainingResult:
    """Train until all steps are taken, validation stops improving, or the user interrupts the run.

    Writes `checkpoint.pt`, `log.csv`, `validation.csv`, `plot.png`, `samples/`, and the weights `last/` and `best/`
    to `folder`. A run that was killed at any moment and is resumed takes the same steps, with the same losses on the
    same kind of machine.

    Args:
        task: the network, its data and its loss.
        folder: the folder of the run; new or empty, unless the run is resumed.
        resume: continue the run in `folder`.
        team: the process group; None joins the one of the launcher.
        watch: progress callback; only rank 0 calls it.

    Raises:
        ConfigError: the folder holds other files or another run (see `run_folder.prepare_run_folder`), or the batch is
            not divisible by the number of processes.
        TrainingError: the loss is not finite, or the folder cannot be written.
        DeviceError: the device is not available, or cannot hold a single picture.
    """
    group = team or distributed.join_process_group()
    if task.options.batch % group.world_size:
        raise ConfigError(
            f"batch {task.options.batch} is not divisible by the {group.world_size} processes; change `batch`"
        )
    has_checkpoint = False
    if group.rank == 0:
        has_checkpoint = run_folder.prepare_run_folder(folder, task.options, task.fingerprint, resume)
    has_checkpoint = bool(group.broadcast(float(has_checkpoint)))
    loop = Loop(task, folder, group, watch if watch and group.rank == 0 else NoProgress(), has_checkpoint)
    try:
        return loop.run()
    except TrainingError as error:
        raise TrainingError(
            f"{error}; training stopped. {folder} keeps the checkpoint of step {loop.saved} and the best weights so "
            f"far: start a new run with a lower optimiser.lr or precision: float32 and init: {folder / 'best'}"
        ) from error
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error}); free disk space, then add --resume") from error


class Loop:
    """A run in progress."""

    def __init__(
        self, task: Task, folder: Path, group: distributed.ProcessGroup, watch: Watch, has_checkpoint: bool
    ) -> None:
        import torch

        self.task, self.folder, self.group, self.watch, self.options = task, folder, group, watch, task.options
        model, previous = task.network(start=not has_checkpoint)
        layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        model = model.to(device=group.device, memory_format=layout)  # type: ignore[call-overload]
        self.stepper = Stepper(task, model, group)
        self.step, self.saved = 0, 0
        self.since_best = 0
        """Validations since the one with the lowest loss."""
        self.seconds = 0.0
        self.previous: dict[str, Any] = {k: previous[k] for k in ("samples_seen", "minutes") if k in previous}
        """Totals of the runs before a warm start."""
        self.history: list[dict[str, float]] = []
        self.log = log.CsvLog(folder / "log.csv")
        self.validation_log = log.CsvLog(folder / "validation.csv")
        if has_checkpoint:
            self._restore()
        elif group.rank == 0:
            self.log.cut(0)
            self.validation_log.cut(-1)

    @property
    def best(self) -> dict[str, float]:
        """The validation with the lowest loss."""
        return min(self.history, key=lambda figures: figures["loss"])

    def run(self) -> TrainingResult:
        """Continue to the end of the run."""
        if not self.history:
            self._validate()
            self._save()
        self.watch.begin(self.step, self.options.steps)
        reason = "done"
        with stop.stop_flag(self.group.world_size == 1) as interrupt:
            while self.step < self.options.steps:
                if self.options.patience is not None and self.since_best >= self.options.patience:
                    reason = "early"
                    break
                self._advance()
                if interrupt.stop:
                    reason = "interrupted"
                    break
        if self.saved != self.step:
            self._save()
        return TrainingResult(self.step, self.best["loss"], int(self.best["step"]), reason)

    def _advance(self) -> None:
        """One step, with its log row, and the validation and checkpoint that are due after it."""
        started = time.perf_counter()
        outcome = self.stepper.run(self.step)
        self.step += 1
        self.seconds += time.perf_counter() - started
        while self.stepper.notes:
            self.watch.say(self.stepper.notes.pop(0))
        if self.group.rank == 0:
            row = {"step": self.step, "loss": outcome.loss, "norm": outcome.norm, "lr": outcome.lr}
            self.log.add({**row, "pictures": self.step * self.options.batch, "seconds": round(self.seconds, 3)})
        self.watch.step_done(self.step, outcome)
        if self.step % self.options.validate_every == 0 or self.step == self.options.steps:
            self._validate()
            self._save()
        elif self.step % self.options.save_every == 0:
            self._save()

    def _validate(self) -> None:
        """Validate on rank 0 and write weights, samples and plot there. Every rank learns the loss."""
        figures: Mapping[str, float] = {"loss": 0.0}
        if self.group.rank == 0:
            figures = self.task.validate(self.stepper.average, self.stepper.cast())
        loss = self.group.broadcast(figures["loss"])
        if not math.isfinite(loss):
            raise TrainingError(f"step {self.step}: the validation loss is {loss}")
        lowest = self.best["loss"] if self.history else math.inf
        improved = loss < lowest
        self.since_best = 0 if improved else self.since_best + 1
        self.history.append({"step": self.step, **figures, "loss": figures["loss"] if self.group.rank == 0 else loss})
        if self.group.rank == 0:
            self.validation_log.add(self.history[-1])
            self.watch.say(f"step {self.step}: validation {loss:.5f}" + (", best so far" if improved else ""))
            self._publish(improved)

    def _publish(self, improved: bool) -> None:
        """Write the averaged weights, a sample sheet and the plot."""
        folders = [self.folder / "last"]
        if improved:
            folders.append(self.folder / "best")
        if self.options.snapshots:
            folders.append(self.folder / "snapshots" / f"{self.step:07d}")
        for folder in folders:
            self.task.write(folder, self.stepper.average, self._facts())
        sheet = self.task.sheet(self.stepper.average, self.stepper.cast())
        if sheet is not None:
            _write_png(self.folder / "samples" / f"{self.step:07d}.png", sheet)
        log.plot_losses(self.log, self.validation_log, self.folder / "plot.png")

    def _facts(self) -> dict[str, Any]:
        """The content of train.json: enough for a model card and for a warm start on another machine."""
        settings = json.loads(self.options.model_dump_json(exclude={"init"}))
        samples, minutes = self.step * self.options.batch, self.seconds / 60
        return {
            "samples_seen": int(self.previous.get("samples_seen", 0)) + samples,
            "samples_seen_here": samples,
            "minutes": round(float(self.previous.get("minutes", 0)) + minutes, 2),
            "minutes_here": round(minutes, 2),
            "steps": self.step,
            "warm_start": self.options.init is not None,
            "settings": settings,
            "validation": self.history,
        }

    def _save(self) -> None:
        """Write the checkpoint. Weights that are not finite never replace good ones."""
        if not self.stepper.finite():
            raise TrainingError(f"step {self.step}: the weights are no longer finite")
        self.saved = self.step
        if self.group.rank:
            return
        progress = {"step": self.step, "seconds": self.seconds, "stale": self.since_best}
        state = {**self.stepper.state(), **progress, "history": self.history, "before": self.previous}
        checkpoint.save(self.folder, state)

    def _restore(self) -> None:
        """Continue from the checkpoint. Log rows after it are dropped: their steps are taken again."""
        state = checkpoint.load(self.folder)
        self.stepper.restore(state)
        self.step, self.seconds, self.since_best = int(state["step"]), float(state["seconds"]), int(state["stale"])
        self.history, self.previous, self.saved = list(state["history"]), dict(state["before"]), self.step
        if self.group.rank == 0:
            self.log.cut(self.step)
            self.validation_log.cut(self.step)
            for name in ("best", "last"):
                run_folder.repair_replacement(self.folder / name)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    write_atomic(data.getvalue(), path)
