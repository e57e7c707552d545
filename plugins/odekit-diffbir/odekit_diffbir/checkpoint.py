"""Official weights files -> the networks of stage 2. Monoliths, Stable Diffusion files and bare ControlNets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.plugins import check_layout, system_of
from odekit_diffbir.names import KERNELS, Names
from odekit_diffbir.shapes import Shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Tensors = Mapping[str, "Tensor"]

PREFIX = {
    "controlnet": "control_model.",
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text": "cond_stage_model.",
    "stage1": "preprocess_model.",
}
"""Where a monolith (DiffBIR v1) or a Stable Diffusion file keeps each network."""

SIGNS = {
    "controlnet": "zero_convs.0.0.weight",
    "unet": "output_blocks.0.0.in_layers.0.weight",
    "vae": "encoder.down.0.block.0.norm1.weight",
    "text": "transformer.resblocks.0.attn.in_proj_weight",
}
"""A tensor by which a bare file is known."""

ALIGNED = 64
"""Bytes to which torch's own tensors are aligned; those of a memory-mapped file are not."""

HINTS = {"text": "name a file that has it with text_weights"}

TITLES = {
    "controlnet": "ControlNet of DiffBIR",
    "unet": "Stable Diffusion UNet",
    "vae": "Stable Diffusion autoencoder",
    "text": "OpenCLIP text encoder",
    "stage1": "cleaner of DiffBIR",
}


def part(tensors: Tensors, name: str, where: object) -> dict[str, Tensor]:
    """The tensors of one network (a key of `PREFIX`) under their own official names.

    Raises:
        WeightsError: the file has no such network; it says which system the file looks like.
    """
    prefix = PREFIX[name]
    inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if name == "text":
        inside = {key.removeprefix("model."): value for key, value in (inside or tensors).items()}
    found = inside or dict(tensors)
    if name in SIGNS and SIGNS[name] not in found:
        found_system = system_of(tensors)
        what = f"these are weights of {found_system}" if found_system else "they are no system's that is known here"
        raise WeightsError(f"{where}: holds no {TITLES[name]}; {what}; {HINTS.get(name, 'give another file')}")
    return found


def load(network: str, tensors: Tensors, shape: Shape, dtype: torch.dtype, where: object) -> nn.Module:
    """A network of stage 2 with the file's weights in `dtype`, on the CPU.

    Args:
        network: `controlnet`, `unet` or `vae`.
        tensors: of a monolith, a Stable Diffusion file or the bare network.
        shape: of the network.
        dtype: of the weights.
        where: the file, for messages.

    Raises:
        WeightsError: another system's file, or missing, unknown or misshapen tensors (by their official names).
    """
    from odekit_diffbir.networks import build

    given = part(tensors, network, where)
    model = build(network, shape)
    names = Names(network, shape)
    check_layout(layout(model, names, network), given, f"{where} ({TITLES[network]})")
    state = {}
    for target, tensor in model.state_dict().items():
        value = given[names.official(target)].to(dtype)
        if value.data_ptr() % ALIGNED:  # sums are rounded differently where a file lies askew in memory
            value = value.clone()
        state[target] = value.reshape(tensor.shape)
    model.load_state_dict(state, strict=True, assign=True)
    return model.requires_grad_(False)


def layout(model: nn.Module, names: Names, network: str) -> dict[str, tuple[int, ...]]:
    """Official name -> official shape of every tensor of a network."""
    shapes = {names.official(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if network == "vae":
        shapes = {name: (*shape, 1, 1) if KERNELS.search(name) else shape for name, shape in shapes.items()}
    return shapes
