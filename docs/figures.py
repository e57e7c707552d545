"""Makes docs/before-after.png: damaged, restored and original sample faces in three rows.

Usage: odekit run odedit-plus examples/damaged -o out/ && python docs/figures.py out/
"""

from __future__ import annotations

import sys
from pathlib import Path

import PIL.Image

ROOT = Path(__file__).parent.parent
SIDE = 128


def rows(restored: Path) -> PIL.Image.Image:
    """Three rows of faces at one side: small ones enlarged without smoothing, large ones reduced by area."""
    names = sorted(path.name for path in (ROOT / "examples" / "damaged").glob("*.png"))
    folders = [ROOT / "examples" / "damaged", restored, ROOT / "examples" / "clean"]
    sheet = PIL.Image.new("RGB", (SIDE * len(names), SIDE * len(folders)))
    for y, folder in enumerate(folders):
        for x, name in enumerate(names):
            face = PIL.Image.open(folder / name)
            how = PIL.Image.Resampling.NEAREST if face.width < SIDE else PIL.Image.Resampling.BOX
            sheet.paste(face.resize((SIDE, SIDE), how), (SIDE * x, SIDE * y))
    return sheet


if __name__ == "__main__":
    rows(Path(sys.argv[1])).save(ROOT / "docs" / "before-after.png", optimize=True)
