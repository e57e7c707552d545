"""Estimates the memory that a network needs for a size, without running it, and compares it with the free memory."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odekit.errors import InputError
from odekit_realesrgan.network import Descriptor

if TYPE_CHECKING:
    import torch

PROBE_SIDE = 64
"""Side of the picture for the estimate, in pixels."""
WORKSPACE_FACTOR = 1.75
"""Factor for the workspace of libraries (layout conversions): 1.67 measured on a CPU with RRDBNet x2 and x4."""
DEFAULT_BYTES_PER_PIXEL = 16_000.0
"""Bytes per pixel without an estimate: slightly more than RRDBNet x4 needs."""
RESULT_BYTES_PER_PIXEL = 24.0
"""Bytes per pixel of a result: float32, three channels, and one copy."""
TILE_SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)
"""Tile sides for the advice in messages."""


def bytes_per_pixel(descriptor: Descriptor) -> float:
    """Peak memory of a forward pass in bytes per input pixel, in the network's precision.

    The network runs on torch's meta device, which has only shapes. The peak of the allocated bytes is multiplied by
    `WORKSPACE_FACTOR`. Networks that cannot run on the meta device get `DEFAULT_BYTES_PER_PIXEL`.
    """
    import torch
    from torch.func import functional_call
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.live = self.peak = 0
            self.seen: set[int] = set()

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(out):
                if isinstance(tensor, torch.Tensor):
                    self.add_storage(tensor.untyped_storage())
            return out

        def add_storage(self, storage: torch.UntypedStorage) -> None:
            key, size = storage._cdata, storage.nbytes()
            if key not in self.seen:
                self.seen.add(key)
                self.live += size
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self.remove_storage, key, size)

        def remove_storage(self, key: int, size: int) -> None:
            self.seen.discard(key)
            self.live -= size

    model = descriptor.model
    tensors = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    picture = torch.empty(1, descriptor.input_channels, PROBE_SIDE, PROBE_SIDE, dtype=descriptor.dtype, device="meta")
    counter = PeakMemory()
    try:
        with torch.no_grad(), counter:
            functional_call(model, tensors, (picture,))
    except Exception:  # any operation may fail on the meta device
        return DEFAULT_BYTES_PER_PIXEL
    return WORKSPACE_FACTOR * counter.peak / PROBE_SIDE**2


def free_bytes(device: str) -> float:
    """Free memory of a device in bytes."""
    import torch

    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(torch.device(device))[0])
    import psutil

    return float(psutil.virtual_memory().available)


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory estimate for a batch of pictures."""

    name: str
    """Name of the upsampler."""
    pictures: str
    """Description of the input, for messages."""
    rows: int
    height: int
    width: int
    """Batch size, height and width of a network call."""
    result: float
    """Number of pixels of all results."""
    call_bytes_per_pixel: float
    """Bytes per pixel of a network call."""

    def check(self, device: str) -> None:
        """Check that the batch fits into memory.

        Raises:
            InputError: it does not fit; the message has the estimate and a tile that fits.
        """
        result, free_cpu = self.result * RESULT_BYTES_PER_PIXEL, free_bytes("cpu")
        if result > free_cpu:
            raise InputError(
                f"the result of {self.pictures} needs about {format_gb(result)} of memory, "
                f"{format_gb(free_cpu)} are free; choose a smaller scale"
            )
        call, free_device = self.rows * self.height * self.width * self.call_bytes_per_pixel, free_bytes(device)
        if call <= free_device:
            return
        fitting = [side for side in TILE_SIDES if self.rows * side**2 * self.call_bytes_per_pixel <= free_device / 2]
        advice = f"set 'tile: {fitting[0]}'" if fitting else "set 'tile: 64' and 'batch: 1', or free memory"
        raise InputError(
            f"{self.name} needs about {format_gb(call)} of memory for {self.rows} x {self.width}x{self.height} px "
            f"at once, {format_gb(free_device)} are free; {advice}"
        )


def format_gb(count: float) -> str:
    """A number of bytes in GB, as text."""
    return f"{count / 1e9:.1f} GB"
