"""A diffusers `UNet2DModel` folder as a `Prior`. Networks that predict v or x0 are adapted here, nowhere else.

The network runs in float32, bfloat16 or float16; the state it is asked about stays float64, and so does the algebra
from v or x0 to eps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from odekit.core.device import resolve_device
from odekit.core.files import sha256
from odekit.core.precision import resolve_precision, stored
from odekit.errors import WeightsError
from odekit.parts.priors.fast.blocks import Call, lean
from odekit.parts.priors.fast.unet import UNet, knows
from odekit.parts.priors.folder import PriorSpec, read_spec
from odekit.plugins.weights.fit import fit
from odekit.plugins.weights.load import load_tensors

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

OLD_ATTENTION = re.compile(r"\.attentions\.(\d+)\.(query|key|value|proj_attn)\.(weight|bias)$")
"""Names in folders written before diffusers 0.14, google/ddpm-* among them."""
NEW_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


class DiffusersPrior:
    """A `Prior` over a `UNet2DModel`: `shape`, `schedule` and `eps` as in `odekit.core.interfaces`."""

    def __init__(self, spec: PriorSpec, network: nn.Module) -> None:
        """Wrap a network that is already built as `spec` says, on its device and in its type (see `load`)."""
        self.spec = spec
        self.shape = spec.shape
        self.schedule = spec.schedule
        self.network = network
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype

    @classmethod
    def load(
        cls, folder: Path | str, device: str = "cpu", precision: str = "float32", *, compile: bool = False
    ) -> DiffusersPrior:
        """The prior of a folder.

        Args:
            folder: see `odekit.parts.priors.folder.read_spec` for the layouts.
            device: where the network runs; states may live elsewhere.
            precision: of the weights: float32, bfloat16 or float16 (`auto` and `tf32` are float32).
            compile: run the network through `torch.compile` (see `odekit.parts.priors.fast.compiled`).

        Raises:
            WeightsError: the folder cannot be understood, or its weights are damaged, unsafe or of another network.
            DeviceError: no such device or precision.
        """
        device = resolve_device(device)
        precision = resolve_precision(precision, device)
        spec = read_spec(Path(folder))
        network = build(spec, load_tensors(spec.weights), DTYPES[stored(precision)])
        network = lean(network.to(device), pack=not compile)
        if compile:
            from odekit.parts.priors.fast.compiled import Compiled

            network = Compiled(network, device)
        return cls(spec, network)

    def raw(self, x: Tensor, t: float) -> Tensor:
        """What the network itself says about x (N, 3, H, W) at timestep t, variance channels left out, on x's device.

        Raises:
            ValueError: x is not a batch of pictures of this prior's shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"this prior knows pictures of shape {self.shape}, not {tuple(x.shape[1:])}")
        with torch.inference_mode():
            told = x.to(self.dtype).to(self.device)
            if self.spec.patch > 1:
                told = pixel_unshuffle(told, self.spec.patch)
            if isinstance(call := vars(self.network).get("call"), Call):
                call.known = t
            # As a tensor, because the network truncates a plain float to a whole timestep.
            step = torch.full((1,), t, dtype=torch.float32, device=self.device)
            said: Tensor = self.network(told.contiguous(memory_format=torch.channels_last), step, return_dict=False)[0]
            if self.spec.learned_sigma:
                said = said.chunk(2, dim=1)[0]
            if self.spec.patch > 1:
                said = pixel_shuffle(said, self.spec.patch)
        return said.to(x.device)

    @torch.no_grad()
    def eps(self, x: Tensor, t: float) -> Tensor:
        """The noise in x, float64 on x's device.

        From v: `eps = sigma x + sqrt(abar) v` (Salimans and Ho, arXiv:2202.00512, appendix D). From x0:
        `eps = (x - sqrt(abar) x0) / sigma`.

        Args:
            x: float64 (N, 3, H, W).
            t: timestep in [0, T-1], fractions allowed.

        Raises:
            ValueError: x is not a batch of pictures of this prior's shape.
        """
        # Outside inference mode, so that solvers may change the result in place.
        said = self.raw(x, t).to(torch.float64, memory_format=torch.contiguous_format, copy=True)
        if self.spec.prediction == "epsilon":
            return said
        abar = self.schedule.abar_at(t)
        sigma, signal = math.sqrt(1.0 - abar), math.sqrt(abar)
        if self.spec.prediction == "v":
            return said.mul_(signal).add_(x, alpha=sigma)
        return said.mul_(-signal).add_(x).div_(sigma)

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weights file, read when first asked for."""
        return sha256(self.spec.weights)


def build(spec: PriorSpec, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """The network of a spec with these weights: `dtype`, channels_last, evaluation mode, no gradients.

    Raises:
        WeightsError: the configuration does not describe a network, or the tensors belong to another one.
    """
    try:
        with torch.device("meta"):
            network = UNet(spec.config) if knows(spec.config) else diffusers_network(spec.config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise WeightsError(
            f"{spec.weights.parent / 'config.json'}: no UNet2DModel can be made of it: {error}"
        ) from error
    # Cast before they are given, because the model's own `.to(dtype)` warns about every cast; copied, because memory
    # that is mapped from a file dies when the file is replaced.
    fit(network, {modern(name): tensor.to(dtype, copy=True) for name, tensor in tensors.items()}, spec.weights)
    if spec.heads is not None:
        set_heads(network, spec.heads, spec.weights.parent)
    network = network.eval().requires_grad_(False)
    # mypy knows no overload of Module.to with a memory format alone.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def diffusers_network(config: Mapping[str, Any]) -> nn.Module:
    """The library's own network, for configurations that `odekit.parts.priors.fast.unet` does not know."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    network: nn.Module = UNet2DModel.from_config(dict(config))
    return network


def modern(name: str) -> str:
    """A tensor's name in today's diffusers."""
    return OLD_ATTENTION.sub(lambda m: f".attentions.{m[1]}.{NEW_ATTENTION[m[2]]}.{m[3]}", name)


def set_heads(network: nn.Module, heads: int, where: Path) -> None:
    """Give every attention of the network this many heads; the weights stay as they are.

    Raises:
        WeightsError: a width that does not divide into so many heads.
    """
    for name, module in network.named_modules():
        if type(module).__name__ == "Attention":
            if module.inner_dim % heads:
                raise WeightsError(f"{where}: {heads} heads do not divide the {module.inner_dim} channels of {name}")
            module.heads = heads
            module.scale = (module.inner_dim // heads) ** -0.5
