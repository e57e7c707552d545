"""Makes docs/before-after.png: damaged, restored and original sample faces in three rows.

Usage: odekit run odedit examples/damaged -o out/ && python docs/figures.py out/
"""

from __future__ import annotations

import sys
from pathlib import Path

import PIL.Image

ROOT = Path(__file__).parent.parent
ENLARGE = 2


def rows(restored: Path) -> PIL.Image.Image:
    """Three rows of 64-pixel faces, enlarged twice without smoothing."""
    names = sorted(path.name for path in (ROOT / "examples" / "damaged").glob("*.png"))
    folders = [ROOT / "examples" / "damaged", restored, ROOT / "examples" / "clean"]
    sheet = PIL.Image.new("RGB", (64 * len(names), 64 * len(folders)))
    for y, folder in enumerate(folders):
        for x, name in enumerate(names):
            sheet.paste(PIL.Image.open(folder / name), (64 * x, 64 * y))
    return sheet.resize((sheet.width * ENLARGE, sheet.height * ENLARGE), PIL.Image.Resampling.NEAREST)


if __name__ == "__main__":
    rows(Path(sys.argv[1])).save(ROOT / "docs" / "before-after.png", optimize=True)
