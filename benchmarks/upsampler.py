"""`odekit bench upsampler`: a face upsampler against Lanczos, for its model card."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Upsampler
from odekit.evaluation.experiments.faces import Pictures
from odekit.images.resize import resized
from odekit.parts.metrics.psnr import PsnrMetric
from odekit.parts.metrics.ssim import SsimMetric


@dataclass(frozen=True)
class Compared:
    """Means over the faces, for one kind of input."""

    kind: str
    psnr: float
    """dB."""
    ssim: float
    lanczos_psnr: float
    lanczos_ssim: float
    count: int

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        gains = {"psnr_gain": self.psnr - self.lanczos_psnr, "ssim_gain": self.ssim - self.lanczos_ssim}
        numbers = {name: round(value, 4) for name, value in ({**vars(self), **gains}).items() if name != "kind"}
        return {"kind": self.kind, **numbers}


def compare(upsampler: Upsampler, large: Pictures, side: int = 64) -> list[Compared]:
    """The upsampler and Lanczos on faces (N, S, S, 3) that were area-reduced to `side` and worsened.

    The kinds of input, and their noise, are those of the training's validation (`odekit.training.tasks.upsampler.KINDS`): clean;
    blurred; noisy; and damaged by blur, noise and JPEG.
    """
    import torch

    from odekit.training import seeding
    from odekit.training.data import augment, small_inputs
    from odekit.training.tasks.prior_validation import SEED
    from odekit.training.tasks.upsampler import KINDS

    truth = [Image.from_uint8(picture) for picture in large]
    small = augment.reduce(torch.from_numpy(np.stack([t.pixels for t in truth])), side)
    found = []
    for kind, how in KINDS.items():
        inputs = [Image(x.numpy()) for x in small_inputs.worsen(small, seeding.generator(SEED, kind, 0), how)]
        plain = [resized(i, t.height, t.width, "lanczos") for i, t in zip(inputs, truth, strict=True)]
        ours = upsampler.upsample(inputs, [])
        found.append(Compared(kind, *_means(ours, truth), *_means(plain, truth), len(truth)))
    return found


def milliseconds(upsampler: Upsampler, side: int = 64, runs: int = 20) -> float:
    """Median wall time of one face, after a warm-up."""
    face = Image(np.random.Generator(np.random.Philox(0)).random((3, side, side), dtype=np.float32))
    taken = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        upsampler.upsample([face], [])
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken[1:])


def _means(some: Sequence[Image], truth: Sequence[Image]) -> tuple[float, float]:
    pairs = list(zip(some, truth, strict=True))
    psnr, ssim = ([metric.measure(a, b) for a, b in pairs] for metric in (PsnrMetric(), SsimMetric()))
    return float(np.mean(psnr)), float(np.mean(ssim))
