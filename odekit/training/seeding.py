"""Random numbers of a run as a pure function of (seed, purpose, step), so that a resumed run repeats them exactly."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def keyed_generator(seed: int, purpose: str, number: int) -> np.random.Generator:
    """The generator for one purpose (`purpose`) at one step, epoch or item (`number`)."""
    key = hashlib.sha256(f"odekit-train-1|{seed}|{purpose}|{number}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], dtype="<u8")))


def batch_indices(seed: int, step: int, batch: int, count: int) -> NDArray[np.int64]:
    """Indices (batch,) of the pictures in the batch of this step, out of `count` pictures.

    A run reads one endless sequence of shuffled epochs, with each picture once per epoch. Step s reads the positions
    `s * batch .. (s + 1) * batch - 1` of this sequence.
    """
    positions = np.arange(step * batch, (step + 1) * batch)
    indices = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // count):
        order = keyed_generator(seed, "epoch", int(epoch)).permutation(count)
        in_epoch = positions // count == epoch
        indices[in_epoch] = order[positions[in_epoch] % count]
    return indices


def stratified_timesteps(rng: np.random.Generator, batch: int, total: int) -> NDArray[np.int64]:
    """Uniform timesteps 0 .. total - 1, one in each of `batch` equal bands, in random order.

    Their variance is lower than that of independent draws: the low-discrepancy sampler of Variational Diffusion Models
    (arXiv:2107.00630), appendix I.1.
    """
    u = (rng.random() + np.arange(batch)) / batch % 1.0
    return np.minimum((rng.permutation(u) * total).astype(np.int64), total - 1)
