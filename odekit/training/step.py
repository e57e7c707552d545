"""One optimiser step: gradients in micro-batches that fit the memory, clipping, and a stop at non-finite numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odekit.core.device import is_out_of_memory
from odekit.errors import DeviceError
from odekit.training import distributed, optimiser, seeding
from odekit.training.errors import TrainingError
from odekit.training.prefetch import Prefetcher
from odekit.training.task import Task

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor, nn


@dataclass(frozen=True)
class StepResult:
    """Loss, gradient norm and learning rate of one step."""

    loss: float
    norm: float
    """Gradient norm before clipping."""
    lr: float


class Stepper:
    """The mutable state of a run: model, average of its weights, optimiser, and the size of a micro-batch."""

    def __init__(self, task: Task, model: nn.Module, group: distributed.ProcessGroup) -> None:
        import torch

        self.task, self.model, self.group = task, model, group
        self.options = task.options
        self.averaged = optimiser.averaged_model(model, self.options.optimiser.ema)
        self.local_batch = self.options.batch // group.world_size
        """Pictures per step on this rank."""
        self.micro_batch = self.local_batch
        """Pictures per forward and backward pass; halved when memory runs out."""
        self.precision = distributed.precision(self.options.precision, group.device)
        self.optimiser = optimiser.build_optimiser(model, self.options.optimiser)
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=self.precision == "float16")
        self.forward: Any = torch.compile(model) if self.options.compile else model
        self.batches = Prefetcher(
            lambda step: task.batch(step, group.rank, group.world_size), active=group.device.type != "cpu"
        )
        self.notes: list[str] = []
        """Messages for the user that the loop has not shown yet."""

    def run(self, step: int) -> StepResult:
        """Take step `step` (0-based): gradients, clipping, update of the weights and of their average.

        Raises:
            TrainingError: the loss or the gradient norm is not finite; the weights are as before the step.
            DeviceError: the device cannot hold a single picture.
        """
        o = self.options.optimiser
        lr = optimiser.learning_rate(step, self.options.steps, o)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        loss = self._gradients(step)
        norm = self._clip(o.clip)
        if not math.isfinite(loss) or not (math.isfinite(norm) or self.scaler.is_enabled()):
            raise TrainingError(f"step {step}: the loss is {loss} and the gradient norm {norm}")
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.scaler.is_enabled() and self.scaler.get_scale() < 1e-6:
            raise TrainingError(f"step {step}: float16 gradients overflow at every scale; use precision: bfloat16")
        self.averaged.update_parameters(self.model)
        return StepResult(loss, norm, lr)

    @property
    def average(self) -> nn.Module:
        """The network with the averaged weights."""
        return self.averaged.module

    def _gradients(self, step: int) -> float:
        """Gradients averaged over all ranks; returns the mean loss."""
        batch = self.batches.get(step)
        while True:
            try:
                loss = self._accumulate(batch, step)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.micro_batch == 1:
                    raise DeviceError(
                        f"{self.group.device}: too little memory for a single picture; use a smaller network"
                    ) from None
            self._halve()
        self.group.average_gradients([p.grad for p in self.model.parameters() if p.grad is not None])
        return self.group.mean(loss)

    def _accumulate(self, batch: tuple[Tensor, ...], step: int) -> float:
        """Accumulate this rank's gradients over its micro-batches; returns the mean loss."""
        import torch

        device = self.group.device
        self.optimiser.zero_grad(set_to_none=True)
        self.model.train()
        total = torch.zeros((), device=device)
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            rng = seeding.keyed_generator(self.options.seed, f"dropout-{self.group.rank}", step)
            torch.manual_seed(int(rng.integers(2**62)))
            for start in range(0, self.local_batch, self.micro_batch):
                rows = slice(start, start + self.micro_batch)
                micro_batch = tuple(tensor[rows].to(device, non_blocking=True) for tensor in batch)
                with distributed.autocast(self.precision, device):
                    losses = self.task.losses(self.forward, micro_batch)
                loss = losses.sum() / self.local_batch
                scaled: Any = self.scaler.scale(loss)
                scaled.backward()
                total += loss.detach()
        return float(total)

    def _halve(self) -> None:
        import torch

        self.micro_batch = (self.micro_batch + 1) // 2
        self.optimiser.zero_grad(set_to_none=True)
        if self.group.device.type == "cuda":
            torch.cuda.empty_cache()
        self.notes.append(
            f"out of memory: continuing with {self.micro_batch} pictures per pass, still {self.local_batch} per step"
        )

    def _clip(self, largest: float) -> float:
        """Clip the gradients to this norm; returns the norm before."""
        import torch

        self.scaler.unscale_(self.optimiser)
        return float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), largest))

    def cast(self) -> AbstractContextManager[object]:
        """A mixed-precision context for network calls outside the steps."""
        return distributed.autocast(self.precision, self.group.device)

    def state(self) -> dict[str, Any]:
        """The state for a checkpoint: tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "average": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "piece": self.micro_batch,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load the result of `state`."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.micro_batch = min(int(state["piece"]), self.local_batch)

    def finite(self) -> bool:
        """Whether all weights are finite."""
        import torch

        return all(bool(torch.isfinite(p).all()) for p in self.model.parameters())
