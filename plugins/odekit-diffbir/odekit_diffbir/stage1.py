"""Stage 1: takes the damage away and leaves a smooth picture. SwinIR (DiffBIR), BSRNet, SCUNet; all from spandrel."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spandrel.architectures.ESRGAN import ESRGANArch
from spandrel.architectures.SCUNet import SCUNetArch
from spandrel.architectures.SwinIR import SwinIR, SwinIRArch
from torch.nn import functional

from odekit.errors import WeightsError
from odekit.plugins import Guarded, load_tensors, other_system
from odekit_diffbir.checkpoint import part
from odekit_diffbir.tiles import tiled

if TYPE_CHECKING:
    from torch import Tensor, nn

FACE: dict[str, Any] = {
    "img_size": 64,
    "embed_dim": 180,
    "depths": [6] * 8,
    "num_heads": [6] * 8,
    "window_size": 8,
    "mlp_ratio": 2.0,
    "upscale": 8,
    "start_unshuffle": 8,
    "upsampler": "nearest+conv",
    "resi_connection": "1conv",
}
"""SwinIR as DiffBIR has it: works on an eighth of the side and comes back to the whole."""

MULTIPLE = 64
"""Pictures are padded to multiples of this, with black, for SwinIR."""


@dataclass(frozen=True)
class Kind:
    """One sort of cleaner."""

    system: str
    """As `odekit.plugins.weights.fit` names it."""
    architecture: Any
    scale: int
    pad: int
    safe: tuple[str, ...]
    """Precisions beside float32."""


SWINIR = Kind("SwinIR", SwinIRArch, 1, MULTIPLE, ())  # spandrel's keeps its attention masks in float32
KINDS = {
    "bsrnet": Kind("BSRNet or ESRGAN (RRDBNet, old names)", ESRGANArch, 4, 1, ("bfloat16", "float16")),
    "scunet": Kind("SCUNet", SCUNetArch, 1, 1, ("bfloat16", "float16")),
}


def swinir(shape: dict[str, Any]) -> SwinIR:
    """A SwinIR without weights, for evaluation."""
    with quietly():
        network: SwinIR = SwinIR(**shape).eval().requires_grad_(False)
    return network


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without torch's word on how spandrel's SwinIR calls meshgrid."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.meshgrid")
        yield


def load(tensors: Mapping[str, Tensor], kind: Kind, where: object) -> nn.Module:
    """The network of these tensors, its shape read off theirs.

    Raises:
        WeightsError: another system's, or missing, unknown or misshapen tensors.
    """
    tensors = part(tensors, "stage1", where)
    error = other_system(kind.system, tensors, where)
    if error is not None:
        raise error
    try:
        with quietly():
            network: nn.Module = kind.architecture().load(dict(tensors)).model
    except Exception as fault:  # spandrel reads the shape off the tensors and stumbles over whatever is not there
        lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
        raise WeightsError(f"{where}: not the weights of a {kind.system}: {' '.join(lines[-1:])[:200]}") from fault
    left = len(tensors) - len(network.state_dict())
    if left:
        raise WeightsError(f"{where}: {left} tensors more than a {kind.system} of this shape has; fetch the file again")
    return network.eval().requires_grad_(False)


class Cleaner:
    """Pictures (N, 3, H, W) in [0, 1] to smooth pictures of `scale` times the side, about [0, 1], not clipped."""

    def __init__(self, kind: Kind, file: Path, device: str, precision: str, tile: int | None) -> None:
        """Load the network; in float32 where it is not safe in `precision`: it runs once, stage 2 many times.

        Raises:
            WeightsError: the file is damaged or another system's.
        """
        if precision not in kind.safe:
            precision = "float32"
        self.kind = kind
        self.file = file
        self.device = device
        self.tile = tile
        self.guarded = Guarded(f"DiffBIR's stage 1 ({kind.system})", self._load, precision, kind.safe)

    def _load(self, precision: str) -> nn.Module:
        import torch

        return load(load_tensors(self.file), self.kind, self.file).to(self.device, getattr(torch, precision))

    def __call__(self, pictures: Tensor) -> Tensor:
        """The cleaned pictures, float32. Sides are filled up with black as the official program does."""
        height, width = pictures.shape[-2:]
        pad = self.kind.pad
        wider = functional.pad(pictures, (0, -width % pad, 0, -height % pad))
        out = tiled(lambda tile: self.guarded.run(partial(self._clean, tile)), (wider,), self.tile, up=self.kind.scale)
        return out[..., : height * self.kind.scale, : width * self.kind.scale]

    def _clean(self, tile: Tensor, network: nn.Module) -> Tensor:
        out: Tensor = network(tile.to(self.device, next(network.parameters()).dtype))
        return out
