"""One optimiser step: gradients in pieces that fit the memory, clipping, and a stop where numbers end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odekit.errors import DeviceError
from odekit.training import distributed as crews
from odekit.training import optimiser, seeding
from odekit.training.errors import TrainingError
from odekit.training.prefetch import Ahead
from odekit.training.task import Task

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


@dataclass(frozen=True)
class Outcome:
    """What one step did."""

    loss: float
    norm: float
    """Gradient norm before clipping."""
    lr: float


class Stepper:
    """The moving parts of a run: model, average of its weights, optimiser, and the size of the pieces."""

    def __init__(self, task: Task, model: nn.Module, crew: crews.Crew) -> None:
        import torch

        self.task, self.model, self.crew = task, model, crew
        self.options = task.options
        self.averaged = optimiser.averaged(model, self.options.optimiser.ema)
        self.part = self.options.batch // crew.size
        """Pictures of a step that belong to this process."""
        self.piece = self.part
        """How many of them go through the network at once; halved when memory runs out."""
        self.precision = crews.precision(self.options.precision, crew.device)
        self.optimiser = optimiser.build(model, self.options.optimiser)
        self.scaler = torch.amp.GradScaler(crew.device.type, enabled=self.precision == "float16")
        self.forward: Any = torch.compile(model) if self.options.compile else model
        self.batches = Ahead(lambda s: task.batch(s, crew.rank, crew.size), active=crew.device.type != "cpu")
        self.notes: list[str] = []

    def run(self, step: int) -> Outcome:
        """Take step `step` (0-based): gradients, clipping, update, average.

        Raises:
            TrainingError: the loss or the gradient is no number; the weights are as before the step.
            DeviceError: not even one picture fits the memory.
        """
        o = self.options.optimiser
        lr = optimiser.learning_rate(step, self.options.steps, o)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        loss = self._gradients(step)
        norm = self._norm(o.clip)
        if not math.isfinite(loss) or not (math.isfinite(norm) or self.scaler.is_enabled()):
            raise TrainingError(f"step {step}: the loss is {loss} and the gradient norm {norm}")
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < 1e-6:
            raise TrainingError(f"step {step}: float16 gradients overflow at every scale; use precision: bfloat16")
        self.averaged.update_parameters(self.model)
        return Outcome(loss, norm, lr)

    @property
    def average(self) -> nn.Module:
        """The network with the averaged weights."""
        return self.averaged.module

    def _gradients(self, step: int) -> float:
        rows = self.batches.get(step)
        while True:
            try:
                loss = self._pieces(rows, step)
                break
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                if self.piece == 1:
                    raise DeviceError(
                        f"{self.crew.device}: not even one picture fits; make the network smaller"
                    ) from None
            self._halve()
        self.crew.average([p.grad for p in self.model.parameters() if p.grad is not None])
        return self.crew.mean(loss)

    def _pieces(self, rows: tuple[Tensor, ...], step: int) -> float:
        import torch

        device = self.crew.device
        self.optimiser.zero_grad(set_to_none=True)
        self.model.train()
        total = torch.zeros((), device=device)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(
                int(seeding.generator(self.options.seed, f"dropout-{self.crew.rank}", step).integers(2**62))
            )
            for start in range(0, self.part, self.piece):
                piece = tuple(r[start : start + self.piece].to(device, non_blocking=True) for r in rows)
                with crews.autocast(self.precision, device):
                    losses = self.task.losses(self.forward, piece)
                loss = losses.sum() / self.part
                scaled: Any = self.scaler.scale(loss)
                scaled.backward()
                total += loss.detach()
        return float(total)

    def _halve(self) -> None:
        import torch

        self.piece = (self.piece + 1) // 2
        self.optimiser.zero_grad(set_to_none=True)
        if self.crew.device.type == "cuda":
            torch.cuda.empty_cache()
        self.notes.append(
            f"out of memory: going on with {self.piece} pictures at a time, the same {self.part} per step"
        )

    def _norm(self, clip: float) -> float:
        import torch

        self.scaler.unscale_(self.optimiser)
        return float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip))

    def cast(self) -> AbstractContextManager[object]:
        """Mixed precision for calls outside the steps."""
        return crews.autocast(self.precision, self.crew.device)

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold of this: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "piece": self.piece,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put everything back."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.piece = min(int(state["piece"]), self.part)

    def finite(self) -> bool:
        """All weights are numbers."""
        import torch

        return all(bool(torch.isfinite(p).all()) for p in self.model.parameters())


def out_of_memory(error: RuntimeError) -> bool:
    """The error says that the device's memory (or the machine's) ran out."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
