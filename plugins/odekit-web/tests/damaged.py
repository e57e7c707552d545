"""A photograph with a damaged face, made from one of the examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

ROOT = Path(__file__).parent.parent.parent.parent


def damaged_photo(path: Path, noise: float = 0.1, side: int = 320, seed: int = 0) -> Path:
    """Head and shoulders of the astronaut with noise of this standard deviation, for values in [0, 1]."""
    with PIL.Image.open(ROOT / "examples" / "photos" / "astronaut.jpg") as picture:
        part = np.asarray(picture.convert("RGB").crop((40, 0, 40 + side, side)), np.float32) / 255
    rng = np.random.Generator(np.random.Philox(seed))
    values = np.clip(part + noise * rng.standard_normal(part.shape), 0, 1)
    PIL.Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(path)
    return path
