"""`python -m benchmarks upsampler`: a face upsampler against Lanczos, for its model card."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from benchmarks.options import AsJson, Device, Precision
from benchmarks.parts import make_part
from odekit.cli.show import print_json, print_line, print_table
from odekit.core.image import Image
from odekit.core.interfaces import Upsampler
from odekit.errors import ConfigError
from odekit.evaluation.experiments.faces import Pictures, at_side, faces_of_split
from odekit.images.resize import resized
from odekit.parts.metrics.psnr import PsnrMetric
from odekit.parts.metrics.ssim import SsimMetric


def command(
    data: Annotated[Path, typer.Argument(help="Folder, tar or npz of large aligned faces with their split.")],
    part: Annotated[str, typer.Option("--upsampler", help="An upsampler by name, or as a YAML mapping.")] = "face-x4",
    split: Annotated[Literal["val", "test"], typer.Option(help="The split; use test last.")] = "val",
    side: Annotated[int, typer.Option(min=8, help="Side of the small faces.")] = 64,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many faces.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """PSNR and SSIM of an upsampler and of Lanczos on clean, blurred, noisy and damaged faces, and its time.

    Example: python -m benchmarks upsampler faces256.tar --split test
    """
    upsampler: Upsampler = make_part("upsampler", part, device, precision)
    if upsampler.spec.scale is None:
        raise ConfigError(
            f"--upsampler {part}: its output has a fixed side; only upsamplers with a scale can be compared"
        )
    large = round(side * upsampler.spec.scale)
    faces = at_side(faces_of_split(data, split, large)[:limit], large)
    rows, time_per_face = compare(upsampler, faces, side), milliseconds(upsampler, side)
    if as_json:
        print_json({"milliseconds_per_face": round(time_per_face, 2), "kinds": [row.tree() for row in rows]})
        return
    cells = [
        (
            row.kind,
            f"{row.psnr:.2f} dB",
            f"{row.ssim:.4f}",
            f"{row.lanczos_psnr:.2f} dB",
            f"{row.lanczos_ssim:.4f}",
            f"{row.psnr - row.lanczos_psnr:+.2f} dB {row.ssim - row.lanczos_ssim:+.4f}",
        )
        for row in rows
    ]
    print_table("", ("input", "PSNR", "SSIM", "Lanczos PSNR", "Lanczos SSIM", "gain"), cells)
    print_line(f"{len(faces)} {split} faces; {time_per_face:.1f} ms for one face")


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
    """The upsampler and Lanczos on faces (N, S, S, 3) that were reduced to `side` by area means and degraded.

    The kinds of input, and their noise, are those of the validation in training (`odekit.training.tasks.upsampler`):
    clean; blurred; noisy; and damaged by blur, noise and JPEG.
    """
    import torch

    from odekit.training import seeding
    from odekit.training.data import augment, small_inputs
    from odekit.training.tasks.prior_validation import VALIDATION_SEED
    from odekit.training.tasks.upsampler import VALIDATION_INPUTS

    truth = [Image.from_uint8(picture) for picture in large]
    small = augment.area_reduce(torch.from_numpy(np.stack([t.pixels for t in truth])), side)
    rows = []
    for kind, how in VALIDATION_INPUTS.items():
        inputs = [
            Image(x.numpy())
            for x in small_inputs.degrade(small, seeding.keyed_generator(VALIDATION_SEED, kind, 0), how)
        ]
        plain = [resized(i, t.height, t.width, "lanczos") for i, t in zip(inputs, truth, strict=True)]
        ours = upsampler.upsample(inputs, [])
        rows.append(Compared(kind, *mean_psnr_and_ssim(ours, truth), *mean_psnr_and_ssim(plain, truth), len(truth)))
    return rows


def milliseconds(upsampler: Upsampler, side: int = 64, runs: int = 20) -> float:
    """Median wall time of one face, after a warm-up."""
    face = Image(np.random.Generator(np.random.Philox(0)).random((3, side, side), dtype=np.float32))
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        upsampler.upsample([face], [])
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[1:])


def mean_psnr_and_ssim(images: Sequence[Image], truth: Sequence[Image]) -> tuple[float, float]:
    """Mean PSNR and SSIM."""
    pairs = list(zip(images, truth, strict=True))
    psnr, ssim = ([metric.measure(a, b) for a, b in pairs] for metric in (PsnrMetric(), SsimMetric()))
    return float(np.mean(psnr)), float(np.mean(ssim))
