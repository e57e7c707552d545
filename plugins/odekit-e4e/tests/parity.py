"""Recomputes the golden files of the e4e encoder, the StyleGAN2 generator, and both together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from goldens.cases import Case
from numpy.typing import NDArray
from odekit_e4e.encoder import Encoder
from odekit_e4e.stylegan2 import Generator
from torch import Tensor, nn
from torch.nn import functional

from odekit.plugins.weights.fit import fit
from odekit.testing.goldens import Golden, statistics

FULL = (512, 512, 512, 512, 512, 256, 128, 64, 32)
Found = dict[str, NDArray[Any]]


def filled(network: nn.Module, golden: Golden) -> Any:
    """The network with the golden's weights; counters of batches are 0."""
    state = network.state_dict()
    weights = {
        name: torch.from_numpy(v) for name, v in golden.fill({n: tuple(t.shape) for n, t in state.items()}).items()
    }
    counters = {name: torch.zeros((), dtype=torch.int64) for name in state if name.endswith("num_batches_tracked")}
    fit(network, weights | counters, golden.stem)
    return network.eval()


def encoder(golden: Golden) -> Any:
    """The published encoder."""
    with torch.device("meta"):
        network = Encoder()
    return filled(network, golden)


def generator(golden: Golden, widths: tuple[int, ...]) -> Any:
    """The generator of these widths."""
    with torch.device("meta"):
        network = Generator(widths)
    return filled(network, golden)


def draws(golden: Golden, *shapes: tuple[int, ...]) -> list[Tensor]:
    """The inputs that a file draws, in order."""
    return [torch.from_numpy(values) for values in golden.inputs(*shapes)]


def keep(found: Found, golden: Golden, name: str, values: Tensor) -> None:
    """The stored part of a tensor: every k-th value, statistics and shape."""
    stored = golden.arrays[name].shape
    steps = [1 if full == some else -(-full // some) for full, some in zip(values.shape, stored, strict=True)]
    found[name] = values[tuple(slice(None, None, step) for step in steps)].numpy()
    found[f"{name}_stats"] = statistics(values)
    found[f"{name}_shape"] = np.array(values.shape)


def keep_crop(found: Found, name: str, picture: Tensor, side: int) -> None:
    """The central window of a picture."""
    start = (picture.shape[-1] - side) // 2
    found[name] = picture[..., start : start + side, start : start + side].numpy()


@torch.inference_mode()
def codes(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Codes of a face without the mean code, taps of the trunk, and levels of the pyramid."""
    (face,) = draws(golden, (1, 3, 256, 256))
    network, found = encoder(golden), {}
    for name, values in (network.pyramid(face) | {"codes": network(face)}).items():
        keep(found, golden, name, values)
    return found


def keep_pictures(found: Found, golden: Golden, pictures: list[Tensor]) -> None:
    """The running pictures of all levels but the last."""
    for picture in pictures[:-1]:
        keep(found, golden, f"rgb_{picture.shape[-1]}", picture)


@torch.inference_mode()
def large(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A picture of 1024 px with stored noise, the picture of each level, and codes of z."""
    w, z = draws(golden, (1, 18, 512), (1, 512))
    network, found = generator(golden, FULL), {}
    pictures = list(network.pictures(w))
    keep(found, golden, "output", pictures[-1])
    keep_crop(found, "output_crop", pictures[-1], 32)
    keep_pictures(found, golden, pictures)
    keep(found, golden, "w", network.mapping(z))
    return found


@torch.inference_mode()
def small(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Pictures of 64 px: of w+, of one w, of z with and without truncation, with other noise, and in a batch."""
    network, found = generator(golden, FULL[:5]), {}
    w, z, mean, *noise = draws(golden, (1, 10, 512), (1, 512), (1, 512), *((1, 1, s, s) for s in network.noise_sides))
    noise = [2 * values for values in noise]  # the file draws its noise with variance 1
    mapped = network.mapping(z)
    cut = mean + 0.7 * (mapped - mean)
    pictures = list(network.pictures(w))
    keep_pictures(found, golden, pictures)
    results = {
        "wplus": pictures[-1],
        "w_single": network(w[:, :1].expand(-1, 10, -1)),
        "w_from_z": mapped,
        "z": network(mapped[:, None].expand(-1, 10, -1)),
        "z_trunc07": network(cut[:, None].expand(-1, 10, -1)),
        "given_noise": network(w, noise),
        "zero_noise": network(w, [torch.zeros_like(values) for values in noise]),
        "batch2_second": network(torch.cat([w, w.flip(1)]))[1:],
    }
    for name, values in results.items():
        keep(found, golden, name, values)
    return found


@torch.inference_mode()
def full(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """A face, its codes with a mean code, and the picture of 1024 px and averaged to 256."""
    face, mean = draws(golden, (1, 3, 256, 256), (18, 512))
    assert np.array_equal(mean.ravel()[:8], golden.arrays["latent_avg_head"])
    found: Found = {}
    w = encoder(golden)(face) + mean
    keep(found, golden, "codes", w)
    output = generator(golden, FULL)(w)
    keep(found, golden, "output", output)
    keep_crop(found, "output_crop", output, 32)
    pooled = functional.avg_pool2d(output, 4)
    keep(found, golden, "output_256", pooled)
    keep_crop(found, "output_256_crop", pooled, 16)
    return found


GOLDENS = (
    Case("stylegan2_64", small, repository_tolerance=2e-5, long=("*.A.npz", "*.B.npz")),
    Case("stylegan2_1024", large, repository_tolerance=2e-5, long=("*",)),
    Case("e4e_encoder", codes, tolerance=2e-5, long=("*",)),
    Case("e4e_full", full, repository_tolerance=2e-5, long=("*",)),
)
