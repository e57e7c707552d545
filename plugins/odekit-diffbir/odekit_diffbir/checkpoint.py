"""Loads the networks of stage 2 from official weights files: monoliths, Stable Diffusion files, single ControlNets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.plugins import check_layout, system_of
from odekit_diffbir.names import ONE_BY_ONE_KERNELS, Names
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
"""Prefix of each network's tensor names in a monolith (DiffBIR v1) or a Stable Diffusion file."""

IDENTIFYING_TENSORS = {
    "controlnet": "zero_convs.0.0.weight",
    "unet": "output_blocks.0.0.in_layers.0.weight",
    "vae": "encoder.down.0.block.0.norm1.weight",
    "text": "transformer.resblocks.0.attn.in_proj_weight",
}
"""A tensor name that identifies a network."""

ALIGNED = 64
"""Alignment of torch's own tensors in bytes; tensors of a memory-mapped file may have a smaller one."""

HINTS = {"text": "set text_weights to a file that has it"}

TITLES = {
    "controlnet": "ControlNet of DiffBIR",
    "unet": "Stable Diffusion UNet",
    "vae": "Stable Diffusion autoencoder",
    "text": "OpenCLIP text encoder",
    "stage1": "stage-1 network of DiffBIR",
}


def part(tensors: Tensors, name: str, where: object) -> dict[str, Tensor]:
    """The tensors of one network (a key of `PREFIX`) under their official names without prefix.

    Raises:
        WeightsError: the file does not contain the network; the message names the system of the file.
    """
    prefix = PREFIX[name]
    stripped = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    if name == "text":
        stripped = {key.removeprefix("model."): value for key, value in (stripped or tensors).items()}
    named = stripped or dict(tensors)
    if name in IDENTIFYING_TENSORS and IDENTIFYING_TENSORS[name] not in named:
        found_system = system_of(tensors)
        description = f"these are weights of {found_system}" if found_system else "their system is unknown"
        raise WeightsError(
            f"{where}: does not contain the {TITLES[name]}; {description}; {HINTS.get(name, 'use another file')}"
        )
    return named


def load(network: str, tensors: Tensors, shape: Shape, dtype: torch.dtype, where: object) -> nn.Module:
    """Load a network of stage 2 in `dtype`, on the CPU.

    Args:
        network: `controlnet`, `unet` or `vae`.
        tensors: of a monolith, a Stable Diffusion file or a file of the network alone.
        shape: of the network.
        dtype: of the weights.
        where: the file, for messages.

    Raises:
        WeightsError: the file is of another system, or tensors are missing, unknown or misshapen.
    """
    from odekit_diffbir.networks import build

    official = part(tensors, network, where)
    model = build(network, shape)
    names = Names(network, shape)
    check_layout(layout(model, names, network), official, f"{where} ({TITLES[network]})")
    state = {}
    for target, tensor in model.state_dict().items():
        value = official[names.official(target)].to(dtype)
        if value.data_ptr() % ALIGNED:  # rounding of sums depends on the memory alignment
            value = value.clone()
        state[target] = value.reshape(tensor.shape)
    model.load_state_dict(state, strict=True, assign=True)
    return model.requires_grad_(False)


def layout(model: nn.Module, names: Names, network: str) -> dict[str, tuple[int, ...]]:
    """Official name -> official shape of every tensor of a network."""
    shapes = {names.official(name): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if network == "vae":
        shapes = {name: (*shape, 1, 1) if ONE_BY_ONE_KERNELS.search(name) else shape for name, shape in shapes.items()}
    return shapes
