"""A folder like CelebA's distribution, with generated pictures."""

import numpy as np
from PIL import Image

COUNTS = {0: 20, 1: 3, 2: 4}
POINTS = np.array([(69.5, 111.3), (107.6, 111.5), (88.0, 135.9), (73.1, 151.9), (105.2, 151.8)])
"""About where the points of its aligned pictures are."""


def picture(number):
    """178 x 218: four grey quarters of the middle square of 140 px, differing by number; white around it."""
    pixels = np.full((218, 178, 3), 255, np.uint8)
    rng = np.random.default_rng(number)
    for y in (0, 1):
        for x in (0, 1):
            pixels[39 + 70 * y : 109 + 70 * y, 19 + 70 * x : 89 + 70 * x] = rng.integers(0, 200, 3)
    return pixels


def make(folder, counts=None, layout=".", suffix="jpg"):
    """Write the data set; `layout` is the subfolder of the pictures (its distribution has Img, Eval and Anno)."""
    counts = counts or COUNTS
    names = [f"{i + 1:06d}.{suffix}" for i in range(sum(counts.values()))]
    codes = [code for code, count in counts.items() for _ in range(count)]
    pictures = folder / layout / "img_align_celeba"
    pictures.mkdir(parents=True)
    for i, name in enumerate(names):
        Image.fromarray(picture(i)).save(pictures / name, **({"quality": 95} if suffix == "jpg" else {}))
    lists, notes = (folder, folder) if layout == "." else (folder / "Eval", folder / "Anno")
    for place in {lists, notes}:
        place.mkdir(exist_ok=True)
    (lists / "list_eval_partition.txt").write_text("".join(f"{n} {c}\n" for n, c in zip(names, codes, strict=True)))
    (notes / "identity_CelebA.txt").write_text("".join(f"{n} {1000 + i}\n" for i, n in enumerate(names)))
    rows = "".join(f"{n} {' '.join(f'{round(v)}' for v in POINTS.ravel())}\n" for n in names)
    (notes / "list_landmarks_align_celeba.txt").write_text(f"{len(names)}\nlefteye_x lefteye_y ...\n{rows}")
    return folder
