"""Makes docs/strength-gallery.jpg: what `odedit-auto` does to eight faces, its failures among them.

Run: python docs/strength_figures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from odekit import Chain, Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import TEST_FACES

HERE = Path(__file__).parent
CASES = (
    ("gaussian_noise", 4), ("impulse_noise", 4), ("mask_lines", 4), ("contrast", 4), ("fog", 4),
    ("glass_blur", 4), ("elastic", 4), ("half", 0),
)  # fmt: skip
"""Mended, mended, mended, colours undone twice, and three that fail."""


def half_masked(image: Image) -> Image:
    """Half of the pixels in one colour, scattered (the paper's figure 13)."""
    rng = np.random.Generator(np.random.Philox(13))
    pixels = image.pixels.copy()
    pixels[:, rng.random(pixels.shape[1:]) < 0.5] = np.array([[0.2], [0.6], [0.3]], np.float32)
    return image.with_pixels(pixels)


def main() -> None:
    """Rows: damaged, restored, original."""
    with np.load(TEST_FACES) as file:
        clean = [Image.from_uint8(picture) for picture in file["images"][3 : 3 + len(CASES)]]
    hurt = [
        half_masked(image) if kind == "half" else damage(image, kind, 0, severity)
        for image, (kind, severity) in zip(clean, CASES, strict=True)
    ]
    results = Chain.load("odedit-auto", ["restore.colour=undo"]).run(hurt)
    rows = [
        np.concatenate([image.to_uint8() for image in row], axis=1) for row in (hurt, [r.image for r in results], clean)
    ]
    sheet = PIL.Image.fromarray(np.concatenate(rows)).resize((1024, 384), PIL.Image.Resampling.NEAREST)
    sheet.save(HERE / "strength-gallery.jpg", quality=88)


if __name__ == "__main__":
    main()
