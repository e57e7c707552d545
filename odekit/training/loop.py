"""The training loop: steps, looks, checkpoints. The same for every kind of network."""

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
from odekit.training import checkpoint, distributed, log
from odekit.training import log as plot
from odekit.training import run_folder as folders
from odekit.training.errors import TrainingError
from odekit.training.step import Outcome, Stepper
from odekit.training.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Watch(Protocol):
    """Is told how far the run is; it changes nothing."""

    def begin(self, step: int, steps: int) -> None:
        """Training goes from `step` to `steps`."""
        ...

    def stepped(self, step: int, outcome: Outcome) -> None:
        """`step` steps are done."""
        ...

    def say(self, text: str) -> None:
        """Something that a person should know."""
        ...


class Silent:
    """Says nothing."""

    def begin(self, step: int, steps: int) -> None:
        """Nothing."""

    def stepped(self, step: int, outcome: Outcome) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Summary:
    """How a run ended."""

    step: int
    best: float
    """Lowest validation loss."""
    best_step: int
    why: str
    """'done', 'early' (no new best for a while) or 'interrupted'."""


def train(
    task: Task, folder: Path, *, resume: bool = False, team: distributed.Crew | None = None, watch: Watch | None = None
) -> Summary:
    """Train until the steps are done, validation stops improving, or someone interrupts.

    `folder` gets `checkpoint.pt`, `log.csv`, `validation.csv`, `plot.png`, `samples/`, `last/` and `best/` (weights).
    A run killed at any moment and resumed takes the same steps, with the same losses on the same kind of machine.

    Raises:
        ConfigError: the folder holds something else (see `folder.prepare`), or the batch cannot be shared out.
        TrainingError: the loss is no number, or the folder cannot be written.
        DeviceError: a device that is not there, or too small for one picture.
    """
    team = team or distributed.muster()
    if task.options.batch % team.size:
        raise ConfigError(f"batch {task.options.batch} cannot be shared by {team.size} processes; change `batch`")
    going = False
    if team.rank == 0:
        going = folders.prepare(folder, task.options, task.fingerprint, resume)
    going = bool(team.agree(float(going)))
    loop = Loop(task, folder, team, watch if watch and team.rank == 0 else Silent(), going)
    try:
        return loop.run()
    except TrainingError as error:
        raise TrainingError(
            f"{error}; stopped. {folder} keeps the checkpoint of step {loop.saved} and the best weights so far: "
            f"start a new run with a lower optimiser.lr or precision: float32 and init: {folder / 'best'}"
        ) from error
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error}); make room, then go on with --resume") from error


class Loop:
    """A run in progress."""

    def __init__(self, task: Task, folder: Path, team: distributed.Crew, watch: Watch, going: bool) -> None:
        import torch

        self.task, self.folder, self.team, self.watch, self.options = task, folder, team, watch, task.options
        model, before = task.network(start=not going)
        layout = torch.channels_last if self.options.channels_last else torch.contiguous_format
        model = model.to(device=team.device, memory_format=layout)  # type: ignore[call-overload]
        self.stepper = Stepper(task, model, team)
        self.step, self.saved, self.stale = 0, 0, 0
        self.seconds = 0.0
        self.before: dict[str, Any] = {k: before[k] for k in ("samples_seen", "minutes") if k in before}
        self.history: list[dict[str, float]] = []
        self.log = log.Table(folder / "log.csv")
        self.looks = log.Table(folder / "validation.csv")
        if going:
            self._restore()
        elif team.rank == 0:
            self.log.cut(0)
            self.looks.cut(-1)

    @property
    def best(self) -> dict[str, float]:
        """The validation with the lowest loss."""
        return min(self.history, key=lambda look: look["loss"])

    def run(self) -> Summary:
        """From wherever the run is to its end."""
        if not self.history:
            self._look()
            self._save()
        self.watch.begin(self.step, self.options.steps)
        why = "done"
        with stop.flag(self.team.size == 1) as asked:
            while self.step < self.options.steps:
                if self.options.patience is not None and self.stale >= self.options.patience:
                    why = "early"
                    break
                self._advance()
                if asked.stop:
                    why = "interrupted"
                    break
        if self.saved != self.step:
            self._save()
        return Summary(self.step, self.best["loss"], int(self.best["step"]), why)

    def _advance(self) -> None:
        begun = time.perf_counter()
        outcome = self.stepper.run(self.step)
        self.step += 1
        self.seconds += time.perf_counter() - begun
        while self.stepper.notes:
            self.watch.say(self.stepper.notes.pop(0))
        if self.team.rank == 0:
            row = {"step": self.step, "loss": outcome.loss, "norm": outcome.norm, "lr": outcome.lr}
            self.log.add({**row, "pictures": self.step * self.options.batch, "seconds": round(self.seconds, 3)})
        self.watch.stepped(self.step, outcome)
        if self.step % self.options.validate_every == 0 or self.step == self.options.steps:
            self._look()
            self._save()
        elif self.step % self.options.save_every == 0:
            self._save()

    def _look(self) -> None:
        """Validate, draw, and keep the weights that deserve it. Only rank 0 does the work."""
        figures: Mapping[str, float] = {"loss": 0.0}
        if self.team.rank == 0:
            figures = self.task.validate(self.stepper.average, self.stepper.cast())
        loss = self.team.agree(figures["loss"])
        if not math.isfinite(loss):
            raise TrainingError(f"step {self.step}: the validation loss is {loss}")
        known = self.best["loss"] if self.history else math.inf
        better = loss < known
        self.stale = 0 if better else self.stale + 1
        self.history.append({"step": self.step, **figures, "loss": figures["loss"] if self.team.rank == 0 else loss})
        if self.team.rank == 0:
            self.looks.add(self.history[-1])
            self.watch.say(f"step {self.step}: validation {loss:.5f}" + (", best so far" if better else ""))
            self._publish(better)

    def _publish(self, better: bool) -> None:
        places = [self.folder / "last"]
        if better:
            places.append(self.folder / "best")
        if self.options.snapshots:
            places.append(self.folder / "snapshots" / f"{self.step:07d}")
        for place in places:
            self.task.write(place, self.stepper.average, self._facts())
        picture = self.task.sheet(self.stepper.average, self.stepper.cast())
        if picture is not None:
            _picture(self.folder / "samples" / f"{self.step:07d}.png", picture)
        plot.plot_losses(self.log, self.looks, self.folder / "plot.png")

    def _facts(self) -> dict[str, Any]:
        """For train.json: enough for a model card and for a warm start on another machine."""
        settings = json.loads(self.options.model_dump_json(exclude={"init"}))
        here, minutes = self.step * self.options.batch, self.seconds / 60
        return {
            "samples_seen": int(self.before.get("samples_seen", 0)) + here,
            "samples_seen_here": here,
            "minutes": round(float(self.before.get("minutes", 0)) + minutes, 2),
            "minutes_here": round(minutes, 2),
            "steps": self.step,
            "warm_start": self.options.init is not None,
            "settings": settings,
            "validation": self.history,
        }

    def _save(self) -> None:
        """Write the checkpoint. Weights that are no numbers never replace good ones."""
        if not self.stepper.finite():
            raise TrainingError(f"step {self.step}: the weights are no longer numbers")
        self.saved = self.step
        if self.team.rank:
            return
        own = {"step": self.step, "seconds": self.seconds, "stale": self.stale}
        state = {**self.stepper.state(), **own, "history": self.history, "before": self.before}
        checkpoint.save(self.folder, state)

    def _restore(self) -> None:
        state = checkpoint.load(self.folder)
        self.stepper.restore(state)
        self.step, self.seconds, self.stale = int(state["step"]), float(state["seconds"]), int(state["stale"])
        self.history, self.before, self.saved = list(state["history"]), dict(state["before"]), self.step
        if self.team.rank == 0:
            self.log.cut(self.step)
            self.looks.cut(self.step)
            for name in ("best", "last"):
                folders.mend(self.folder / name)


def _picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    write_atomic(data.getvalue(), path)
