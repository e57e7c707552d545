"""The process or processes that train together: one device each, gradients averaged between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from odekit.core.device import resolve_device
from odekit.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import torch
    from torch import Tensor


class Crew(Protocol):
    """Who trains. `rank` 0 writes files and reports."""

    rank: int
    size: int
    device: torch.device

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the crew, in place."""
        ...

    def mean(self, value: float) -> float:
        """The mean of every rank's value (all wait for it)."""
        ...

    def agree(self, value: float) -> float:
        """The value of rank 0, on every rank (all wait for it)."""
        ...


class Alone:
    """One process on one device."""

    rank = 0
    size = 1

    def __init__(self, device: str = "auto") -> None:
        """`device` is auto, cpu, cuda, cuda:N or mps. Raises DeviceError where it is not there."""
        import torch

        self.device = torch.device(resolve_device(device))

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Nothing to do: the mean over one."""

    def mean(self, value: float) -> float:
        """The value itself."""
        return value

    def agree(self, value: float) -> float:
        """The value itself."""
        return value


class Together:
    """Several processes started by `accelerate launch` (or torchrun), one device each.

    Gradients are averaged once per step by hand rather than by wrapping the network: so a process that runs out of
    memory can repeat its part with smaller pieces while the others wait.
    """

    def __init__(self, cpu: bool = False) -> None:
        """Join the crew.

        Raises:
            ConfigError: accelerate is not installed.
        """
        try:
            from accelerate import Accelerator  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise ConfigError("training on several devices needs accelerate: pip install 'odekit[train]'") from error
        self._accelerator: Any = Accelerator(cpu=cpu)
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    def average(self, gradients: Sequence[Tensor]) -> None:
        """One all-reduce over all gradients laid end to end."""
        import torch

        flat = self._accelerator.reduce(torch.cat([g.reshape(-1) for g in gradients]), reduction="mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def mean(self, value: float) -> float:
        """All-reduced."""
        return float(self._accelerator.reduce(self._number(value), reduction="mean").item())

    def agree(self, value: float) -> float:
        """Broadcast from rank 0."""
        from accelerate.utils import broadcast  # type: ignore[import-not-found,unused-ignore]

        return float(broadcast(self._number(value), from_process=0).item())

    def _number(self, value: float) -> Tensor:
        import torch

        return torch.tensor([value], dtype=torch.float32, device=self.device)


def muster(device: str = "auto") -> Crew:
    """The crew of this process: `Together` under a launcher that started several processes, else `Alone`."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Together(cpu=device == "cpu")
    return Alone(device)


Precision = Literal["float32", "bfloat16", "float16"]


def precision(wanted: str, device: torch.device) -> Precision:
    """What `auto` means here: bfloat16, else float16 on a GPU, where the hardware has it and it is faster; float32."""
    from odekit.core.precision import candidates, faster

    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    name = str(device)
    found: Any = next((kind for kind in candidates(name) if faster(kind, name)), "float32")
    return found  # type: ignore[no-any-return]


def autocast(kind: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision for network calls; nothing in float32. Enter it anew for each call."""
    import contextlib

    import torch

    if kind == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, kind))
