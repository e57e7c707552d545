"""Process groups for data-parallel training: one device per process, gradients averaged over the processes."""

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

Precision = Literal["float32", "bfloat16", "float16"]


class ProcessGroup(Protocol):
    """The processes of one training run. Rank 0 writes files and reports progress."""

    rank: int
    world_size: int
    device: torch.device

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient in place by its mean over all ranks."""
        ...

    def mean(self, value: float) -> float:
        """The mean of `value` over all ranks. A collective call: every rank waits for the others."""
        ...

    def broadcast(self, value: float) -> float:
        """The `value` of rank 0, on every rank. A collective call: every rank waits for the others."""
        ...


class SingleProcess:
    """A group of one process on one device."""

    rank = 0
    world_size = 1

    def __init__(self, device: str = "auto") -> None:
        """`device` is auto, cpu, cuda, cuda:N or mps.

        Raises:
            DeviceError: the device is not available.
        """
        import torch

        self.device = torch.device(resolve_device(device))

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """Leave the gradients unchanged: the mean over one process."""

    def mean(self, value: float) -> float:
        """The value itself."""
        return value

    def broadcast(self, value: float) -> float:
        """The value itself."""
        return value


class MultiProcess:
    """Several processes started by `accelerate launch` (or torchrun), one device each.

    Gradients are averaged once per step, explicitly; the network is not wrapped. A process that runs out of memory can
    therefore repeat its forward and backward passes in smaller micro-batches while the others wait.
    """

    def __init__(self, cpu: bool = False) -> None:
        """Join the process group.

        Raises:
            ConfigError: accelerate is not installed.
        """
        try:
            from accelerate import Accelerator  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            raise ConfigError("training on several devices needs accelerate: pip install 'odekit[train]'") from error
        self._accelerator: Any = Accelerator(cpu=cpu)
        self.rank: int = self._accelerator.process_index
        self.world_size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """One all-reduce over all gradients, concatenated."""
        import torch

        flat = self._accelerator.reduce(torch.cat([g.reshape(-1) for g in gradients]), reduction="mean")
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def mean(self, value: float) -> float:
        """An all-reduce of one value."""
        return float(self._accelerator.reduce(self._scalar(value), reduction="mean").item())

    def broadcast(self, value: float) -> float:
        """A broadcast of one value from rank 0."""
        from accelerate.utils import broadcast  # type: ignore[import-not-found,unused-ignore]

        return float(broadcast(self._scalar(value), from_process=0).item())

    def _scalar(self, value: float) -> Tensor:
        import torch

        return torch.tensor([value], dtype=torch.float32, device=self.device)


def join_process_group(device: str = "auto") -> ProcessGroup:
    """The process group of this run: `MultiProcess` if a launcher set WORLD_SIZE above 1, else `SingleProcess`."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return MultiProcess(cpu=device == "cpu")
    return SingleProcess(device)


def precision(wanted: str, device: torch.device) -> Precision:
    """The precision of network calls on `device`. Any `wanted` value but `auto` is returned as it is.

    `auto` is the first that the hardware supports and that is faster than float32: bfloat16, then (on a GPU) float16;
    else float32.
    """
    from odekit.core.precision import is_faster, supported_16bit_types

    if wanted != "auto":
        return wanted  # type: ignore[return-value]
    name = str(device)
    fastest: Any = next((kind for kind in supported_16bit_types(name) if is_faster(kind, name)), "float32")
    return fastest  # type: ignore[no-any-return]


def autocast(kind: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A mixed-precision context for network calls; it has no effect in float32. Use a new one for each call."""
    import contextlib

    import torch

    if kind == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, kind))
