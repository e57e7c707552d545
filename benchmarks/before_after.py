"""`python -m benchmarks before-after`: draws docs/before-after.png, the sample faces in three rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import PIL.Image
import typer

ROOT = Path(__file__).parents[1]
SIDE = 128


def command(
    restored: Annotated[Path, typer.Argument(help="Folder of the restored sample faces.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The image to write.")] = ROOT / "docs" / "before-after.png",
) -> None:
    """Draw the damaged, restored and original sample faces in three rows.

    Example: odekit run odedit-plus examples/damaged -o out/ && python -m benchmarks before-after out/
    """
    draw(restored).save(out, optimize=True)


def draw(restored: Path) -> PIL.Image.Image:
    """Three rows of faces at one side: small ones enlarged without smoothing, large ones reduced by area."""
    names = sorted(path.name for path in (ROOT / "examples" / "damaged").glob("*.png"))
    folders = [ROOT / "examples" / "damaged", restored, ROOT / "examples" / "clean"]
    sheet = PIL.Image.new("RGB", (SIDE * len(names), SIDE * len(folders)))
    for y, folder in enumerate(folders):
        for x, name in enumerate(names):
            face = PIL.Image.open(folder / name)
            resampling = PIL.Image.Resampling.NEAREST if face.width < SIDE else PIL.Image.Resampling.BOX
            sheet.paste(face.resize((SIDE, SIDE), resampling), (SIDE * x, SIDE * y))
    return sheet
