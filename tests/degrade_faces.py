"""The 128 faces of the test split, and the two measures of the reference statistics."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"


@functools.cache
def faces() -> np.ndarray:
    with np.load(DATA / "faces" / "faces64_test.npz") as stored:
        return stored["images"]


@functools.cache
def stats() -> dict[str, dict[str, dict[str, float]]]:
    return json.loads((DATA / "corruption_stats.json").read_text())["kinds"]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return min(138.0, 10 * math.log10(255**2 / error)) if error else 138.0


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a, b, channel_axis=-1, data_range=255))
