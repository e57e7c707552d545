"""Encoder and generator together, built to the sizes in a weights file."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.errors import WeightsError
from odekit.plugins import Noise, fit_system
from odekit_e4e.checkpoint import GENERATOR, SYSTEM, Tensors, read_checkpoint, read_generator
from odekit_e4e.encoder import SIDE, Encoder
from odekit_e4e.stylegan2 import Generator

MEAN_OF = 10_000
"""Number of random codes whose mean replaces a missing mean code."""


class E4e(nn.Module):
    """From a face to the nearest picture that the encoder finds among those of the generator."""

    def __init__(self, encoder: Encoder, decoder: Generator, mean: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.mean: Tensor

    def codes(self, faces: Tensor) -> Tensor:
        """Codes (N, codes, C) of faces (N, 3, 256, 256) in [-1, 1]."""
        out: Tensor = self.encoder(faces) + self.mean
        return out

    def forward(self, faces: Tensor, noise: Sequence[Tensor] | None = None, pooled: bool = False) -> Tensor:
        """Pictures (N, 3, S, S), about [-1, 1] and unbounded.

        Args:
            faces: (N, 3, 256, 256) in [-1, 1].
            noise: see `Generator.forward`.
            pooled: average pictures of more than 256 px to 256 px.
        """
        pictures: Tensor = self.decoder(self.codes(faces), noise)
        return functional.avg_pool2d(pictures, max(1, pictures.shape[-1] // SIDE)) if pooled else pictures


def load(file: Path, generator: Path | None, precision: str, device: str) -> E4e:
    """Load the network of a weights file in `precision`.

    Args:
        file: of encoder4editing.
        generator: a generator's file that replaces the generator in `file`; None: the one in `file`.
        precision: a type of torch.
        device: of the network.

    Raises:
        WeightsError: see `read_checkpoint`; or encoder and generator do not fit together.
    """
    checkpoint = read_checkpoint(file)
    tensors, mean = (checkpoint.decoder, None) if generator is None else read_generator(generator)
    if not tensors:
        raise WeightsError(f"{file}: holds an encoder without a generator; name a generator's file as 'generator'")
    encoder, decoder = build_encoder(checkpoint.encoder), build_generator(tensors)
    dtype = getattr(torch, precision)
    fit_system(SYSTEM, encoder, converted(checkpoint.encoder, dtype), file)
    fit_system(GENERATOR, decoder, converted(tensors, dtype), generator or file)
    made, width = len(encoder.styles), encoder.latlayer1.out_channels
    taken, code = decoder.codes, decoder.conv1.conv.modulation.weight.shape[1]
    if (made, width) != (taken, code):
        raise WeightsError(
            f"{file}: its encoder makes {made} codes of {width} numbers, but the generator takes {taken} of {code}"
        )
    mean = checkpoint.mean if checkpoint.mean is not None else mean
    if not checkpoint.relative:
        mean = torch.zeros(code)
    elif mean is None:
        mean = mean_code(decoder, code)
    if mean.shape not in ((made, code), (1, code), (code,)):
        raise WeightsError(f"{file}: its latent_avg has the shape {tuple(mean.shape)}, not {(made, code)}")
    return E4e(encoder, decoder, mean.to(dtype)).eval().requires_grad_(False).to(device)


def converted(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    """The tensors in another floating-point type; integers as they are."""
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def build_encoder(tensors: Tensors) -> Encoder:
    """The encoder that these tensors belong to, on the meta device: number of codes and channels are theirs."""
    codes = count(tensors, "styles.{}.linear.weight")
    with torch.device("meta"):
        return Encoder(codes or 18, size(tensors, "input_layer.0.weight", 0, 64))


def build_generator(tensors: Tensors) -> Generator:
    """The generator that these tensors belong to, on the meta device: sides and channels are theirs."""
    levels = count(tensors, "to_rgbs.{}.conv.weight")
    widths = [size(tensors, "input.input", 1, 512)]
    widths += [size(tensors, f"convs.{2 * j}.conv.weight", 1, 512) for j in range(levels)]
    code = size(tensors, "conv1.conv.modulation.weight", 1, 512)
    mapping = count(tensors, "style.{}.weight", first=1)
    with torch.device("meta"):
        return Generator(widths, code, mapping)


def count(tensors: Tensors, pattern: str, first: int = 0) -> int:
    """How many tensors there are of a numbered name."""
    return next(i for i in itertools.count() if pattern.format(first + i) not in tensors)


def size(tensors: Tensors, name: str, axis: int, default: int) -> int:
    """The size of a tensor along an axis; `default` if there is none, which is reported where tensors are fitted."""
    tensor = tensors.get(name)
    return default if tensor is None or tensor.ndim <= axis else tensor.shape[axis]


@torch.inference_mode()
def mean_code(generator: Generator, code: int) -> Tensor:
    """The mean (code,) of the codes of 10,000 random z; the same for every run."""
    z = np.random.Generator(np.random.Philox(0)).standard_normal((MEAN_OF, code)).astype(np.float32)
    mapping: Callable[[Tensor], Tensor] = copy.deepcopy(generator.style).float()
    return mapping(torch.from_numpy(z)).mean(0).clone()


def draw_noise(generator: Generator, streams: Sequence[Noise]) -> list[Tensor]:
    """Draw standard normal noise for each convolution; row i comes from stream i."""
    like = generator.input.input
    drawn = [[stream.normal((1, side, side)) for side in generator.noise_sides] for stream in streams]
    return [torch.from_numpy(np.stack(rows)).to(like) for rows in zip(*drawn, strict=True)]
