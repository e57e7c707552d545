"""How much memory a network takes at a size, found out without computing anything, and how much there is."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from odekit.errors import InputError
from odekit_realesrgan.network import Descriptor

if TYPE_CHECKING:
    import torch

PROBE = 64
"""Side of the picture with which a network is measured."""
SCRATCH = 1.75
"""What libraries take on top for other orders of the numbers: 1.67 measured on a CPU with RRDBNet x2 and x4."""
UNKNOWN = 16_000.0
"""Bytes per pixel where it cannot be found out: somewhat more than RRDBNet x4 takes."""
RESULT = 24.0
"""Bytes per pixel of a result: float32, three channels, and once more while it is finished."""
TILES = (1024, 768, 512, 384, 256, 192, 128, 96, 64)
"""Tiles to advise."""


def bytes_per_pixel(descriptor: Descriptor) -> float:
    """The most that lives at once in a forward pass, per input pixel, in the network's precision.

    The network runs on shapes alone (torch's meta device); every tensor is counted from its making to its end, and
    `SCRATCH` is put on top. `UNKNOWN` where the network cannot run on shapes.
    """
    import torch
    from torch.func import functional_call
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.live = self.most = 0
            self.seen: set[int] = set()

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(out):
                if isinstance(tensor, torch.Tensor):
                    self.born(tensor.untyped_storage())
            return out

        def born(self, storage: torch.UntypedStorage) -> None:
            key, size = storage._cdata, storage.nbytes()
            if key not in self.seen:
                self.seen.add(key)
                self.live += size
                self.most = max(self.most, self.live)
                weakref.finalize(storage, self.dead, key, size)

        def dead(self, key: int, size: int) -> None:
            self.seen.discard(key)
            self.live -= size

    model = descriptor.model
    tensors = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    picture = torch.empty(1, descriptor.input_channels, PROBE, PROBE, dtype=descriptor.dtype, device="meta")
    count = Count()
    try:
        with torch.no_grad(), count:
            functional_call(model, tensors, (picture,))
    except Exception:  # any operation of any network may refuse shapes without numbers
        return UNKNOWN
    return SCRATCH * count.most / PROBE**2


def free_bytes(device: str) -> float:
    """Memory that a process can still take on a device."""
    import torch

    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(torch.device(device))[0])
    import psutil

    return float(psutil.virtual_memory().available)


@dataclass(frozen=True)
class Demand:
    """What a batch of pictures asks of the memory."""

    name: str
    """Of the upsampler."""
    pictures: str
    """What is to be enlarged, for a person."""
    rows: int
    height: int
    width: int
    """Of a network call."""
    result: float
    """Pixels of all results."""
    each: float
    """Bytes that a call takes per pixel."""

    def check(self, device: str) -> None:
        """Refuse what would not fit.

        Raises:
            InputError: with the estimate, and the tile that would do.
        """
        result, here = self.result * RESULT, free_bytes("cpu")
        if result > here:
            raise InputError(
                f"the result of {self.pictures} takes about {gb(result)} of memory, {gb(here)} are free; "
                "choose a smaller scale"
            )
        call, there = self.rows * self.height * self.width * self.each, free_bytes(device)
        if call <= there:
            return
        fitting = [side for side in TILES if self.rows * side**2 * self.each <= there / 2]
        advice = f"set 'tile: {fitting[0]}'" if fitting else "set 'tile: 64' and 'batch: 1', or free some"
        raise InputError(
            f"{self.name} takes about {gb(call)} of memory for {self.rows} x {self.width}x{self.height} px at once, "
            f"{gb(there)} are free; {advice}"
        )


def gb(count: float) -> str:
    """Bytes in GB."""
    return f"{count / 1e9:.1f} GB"
