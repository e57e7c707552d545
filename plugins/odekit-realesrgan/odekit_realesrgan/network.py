"""Loads networks with spandrel, checks them, and rejects those that are not usable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import PluginError, WeightsError
from odekit.plugins import check_layout, load_tensors, other_system, system_of
from odekit_realesrgan import rrdb

if TYPE_CHECKING:
    from torch import Tensor

Descriptor = Any
"""A `spandrel.ImageModelDescriptor`."""


def load(file: Path, only: str | None = None) -> Descriptor:
    """Load the network of a weights file, float32 on the CPU.

    Args:
        file: weights of a network with one input picture and one output picture.
        only: the only system (as in `odekit.plugins.weights.fit`) to accept; None accepts any.

    Raises:
        WeightsError: another system, a network that spandrel does not support, or one that is not an upsampler.
        PluginError: spandrel is not installed.
    """
    loaded = load_tensors(file).items()
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in loaded}
    if only is not None and (wrong := other_system(only, tensors, file)):
        raise wrong
    if system_of(tensors) == rrdb.SYSTEM:
        check_layout(rrdb.layout_of(tensors), tensors, file)
    descriptor = from_tensors(tensors, file)
    check(descriptor, file)
    descriptor.model.eval().requires_grad_(False)
    descriptor.model.register_forward_hook(overflow_is_nan)
    return descriptor


def from_tensors(tensors: Mapping[str, Tensor], where: object) -> Descriptor:
    """Construct a network with spandrel from named tensors.

    Raises:
        WeightsError: spandrel does not recognise the network, or tensors are missing, unknown or misshapen.
        PluginError: spandrel is not installed.
    """
    try:
        from spandrel import ModelLoader, UnsupportedModelError
    except ImportError as error:
        raise PluginError(f"this upsampler needs spandrel: pip install spandrel ({error})") from error
    import torch

    try:
        with torch.random.fork_rng(devices=[]):  # constructors draw random numbers from the global generator
            return ModelLoader().load_from_state_dict(dict(tensors))
    except UnsupportedModelError:
        system = system_of(tensors)
        what = f"these are weights of {system}, which" if system else "holds weights of a network that"
        raise WeightsError(f"{where}: {what} spandrel's upsamplers do not include; give an upsampler's file") from None
    except Exception as error:  # spandrel infers shapes from tensors, and raises various errors if some are missing
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[1:3] if len(lines) > 1 else lines)[:200] or type(error).__name__
        system = system_of(tensors) or "a network"
        raise WeightsError(f"{where}: looks like {system}, but tensors do not fit: {reason}; fetch it again") from error


def check(descriptor: Descriptor, where: object) -> None:
    """Raise WeightsError for networks that are not upsamplers of single pictures."""
    from spandrel import ImageModelDescriptor

    name = descriptor.architecture.name
    if not isinstance(descriptor, ImageModelDescriptor):
        raise WeightsError(f"{where}: {name} is an inpainting network, not an upsampler")
    if descriptor.purpose == "FaceSR":
        raise WeightsError(
            f"{where}: {name} restores aligned faces; use the upsampler of its own plugin (such as 'use: gfpgan')"
        )
    channels = (descriptor.input_channels, descriptor.output_channels)
    if channels not in ((1, 1), (3, 3)):
        raise WeightsError(
            f"{where}: {name} maps {channels[0]} channels to {channels[1]}; only 3 to 3 and 1 to 1 are supported"
        )


def overflow_is_nan(module: Any, args: Any, output: Any) -> Any:
    """Forward hook that replaces infinity by NaN: spandrel clips to [0, 1], which would turn an overflow into white."""
    import torch

    return output.masked_fill(output.isinf(), torch.nan) if isinstance(output, torch.Tensor) else output


def enlarge(descriptor: Descriptor, pictures: Tensor) -> Tensor:
    """Upsample pictures (N, 3, H, W) in [0, 1] to (N, 3, scale H, scale W) in [0, 1]; NaN where the network overflowed.

    A network for greyscale pictures processes the three channels separately.
    """
    x = pictures.to(device=descriptor.device, dtype=descriptor.dtype)
    if descriptor.input_channels == 1:
        grey = descriptor(x.flatten(0, 1)[:, None])
        out: Tensor = grey.view(*x.shape[:2], *grey.shape[2:])
        return out
    out = descriptor(x)
    return out
