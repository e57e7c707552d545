"""Stage 1: removes degradations; the result is a smooth picture. SwinIR, BSRNet or SCUNet, from spandrel."""

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
"""DiffBIR's SwinIR configuration: processes 1/8 of the side and upsamples to the full side."""

MULTIPLE = 64
"""SwinIR's input is padded with black to multiples of this."""


@dataclass(frozen=True)
class Stage1Architecture:
    """A network architecture of stage 1."""

    system: str
    """Name of the system in `odekit.plugins.weights.fit`."""
    spandrel_class: Any
    scale: int
    pad: int
    safe: tuple[str, ...]
    """Supported precisions in addition to float32."""


SWINIR = Stage1Architecture("SwinIR", SwinIRArch, 1, MULTIPLE, ())  # in spandrel, its attention masks are float32
KINDS = {
    "bsrnet": Stage1Architecture("BSRNet or ESRGAN (RRDBNet, old names)", ESRGANArch, 4, 1, ("bfloat16", "float16")),
    "scunet": Stage1Architecture("SCUNet", SCUNetArch, 1, 1, ("bfloat16", "float16")),
}


def swinir(shape: dict[str, Any]) -> SwinIR:
    """A SwinIR without loaded weights, for inference."""
    with without_meshgrid_warning():
        network: SwinIR = SwinIR(**shape).eval().requires_grad_(False)
    return network


@contextlib.contextmanager
def without_meshgrid_warning() -> Iterator[None]:
    """Suppress torch's warning about the meshgrid call in spandrel's SwinIR."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.meshgrid")
        yield


def load(tensors: Mapping[str, Tensor], architecture: Stage1Architecture, where: object) -> nn.Module:
    """Load a network; its shape is inferred from the tensors.

    Raises:
        WeightsError: the tensors are of another system, missing, unknown or misshapen.
    """
    tensors = part(tensors, "stage1", where)
    error = other_system(architecture.system, tensors, where)
    if error is not None:
        raise error
    try:
        with without_meshgrid_warning():
            network: nn.Module = architecture.spandrel_class().load(dict(tensors)).model
    except Exception as fault:  # spandrel infers the shape, and raises various errors if tensors are missing
        lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
        raise WeightsError(
            f"{where}: not the weights of a {architecture.system}: {' '.join(lines[-1:])[:200]}"
        ) from fault
    extra = len(tensors) - len(network.state_dict())
    if extra:
        raise WeightsError(
            f"{where}: it has {extra} more tensors than a {architecture.system} of this shape; fetch the file again"
        )
    return network.eval().requires_grad_(False)


class Stage1:
    """Pictures (N, 3, H, W) in [0, 1] to smooth pictures of `scale` times the side, about [0, 1], not clipped."""

    def __init__(
        self, architecture: Stage1Architecture, file: Path, device: str, precision: str, tile: int | None
    ) -> None:
        """Load the network; in float32 if `precision` is not safe (stage 1 runs only once per picture).

        Raises:
            WeightsError: the file is damaged or of another system.
        """
        if precision not in architecture.safe:
            precision = "float32"
        self.architecture = architecture
        self.file = file
        self.device = device
        self.tile = tile
        self.guarded = Guarded(f"DiffBIR's stage 1 ({architecture.system})", self._load, precision, architecture.safe)

    def _load(self, precision: str) -> nn.Module:
        import torch

        return load(load_tensors(self.file), self.architecture, self.file).to(self.device, getattr(torch, precision))

    def __call__(self, pictures: Tensor) -> Tensor:
        """The smooth pictures, float32. Inputs are padded with black as in the official program."""
        height, width = pictures.shape[-2:]
        pad = self.architecture.pad
        padded = functional.pad(pictures, (0, -width % pad, 0, -height % pad))
        out = tiled(
            lambda tile: self.guarded.run(partial(self._infer, tile)), (padded,), self.tile, up=self.architecture.scale
        )
        return out[..., : height * self.architecture.scale, : width * self.architecture.scale]

    def _infer(self, tile: Tensor, network: nn.Module) -> Tensor:
        out: Tensor = network(tile.to(self.device, next(network.parameters()).dtype))
        return out
