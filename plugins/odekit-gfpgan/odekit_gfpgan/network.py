"""GFPGAN's network from spandrel, with explicit noise inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.errors import PluginError
from odekit.plugins import Noise, fit_system, load_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 512
SYSTEM = "GFPGAN"


def load(file: Path, precision: str, device: str) -> nn.Module:
    """Load the network of a weights file in `precision`.

    Raises:
        WeightsError: the file does not contain weights of GFPGAN v1.2 to v1.4.
        PluginError: spandrel is not installed.
    """
    import torch

    dtype = getattr(torch, precision)
    tensors = {name: tensor.to(dtype) for name, tensor in load_tensors(file).items()}
    network = build()
    fit_system(SYSTEM, network, tensors, file)
    return network.eval().requires_grad_(False).to(device)


def build() -> nn.Module:
    """The published network ("v1 clean", 512 px, channel multiplier 2) without weights, on the meta device."""
    try:
        from spandrel.architectures.GFPGAN import GFPGAN
    except ImportError as error:
        raise PluginError(f"GFPGAN needs spandrel: pip install spandrel ({error})") from error
    import torch

    with torch.device("meta"):  # not around the import, which may create tensors
        network: nn.Module = GFPGAN()
    return network


def restore(network: Any, faces: Tensor, noise: Sequence[Tensor] | None) -> Tensor:
    """Restore faces (N, 3, S, S) in [-1, 1]; the result is about [-1, 1], in the network's precision.

    `noise` has one tensor (N, 1, h, w) per noise input, see `draw_noise`; None uses the noise of the weights file.
    """
    x = faces.to(network.conv_body_first.weight.dtype)
    if noise is None:
        out: Tensor = network(x, return_rgb=False, randomize_noise=False)[0]
        return out
    noise_inputs = [n.to(x) for n in noise]

    def add_noise_argument(decoder: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"noise": noise_inputs}

    # The network uses its stored noise or a global generator; only its decoder accepts noise as an argument.
    hook = network.stylegan_decoder.register_forward_pre_hook(add_noise_argument, with_kwargs=True)
    try:
        out = network(x, return_rgb=False)[0]
    finally:
        hook.remove()
    return out


def draw_noise(network: Any, streams: Sequence[Noise]) -> list[Tensor]:
    """Draw standard normal noise for each noise input, smallest first; row i comes from stream i."""
    import torch

    decoder = network.stylegan_decoder
    shapes = [getattr(decoder.noises, f"noise{i}").shape[1:] for i in range(decoder.num_layers)]
    drawn = [[stream.normal(shape) for shape in shapes] for stream in streams]
    return [torch.from_numpy(np.stack(rows)) for rows in zip(*drawn, strict=True)]
