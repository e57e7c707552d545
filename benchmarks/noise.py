"""`python -m benchmarks noise`: photographs with noise of every kind, measured and removed by the stage `denoise`."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import PIL.Image
import typer
from numpy.typing import NDArray

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.photo import labelled_photos
from benchmarks.quality import pixel_psnr
from benchmarks.table import Goal, Table
from odekit.core.image import Image, Pixels
from odekit.images.io import read
from odekit.parts.repair.denoise import DenoiseStage

Generator = np.random.Generator
STDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
GRAIN_STD, JPEG_STD = 0.06, 0.06
"""Standard deviation of the grain, and of the noise before compression."""
COLUMNS = {
    "kind": "noise", "amount": "amount", "true": "true", "least": "least measured", "most": "most measured",
    "unknown": "unknown", "before": "before dB", "after": "after dB", "gain": "least gain",
    "seconds": "s per megapixel",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of noise."""

    name: str
    amounts: Sequence[float]
    add: Callable[[Pixels, float, Generator], NDArray[np.floating]]
    fact: str = "noise"
    """The measured figure in the record."""
    tolerance: Callable[[float], float] | None = None
    """Relative error that is allowed at an amount; None: no goal."""
    true: Callable[[float], float] | None = None
    """Standard deviation of the noise at an amount, where that is not the amount."""
    after: Callable[[Pixels, float], Pixels] | None = None
    """What is done to a photograph after the noise: the noise is what it adds to the clean one with the same done."""


def white(pixels: Pixels, std: float, rng: Generator) -> NDArray[np.floating]:
    """Gaussian noise, independent in all values."""
    return pixels + std * rng.standard_normal(pixels.shape)


def grain(pixels: Pixels, size: float, rng: Generator) -> NDArray[np.floating]:
    """Film grain: Gaussian noise alike in all channels, blurred with a standard deviation of half its size."""
    from scipy.ndimage import gaussian_filter

    plane = gaussian_filter(rng.standard_normal(pixels.shape[1:]), size / 2)
    out: NDArray[np.floating] = pixels + GRAIN_STD * plane / plane.std()
    return out


def jpeg(pixels: Pixels, quality: float, rng: Generator) -> NDArray[np.floating]:
    """Gaussian noise, then JPEG."""
    return compressed(white(pixels, JPEG_STD, rng).astype(np.float32), quality)


def compressed(pixels: Pixels, quality: float) -> Pixels:
    """Compressed as JPEG, with chroma at half the resolution."""
    file = io.BytesIO()
    PIL.Image.fromarray(Image(pixels).to_uint8()).save(file, "JPEG", quality=int(quality))
    return Image.from_uint8(np.asarray(PIL.Image.open(file))).pixels


def salt_pepper(pixels: Pixels, share: float, rng: Generator) -> NDArray[np.floating]:
    """A share of the values becomes 0 or 1."""
    draw = rng.random(pixels.shape)
    return np.where(draw < share / 2, 0.0, np.where(draw > 1 - share / 2, 1.0, pixels))


def replaced(pixels: Pixels, share: float, rng: Generator) -> NDArray[np.floating]:
    """A share of the values becomes random."""
    return np.where(rng.random(pixels.shape) < share, rng.random(pixels.shape), pixels)


KINDS = (
    Kind("none", (0,), lambda pixels, amount, rng: pixels),
    Kind("white", STDS, white, tolerance=lambda std: 0.15 if std <= 0.3 else 0.25),
    Kind("grain", (1, 2, 3), grain, tolerance=lambda size: 0.2, true=lambda size: GRAIN_STD),
    Kind("jpeg", (90, 75, 60, 50), jpeg, tolerance=lambda quality: 0.15 if quality >= 75 else 0.35, after=compressed),
    Kind("salt and pepper", (0.01, 0.05, 0.2), salt_pepper, "impulses"),
    Kind("replaced", (0.01, 0.05, 0.2), replaced, "impulses"),
)


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of photographs with a faces.json that lists their faces.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    side: Annotated[int, typer.Option(min=64, help="Their middle of at most this many pixels is used.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Noise that the stage `denoise` measures, and PSNR before and after it, for every kind of noise.

    White noise has the standard deviation `amount`; grain is `amount` pixels wide, with a standard deviation of 0.06;
    JPEG of quality `amount` follows white noise of 0.06; impulses are a share `amount` of the values.

    Example: python -m benchmarks noise photos/ --limit 2
    """
    photos = [middle(read(one.path), side) for one in labelled_photos(folder)[:limit]]
    print_result(measure(photos), as_json)


def middle(photo: Image, side: int) -> Image:
    """The middle of a photograph."""
    top, left = (max(0, (n - side) // 2) for n in (photo.height, photo.width))
    return Image(np.ascontiguousarray(photo.pixels[:, top : top + side, left : left + side]))


def measure(photos: Iterable[Image]) -> Table:
    """Every photograph with every noise. Noise must be measured within the tolerance of its kind."""
    stage, photos, rows, goals = DenoiseStage(), list(photos), [], []
    for kind in KINDS:
        for amount in kind.amounts:
            found: list[float] = []
            psnr, seconds, errors, truths = [], [], [], []
            for number, clean in enumerate(photos):
                rng = np.random.Generator(np.random.Philox(number))
                noisy = clean if kind.name == "none" else eight_bits(kind.add(clean.pixels, amount, rng))
                started = time.process_time()
                after, facts = stage.denoise(noisy)
                seconds.append((time.process_time() - started) / (clean.height * clean.width / 1e6))
                found += [facts[kind.fact]] if facts[kind.fact] is not None else []
                truths.append(true_amount(kind, amount, noisy, clean))
                errors += [abs(found[-1] / truths[-1] - 1)] if facts[kind.fact] is not None and truths[-1] else []
                psnr.append([pixel_psnr(image.pixels, clean.pixels) for image in (noisy, after)])
            before, later = np.transpose(psnr)
            gain = 0.0 if kind.name == "none" else float((later - before).min())
            rows.append(
                {
                    "kind": kind.name, "amount": amount, "true": float(np.mean(truths)),
                    "least": min(found), "most": max(found), "unknown": len(photos) - len(found),
                    "before": float(before.mean()), "after": float(later.mean()), "gain": gain,
                    "seconds": float(np.mean(seconds)),
                }
            )  # fmt: skip
            if kind.tolerance is not None:
                goals.append(Goal(f"{kind.name} {amount:g}: relative error", max(errors), most=kind.tolerance(amount)))
            if kind.name == "none":
                goals.append(Goal("none: noise", max(found), most=0.02))
    how = f"{len(photos)} photographs; grain and noise under JPEG of standard deviation 0.06; PSNR"
    return Table("noise", how, COLUMNS, rows, goals)


def true_amount(kind: Kind, amount: float, noisy: Image, clean: Image) -> float:
    """What should be measured in a noisy photograph."""
    if kind.after is not None:
        return float((noisy.pixels - kind.after(clean.pixels, amount)).std())
    return kind.true(amount) if kind.true else amount


def eight_bits(values: NDArray[np.floating]) -> Image:
    """Clipped and rounded."""
    return Image.from_uint8(Image(values.astype(np.float32)).to_uint8())
