"""`python -m benchmarks strength-gallery`: draws docs/strength-gallery.jpg, eight faces restored by `odedit-auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import PIL.Image
import typer

from odekit import Chain, Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import TEST_FACES

CASES = (
    ("gaussian_noise", 4), ("impulse_noise", 4), ("mask_lines", 4), ("contrast", 4), ("fog", 4),
    ("glass_blur", 4), ("elastic", 4), ("half", 0),
)  # fmt: skip
"""Three that are restored, two whose colours are corrected, and three that fail."""


def command(
    out: Annotated[Path, typer.Option("--out", "-o", help="The image to write.")] = (
        Path(__file__).parents[1] / "docs" / "strength-gallery.jpg"
    ),
) -> None:
    """Draw eight faces damaged, restored by `odedit-auto`, and as they were; failures included.

    Example: python -m benchmarks strength-gallery
    """
    with np.load(TEST_FACES) as file:
        clean = [Image.from_uint8(picture) for picture in file["images"][3 : 3 + len(CASES)]]
    damaged = [
        half_masked(image) if kind == "half" else damage(image, kind, 0, severity)
        for image, (kind, severity) in zip(clean, CASES, strict=True)
    ]
    results = Chain.load("odedit-auto", ["restore.colour=undo"]).run(damaged)
    rows = [
        np.concatenate([image.to_uint8() for image in row], axis=1)
        for row in (damaged, [result.image for result in results], clean)
    ]
    sheet = PIL.Image.fromarray(np.concatenate(rows)).resize((1024, 384), PIL.Image.Resampling.NEAREST)
    sheet.save(out, quality=88)


def half_masked(image: Image) -> Image:
    """The image with half of its pixels, scattered, in one colour (the paper's figure 13)."""
    rng = np.random.Generator(np.random.Philox(13))
    pixels = image.pixels.copy()
    pixels[:, rng.random(pixels.shape[1:]) < 0.5] = np.array([[0.2], [0.6], [0.3]], np.float32)
    return image.with_pixels(pixels)
