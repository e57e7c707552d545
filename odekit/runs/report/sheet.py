"""Pictures of the way through a chain, and all of them side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from odekit.core.image import Image
from odekit.images.io import write

HEIGHT = 256
MARGIN = 8
CAPTION = 20


def write_stages(folder: Path, stages: Sequence[tuple[str, Image]]) -> Path:
    """Write each picture as `N-name.png` and `sheet.png` with all of them; returns the sheet's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, image) in enumerate(stages):
        write(image, folder / f"{number}-{name}.png", format="png")
    path = folder / "sheet.png"
    write(Image.from_uint8(np.asarray(sheet([list(stages)]))), path, format="png")
    return path


def sheet(rows: Sequence[Sequence[tuple[str, Image]]]) -> PIL.Image.Image:
    """Rows of captioned pictures at one height, on white. Small pictures are enlarged without smoothing."""
    tiles = [[(name, tile(image)) for name, image in row] for row in rows]
    width = max(sum(picture.width + MARGIN for _, picture in row) for row in tiles) + MARGIN
    canvas = PIL.Image.new("RGB", (width, len(rows) * (HEIGHT + CAPTION + MARGIN) + MARGIN), "white")
    draw = PIL.ImageDraw.Draw(canvas)
    font = PIL.ImageFont.load_default(14)
    for line, row in enumerate(tiles):
        x, y = MARGIN, MARGIN + line * (HEIGHT + CAPTION + MARGIN)
        for name, picture in row:
            draw.text((x, y), name, fill="black", font=font)
            canvas.paste(picture, (x, y + CAPTION))
            x += picture.width + MARGIN
    return canvas


def tile(image: Image) -> PIL.Image.Image:
    """One picture at the sheet's height."""
    picture = PIL.Image.fromarray(image.to_uint8())
    width = max(1, round(image.width * HEIGHT / image.height))
    enlarge = PIL.Image.Resampling.NEAREST if image.height <= 64 else PIL.Image.Resampling.LANCZOS
    return picture.resize((width, HEIGHT), enlarge)
