"""Optimisers, the learning rate schedule, and the average of the weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from odekit.errors import ConfigError
from odekit.training.options.base import OptimiserOptions

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim.swa_utils import AveragedModel

    Tensors = list[Tensor] | tuple[Tensor, ...]


def ema_decay(step: int, width: float) -> float:
    """Decay factor of the average at this step (1, 2, ...): `(1 - 1/step)^(1/width)`.

    Power-function averaging (arXiv:2312.02696, eq. 2, with gamma + 1 = 1/width). Step s has a weight proportional to
    s^gamma in the average, so that the mean age of the average is about `width` times the steps so far. At step 1 the
    average equals the weights.
    """
    return float((1.0 - 1.0 / step) ** (1.0 / width))


def averaged_model(model: nn.Module, width: float) -> AveragedModel:
    """The power-function average of a model's weights, in evaluation mode. Buffers are copied from the model."""
    import torch
    from torch.optim.swa_utils import AveragedModel

    def update(average: Tensors, current: Tensors, steps: Tensor | int) -> None:
        torch._foreach_lerp_(list(average), list(current), 1.0 - ema_decay(int(steps) + 1, width))

    return AveragedModel(model, multi_avg_fn=update).eval().requires_grad_(False)


def learning_rate(step: int, steps: int, options: OptimiserOptions) -> float:
    """The rate at step 0 .. steps - 1: linear warm-up, constant, then decay to `final * lr` at the last step."""
    warmup = min(1.0, (step + 1) / options.warmup) if options.warmup else 1.0
    start = options.decay_from * steps
    if options.decay == "none" or step < start:
        return options.lr * warmup
    done = min(1.0, (step + 1 - start) / (steps - start))
    decay = 1.0 - done if options.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return options.lr * warmup * (options.final + (1.0 - options.final) * decay)


def build_optimiser(network: nn.Module, options: OptimiserOptions) -> Any:
    """A `torch.optim.AdamW` over all weights, or `Muon`."""
    import torch

    o = options
    if o.kind == "muon":
        return Muon(network, o)
    return torch.optim.AdamW(network.parameters(), lr=o.lr, betas=o.betas, weight_decay=o.weight_decay)


class Muon:
    """Orthogonalised momentum (Jordan 2024), with update norms that match AdamW's (arXiv:2502.16982, eq. 4).

    A convolution weight of shape (out, in, h, w) is treated as a matrix (out, in h w). AdamW updates the first and the
    last matrix and all vectors. The class implements the part of `torch.optim.Optimizer` that the training loop and a
    gradient scaler use.
    """

    def __init__(self, network: nn.Module, options: OptimiserOptions) -> None:
        import torch

        if not hasattr(torch.optim, "Muon"):
            raise ConfigError(f"optimiser.kind: muon needs torch 2.9 or newer; torch {torch.__version__} is installed")
        o = options
        self.matrices = [p for p in network.parameters() if p.ndim >= 2][1:-1]
        matrix_ids = {id(p) for p in self.matrices}
        others = [p for p in network.parameters() if id(p) not in matrix_ids]
        # torch's Muon takes matrices only: these views share memory with the weights.
        self.flat = [torch.nn.Parameter(_matrix(p.detach(), p)) for p in self.matrices]
        self.muon = torch.optim.Muon(
            self.flat, lr=o.lr, weight_decay=o.weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(others, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay)
        self.param_groups: list[dict[str, Any]] = [{"params": self.matrices, "lr": o.lr}, *self.adamw.param_groups]

    def step(self) -> None:
        """Update all weights from their gradients."""
        for flat, p in zip(self.flat, self.matrices, strict=True):
            flat.grad = None if p.grad is None else _matrix(p.grad, p)
        self.muon.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self.muon.step()  # type: ignore[no-untyped-call]
        self.adamw.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all weights; `set_to_none` is passed to AdamW."""
        self.adamw.zero_grad(set_to_none)
        for flat, p in zip(self.flat, self.matrices, strict=True):
            flat.grad = p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The states of Muon and AdamW."""
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the states of Muon and AdamW."""
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])
        self.param_groups[1:] = self.adamw.param_groups


def _matrix(values: Tensor, weight: Tensor) -> Tensor:
    """`values` as a matrix (out, the rest), in the memory order of `weight`; for the weight itself, a view."""
    if values.ndim == 4 and not weight.is_contiguous():
        values = values.permute(0, 2, 3, 1)
    return values.reshape(len(values), -1)
