"""A diffusers `UNet2DModel` folder as a `Prior`. Predictions of v or x0 are converted to eps here, nowhere else.

The network runs in float32, bfloat16 or float16, on a CPU with most products in int8. The state is float64, and so is
the conversion from v or x0 to eps.
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

from odekit.core.call_lock import CallLock
from odekit.core.device import resolve_device
from odekit.core.files import sha256
from odekit.core.precision import resolve_precision, storage_type
from odekit.errors import DeviceError, WeightsError
from odekit.parts.priors.fast.blocks import TimestepCache, use_fast_blocks
from odekit.parts.priors.fast.unet import UNet, supports
from odekit.parts.priors.folder import PriorSpec, read_prior_folder
from odekit.plugins.weights.fit import fit
from odekit.plugins.weights.load import load_tensors

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

OLD_ATTENTION = re.compile(r"\.attentions\.(\d+)\.(query|key|value|proj_attn)\.(weight|bias)$")
"""Tensor names in folders written before diffusers 0.14, google/ddpm-* among them."""
NEW_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Old name -> name since diffusers 0.14."""


class DiffusersPrior:
    """A `Prior` over a `UNet2DModel`: `shape`, `schedule` and `eps` as in `odekit.core.interfaces`."""

    def __init__(self, spec: PriorSpec, network: nn.Module) -> None:
        """Wrap a network that is already built from `spec`, on its device and in its dtype (see `load`)."""
        self.spec = spec
        self.shape = spec.shape
        self.schedule = spec.schedule
        self.network = network
        weight = next(network.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.calling = CallLock()
        """Held in a call: what belongs to its timestep is kept in the network."""

    @classmethod
    def load(
        cls, folder: Path | str, device: str = "cpu", precision: str = "float32", *, compile: bool = False
    ) -> DiffusersPrior:
        """Load the prior of a folder.

        Args:
            folder: see `odekit.parts.priors.folder.read_prior_folder` for the layouts.
            device: where the network runs; states may be on another device.
            precision: of the weights: float32, bfloat16, float16 or int8 (`auto` and `tf32` mean float32).
            compile: compile the network with `torch.compile` (see `odekit.parts.priors.fast.compiled`).

        Raises:
            WeightsError: the folder is not a prior, or its weights are damaged, unsafe or of another network.
            DeviceError: no such device or precision, or `int8` for a network that is to be compiled.

        With `int8` a CPU computes most convolutions from 8-bit integers, and the rest in `storage_type("int8")`.
        """
        device = resolve_device(device)
        precision = resolve_precision(precision, device)
        if compile and precision == "int8":
            raise DeviceError("precision int8 and compile: true exclude each other; leave one of them out")
        spec = read_prior_folder(Path(folder))
        network = build_network(spec, load_tensors(spec.weights), DTYPES[storage_type(precision)])
        network = use_fast_blocks(network.to(device), pack=not compile, eight_bit=precision == "int8")
        if compile:
            from odekit.parts.priors.fast.compiled import CompiledNetwork

            network = CompiledNetwork(network, device)
        return cls(spec, network)

    def raw(self, x: Tensor, t: float) -> Tensor:
        """The network's own prediction at x (N, 3, H, W) and timestep t, without variance channels, on x's device.

        Several threads may call it; one call is computed at a time.

        Raises:
            ValueError: x is not a batch of images of this prior's shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"this prior takes images of shape {self.shape}, not {tuple(x.shape[1:])}")
        with torch.inference_mode(), self.calling:
            sample = x.to(self.dtype).to(self.device)
            if self.spec.patch > 1:
                sample = pixel_unshuffle(sample, self.spec.patch)
            if isinstance(cache := vars(self.network).get("timestep_cache"), TimestepCache):
                cache.next_timestep = t
            # As a tensor, because the network truncates a plain float to an integer timestep.
            timestep = torch.full((1,), t, dtype=torch.float32, device=self.device)
            sample = sample.contiguous(memory_format=torch.channels_last)
            prediction: Tensor = self.network(sample, timestep, return_dict=False)[0]
            if self.spec.learned_sigma:
                prediction = prediction.chunk(2, dim=1)[0]
            if self.spec.patch > 1:
                prediction = pixel_shuffle(prediction, self.spec.patch)
        return prediction.to(x.device)

    @torch.no_grad()
    def eps(self, x: Tensor, t: float) -> Tensor:
        """The predicted noise in x, float64 on x's device.

        From v: `eps = sigma x + sqrt(abar) v` (Salimans and Ho, arXiv:2202.00512, appendix D). From x0:
        `eps = (x - sqrt(abar) x0) / sigma`.

        Args:
            x: float64 (N, 3, H, W).
            t: timestep in [0, T-1], fractions allowed.

        Raises:
            ValueError: x is not a batch of images of this prior's shape.
        """
        # Copied outside inference mode, so that solvers may change the result in place.
        prediction = self.raw(x, t).to(torch.float64, memory_format=torch.contiguous_format, copy=True)
        if self.spec.prediction == "epsilon":
            return prediction
        abar = self.schedule.abar_at(t)
        sigma, signal = math.sqrt(1.0 - abar), math.sqrt(abar)
        if self.spec.prediction == "v":
            return prediction.mul_(signal).add_(x, alpha=sigma)
        return prediction.mul_(-signal).add_(x).div_(sigma)

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weights file, computed on first access."""
        return sha256(self.spec.weights)


def build_network(spec: PriorSpec, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """Build the network of a spec with these weights, in `dtype` and channels_last, for inference.

    Raises:
        WeightsError: the configuration is invalid, or the tensors belong to another network.
    """
    try:
        with torch.device("meta"):
            network = UNet(spec.config) if supports(spec.config) else diffusers_network(spec.config)
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise WeightsError(
            f"{spec.weights.parent / 'config.json'}: no UNet2DModel can be built from it: {error}"
        ) from error
    # Cast before loading, because the model's own `.to(dtype)` warns about every cast; copied, because memory mapped
    # from a file becomes invalid when the file is replaced.
    fit(network, {current_name(name): tensor.to(dtype, copy=True) for name, tensor in tensors.items()}, spec.weights)
    if spec.heads is not None:
        set_heads(network, spec.heads, spec.weights.parent)
    network = network.eval().requires_grad_(False)
    # mypy has no overload of Module.to with a memory format alone.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def diffusers_network(config: Mapping[str, Any]) -> nn.Module:
    """The network of the diffusers library, for configurations that `fast.unet` does not support."""
    from diffusers.models.unets.unet_2d import UNet2DModel

    network: nn.Module = UNet2DModel.from_config(dict(config))
    return network


def current_name(name: str) -> str:
    """A tensor's name in current diffusers."""
    return OLD_ATTENTION.sub(lambda m: f".attentions.{m[1]}.{NEW_ATTENTION[m[2]]}.{m[3]}", name)


def set_heads(network: nn.Module, heads: int, where: Path) -> None:
    """Set the number of heads of every attention of the network; the weights do not change.

    Raises:
        WeightsError: a width that is not divisible by `heads`.
    """
    for name, module in network.named_modules():
        if type(module).__name__ == "Attention":
            if module.inner_dim % heads:
                raise WeightsError(f"{where}: {heads} heads do not divide the {module.inner_dim} channels of {name}")
            module.heads = heads
            module.scale = (module.inner_dim // heads) ** -0.5
