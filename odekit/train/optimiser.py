"""The optimisers of a run: AdamW, or Muon for the matrices of the network and AdamW for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odekit.errors import ConfigError
from odekit.train.options import Optimiser

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(network: nn.Module, options: Optimiser) -> Any:
    """A `torch.optim.AdamW` over all weights, or `Muon`."""
    import torch

    o = options
    if o.kind == "muon":
        return Muon(network, o)
    return torch.optim.AdamW(network.parameters(), lr=o.lr, betas=o.betas, weight_decay=o.weight_decay)


class Muon:
    """Momentum whose matrices are made orthogonal (Jordan 2024), as long a step as AdamW's (arXiv:2502.16982, eq. 4).

    A convolution of shape (out, in, h, w) is a matrix of (out, in h w). The first and the last matrix, and whatever is
    a vector, go by AdamW. Has what the training loop and a gradient scaler use of a `torch.optim.Optimizer`.
    """

    def __init__(self, network: nn.Module, options: Optimiser) -> None:
        import torch

        if not hasattr(torch.optim, "Muon"):
            raise ConfigError(f"optimiser.kind: muon needs torch 2.9 or newer, this is {torch.__version__}")
        o = options
        self.matrices = [p for p in network.parameters() if p.ndim >= 2][1:-1]
        chosen = {id(p) for p in self.matrices}
        others = [p for p in network.parameters() if id(p) not in chosen]
        # torch's Muon takes matrices only: these share their memory with the weights.
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
        """Forget the gradients."""
        self.adamw.zero_grad(set_to_none)
        for flat, p in zip(self.flat, self.matrices, strict=True):
            flat.grad = p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of both."""
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])
        self.param_groups[1:] = self.adamw.param_groups


def _matrix(values: Tensor, weight: Tensor) -> Tensor:
    """`values` as (out, the rest) in the order in which `weight` lies in memory; of the weight itself a view."""
    if values.ndim == 4 and not weight.is_contiguous():
        values = values.permute(0, 2, 3, 1)
    return values.reshape(len(values), -1)
