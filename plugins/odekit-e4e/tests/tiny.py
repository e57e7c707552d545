"""A small network of e4e's structure: 10 codes of 128 numbers, a generator of 64 px."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from odekit_e4e.encoder import Encoder
from odekit_e4e.stylegan2 import Generator, blur_kernel
from torch import Tensor

from odekit.testing import synthetic_weights

WIDTHS = (32, 32, 32, 16, 8)
CODE = 128
OPTIONS = {"encoder_type": "Encoder4Editing", "stylegan_size": 64, "start_from_latent_avg": True}
Tensors = dict[str, Tensor]


@functools.cache
def encoder_weights(codes: int = 10, seed: int = 0) -> Tensors:
    """Tensors of a small encoder; shared, so not to be changed."""
    with torch.device("meta"):
        network = Encoder(codes, 16)
    counters = {
        n: torch.zeros((), dtype=torch.int64) for n in network.state_dict() if n.endswith("num_batches_tracked")
    }
    return synthetic_weights(network, seed, "E") | counters


@functools.cache
def generator_weights(widths: tuple[int, ...] = WIDTHS, seed: int = 0) -> Tensors:
    """Tensors of a small generator, with the filters that published files hold; shared, so not to be changed."""
    with torch.device("meta"):
        network = Generator(widths, CODE)
    kernels = {f"convs.{2 * j}.conv.blur.kernel": blur_kernel() for j in range(len(widths) - 1)}
    kernels |= {f"to_rgbs.{j}.upsample.kernel": blur_kernel() for j in range(len(widths) - 1)}
    return synthetic_weights(network, seed, "E") | kernels


def content(**changes: Any) -> dict[str, Any]:
    """The content of a published file."""
    state = {f"encoder.{n}": t for n, t in encoder_weights().items()}
    state |= {f"decoder.{n}": t for n, t in generator_weights().items()}
    mean = torch.randn(10, CODE, generator=torch.Generator().manual_seed(1)) / 2
    return {"state_dict": state, "latent_avg": mean, "opts": OPTIONS} | changes


def save(file: Path, **changes: Any) -> Path:
    """Write a file as the official program does; `changes` replace its entries, None removes them."""
    torch.save({key: value for key, value in content(**changes).items() if value is not None}, file)
    return file
