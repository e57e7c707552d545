"""Randomness of a run as a pure function of (seed, step), so that a resumed run repeats it exactly."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, what: str, number: int) -> np.random.Generator:
    """The generator of one step (or epoch) for one purpose."""
    key = hashlib.sha256(f"odekit-train-1|{seed}|{what}|{number}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], dtype="<u8")))


def rows(seed: int, step: int, batch: int, count: int) -> NDArray[np.int64]:
    """Which of `count` pictures are in the batch of this step: (batch,) indices.

    The run reads one endless sequence of shuffled epochs, each picture once per epoch; step s reads places
    `s * batch .. (s + 1) * batch - 1` of it.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    out = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(places // count):
        order = generator(seed, "epoch", int(epoch)).permutation(count)
        here = places // count == epoch
        out[here] = order[places[here] % count]
    return out


def timesteps(rng: np.random.Generator, batch: int, total: int) -> NDArray[np.int64]:
    """Uniform timesteps 0 .. total - 1, one in each of `batch` equal bands, shuffled: lower variance than free draws.

    Variational Diffusion Models (arXiv:2107.00630), appendix I.1: low-discrepancy sampler.
    """
    u = (rng.random() + np.arange(batch)) / batch % 1.0
    return np.minimum((rng.permutation(u) * total).astype(np.int64), total - 1)
