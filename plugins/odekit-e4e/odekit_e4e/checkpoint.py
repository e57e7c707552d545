"""Reads the published files of encoder4editing: encoder, generator and mean code, and generators alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError
from odekit.plugins import check_tensors, load_checkpoint, other_system, unwrap

if TYPE_CHECKING:
    from torch import Tensor

SYSTEM = "encoder4editing"
GENERATOR = "StyleGAN2"
ENCODER_TYPE = "Encoder4Editing"
"""`encoder_type` in the options of a published file. pSp's files have the same tensors; its codes are other sums."""
PARTS = ("encoder.", "decoder.")
Tensors = dict[str, "Tensor"]


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file."""

    encoder: Tensors
    decoder: Tensors
    """Empty if the file holds an encoder alone."""
    mean: Tensor | None
    """Mean code (codes, C), (1, C) or (C,); None if the file has none."""
    relative: bool
    """The encoder's codes are relative to the mean code."""


def read_checkpoint(file: Path) -> Checkpoint:
    """Read a file of the official program, or a safetensors file with the same names and `latent_avg`.

    Other entries of training checkpoints (optimiser, discriminator, counters) are ignored.

    Raises:
        WeightsError: another network's file, which is named, or a tensor of neither part.
    """
    content = load_checkpoint(file)
    if "g_ema" in content:
        raise WeightsError(f"{file}: holds a generator alone; give it as 'generator', beside the weights of {SYSTEM}")
    options = content.get("opts")
    options = options if isinstance(options, Mapping) else {}
    kind = options.get("encoder_type", ENCODER_TYPE)
    if kind != ENCODER_TYPE:
        raise WeightsError(f"{file}: made for the encoder '{kind}' of pSp, not for {SYSTEM} ('{ENCODER_TYPE}')")
    state, mean = _with_mean(content, content, file)
    wrong = other_system(SYSTEM, state, file)
    if wrong is not None:
        raise wrong
    encoder, decoder = ({n.removeprefix(p): t for n, t in state.items() if n.startswith(p)} for p in PARTS)
    if not encoder:
        raise WeightsError(f"{file}: holds no tensor 'encoder.*' of {SYSTEM}")
    strange = [name for name in state if not name.startswith(PARTS)]
    if strange:
        raise WeightsError(f"{file}: {strange[0]} belongs to neither the encoder nor the generator of {SYSTEM}")
    return Checkpoint(encoder, without_kernels(decoder, file), mean, bool(options.get("start_from_latent_avg", True)))


def read_generator(file: Path) -> tuple[Tensors, Tensor | None]:
    """Tensors and mean code of a generator's file: `{"g_ema": ..., "latent_avg": ...}`, or the tensors alone.

    Raises:
        WeightsError: another network's file.
    """
    content = load_checkpoint(file)
    state, mean = _with_mean(content.get("g_ema", content), content, file)
    if "input.input" not in state:
        raise other_system(GENERATOR, state, file) or WeightsError(f"{file}: holds no generator of {GENERATOR}")
    return without_kernels(state, file), mean


def _with_mean(wrapped: Any, content: Mapping[str, Any], file: Path) -> tuple[Tensors, Tensor | None]:
    """The checked tensors of a network, and the mean code beside them or among them."""
    import torch

    state = unwrap(wrapped, file)
    mean = state.pop("latent_avg", content.get("latent_avg"))
    if mean is not None and not isinstance(mean, torch.Tensor):
        raise WeightsError(f"{file}: its latent_avg is no tensor; fetch the file again")
    check_tensors(state if mean is None else state | {"latent_avg": mean}, file)
    return state, mean


def without_kernels(tensors: Tensors, file: Path) -> Tensors:
    """The tensors without the filters, which are constants.

    Raises:
        WeightsError: the file was trained with another filter.
    """
    from odekit_e4e.stylegan2 import blur_kernel

    expected = blur_kernel()
    for name, tensor in tensors.items():
        if name.endswith(".kernel") and (
            tensor.shape != expected.shape or not tensor.float().allclose(expected, atol=1e-4)
        ):
            raise WeightsError(f"{file}: {name} is not StyleGAN2's filter [1, 3, 3, 1]")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".kernel")}
