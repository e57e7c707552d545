"""Contact sheets: captioned pictures in rows; and the intermediate pictures of `--keep-stages`."""

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
"""Of every picture on a sheet, in pixels."""
MARGIN = 8
CAPTION = 20
"""Height of a caption, in pixels."""


def write_stages(folder: Path, stages: Sequence[tuple[str, Image]]) -> Path:
    """Write each picture as `N-name.png`, and all of them on `sheet.png`; returns the path of the sheet."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, image) in enumerate(stages):
        write(image, folder / f"{number}-{name}.png", format="png")
    path = folder / "sheet.png"
    write(Image.from_uint8(np.asarray(contact_sheet([list(stages)]))), path, format="png")
    return path


def contact_sheet(rows: Sequence[Sequence[tuple[str, Image]]]) -> PIL.Image.Image:
    """Rows of captioned pictures of equal height on white. Small pictures are enlarged without smoothing."""
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
    """One picture scaled to the height of the sheet."""
    picture = PIL.Image.fromarray(image.to_uint8())
    width = max(1, round(image.width * HEIGHT / image.height))
    enlarge = PIL.Image.Resampling.NEAREST if image.height <= 64 else PIL.Image.Resampling.LANCZOS
    return picture.resize((width, HEIGHT), enlarge)
