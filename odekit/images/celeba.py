"""CelebA as it is distributed: `img_align_celeba` (178 x 218 px), its split, and the persons.

Liu et al., ICCV 2015 (arXiv:1411.7766). The pictures are cropped to a square, reduced, and kept in a file that is
mapped into memory, so that 200,000 of them need no memory of their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images.face_template import FFHQ_5

SIZE = (178, 218)
"""Width and height of the aligned pictures."""
PICTURES = "img_align_celeba"
PARTITION = "list_eval_partition.txt"
PERSONS = "identity_CelebA.txt"
POINTS = "list_landmarks_align_celeba.txt"
FOLDERS = (".", "Img", "Eval", "Anno")
"""Where the distribution has its files."""
CODES = {"0": "train", "1": "val", "2": "test"}
USUAL_CROP = 140
"""Side of the usual crop from the middle, in pixels."""

Window = tuple[int, int, int]
"""Left, top and side of a square crop."""


@dataclass(frozen=True)
class CelebA:
    """The files of a copy of the data set."""

    root: Path
    pictures: Path
    """The folder `img_align_celeba`, or the zip of that name."""
    partition: Path
    persons: Path | None
    points: Path | None


def find(root: Path) -> CelebA | None:
    """The copy of CelebA in a folder; None if it has none: pictures and split are needed."""

    def first(name: str) -> Path | None:
        return next((path for folder in FOLDERS if (path := root / folder / name).exists()), None)

    pictures, partition = first(PICTURES) or first(f"{PICTURES}.zip"), first(PARTITION)
    if pictures is None or partition is None:
        return None
    return CelebA(root, pictures, partition, first(PERSONS), first(POINTS))


@dataclass(frozen=True)
class Read:
    """Mapped pictures and their rows in the lists."""

    images: NDArray[np.uint8]
    names: tuple[str, ...]
    split: NDArray[np.str_]
    identity: NDArray[np.str_] | None
    bad: tuple[str, ...]


def read(found: CelebA, side: int, split: str | None = None, crop: int | str = USUAL_CROP) -> Read:
    """The pictures of a split, or of all, cropped and reduced to `side`.

    Args:
        found: see `find`.
        side: in pixels.
        split: train, val or test; None: all.
        crop: side of the crop from the middle in pixels, or `template`: the window in which the mean points of the data
            set have the places of the template `ffhq-5`.

    Raises:
        InputError: damaged lists, no picture of the split, a crop that is too small, or no room for the mapped file.
    """
    rows = dict(_rows(found.partition))
    unknown = sorted(set(rows.values()) - set(CODES))
    if unknown:
        raise InputError(f"{found.partition}: the split '{unknown[0]}' is none of {', '.join(CODES)}")
    splits = {name: CODES[code] for name, code in rows.items()}
    names = [name for name, value in splits.items() if split in (None, value)]
    if not names:
        raise InputError(f"{found.partition}: no {split} pictures (there are {counted(list(splits.values()))})")
    window = crop_window(found, crop)
    if window[2] < side:
        raise InputError(f"{found.root}: the crop of {window[2]} px is smaller than side {side}")
    persons = None if found.persons is None else dict(_rows(found.persons))
    images, kept, bad = _mapped(found, names, window, side, split or "all")
    known = [names[i] for i in kept]
    identity = None if persons is None else np.array([persons.get(name, name) for name in known], dtype=np.str_)
    return Read(images, tuple(known), np.array([splits[name] for name in known], dtype=np.str_), identity, bad)


def counted(splits: Sequence[str]) -> str:
    """Numbers by split: `162770 train, 19867 val, 19962 test`."""
    numbers = {name: splits.count(name) for name in dict.fromkeys(CODES.values())}
    return ", ".join(f"{count} {name}" for name, count in numbers.items() if count) or "none"


def crop_window(found: CelebA, crop: int | str) -> Window:
    """The square that is cut from every picture.

    Raises:
        InputError: it does not fit into the pictures, or the points for `template` are missing.
    """
    width, height = SIZE
    if isinstance(crop, int):
        if not 8 <= crop <= min(SIZE):
            raise InputError(
                f"crop {crop}: must be between 8 and {min(SIZE)}, the pictures' shorter side, or 'template'"
            )
        return (width - crop) // 2, (height - crop) // 2, crop
    if crop != "template":
        raise InputError(f"crop '{crop}': must be a number of pixels or 'template'")
    if found.points is None:
        raise InputError(f"{found.root}: the crop 'template' needs {POINTS}")
    lines = found.points.read_text(encoding="utf-8").splitlines()
    try:
        points = np.array([[float(x) for x in line.split()[1:]] for line in lines[2:] if line.strip()]).mean(0)
        points = points.reshape(5, 2)
    except (ValueError, IndexError) as error:
        raise InputError(f"{found.points}: cannot be read ({error})") from error
    # Least squares of side and corner: points = corner + side * template.
    template = FFHQ_5
    centred = template - template.mean(0)
    side = float((centred * (points - points.mean(0))).sum() / (centred**2).sum())
    left, top = points.mean(0) - side * template.mean(0)
    window = (round(left), round(top), min(round(side), width, height))
    return min(max(window[0], 0), width - window[2]), min(max(window[1], 0), height - window[2]), window[2]


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """(file, value) of each line. Raises InputError."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        name, value = line.split()
                    except ValueError:
                        raise InputError(f"{path}:{number}: must be a file name and a value") from None
                    yield name, value
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _mapped(
    found: CelebA, names: Sequence[str], window: Window, side: int, split: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """The mapped pictures, the rows of `names` that they are, and one line for each that cannot be used."""
    facts = repr((names, window, side, found.pictures.name)).encode()
    name = f"odekit-{split}-{side}px-{hashlib.sha256(facts).hexdigest()[:12]}.npy"
    file = found.root / name
    rows = file.with_suffix(".rows.npz")
    with contextlib.suppress(OSError, ValueError, KeyError):
        with np.load(rows, allow_pickle=False) as stored:
            kept, bad = stored["kept"], tuple(map(str, stored["bad"]))
        return np.load(file, mmap_mode="r")[: len(kept)], kept, bad
    try:
        part = _new_file(file, (len(names), side, side, 3))
        kept, bad = _fill(part.array, found, names, window, side)
        return part.finished(rows, kept, bad)[: len(kept)], kept, bad
    except OSError as error:
        raise InputError(f"{file}: the reduced pictures cannot be written ({error.strerror or error})") from error


@dataclass
class _NewFile:
    """A mapped file that is being written: beside the data, or a nameless one where that cannot be written."""

    array: NDArray[np.uint8]
    part: Path | None
    file: Path

    def finished(self, rows: Path, kept: NDArray[np.int64], bad: tuple[str, ...]) -> NDArray[np.uint8]:
        """The pictures, under their final name, read-only."""
        if self.part is None:
            return self.array
        assert isinstance(self.array, np.memmap)
        self.array.flush()
        os.replace(self.part, self.file)
        np.savez(rows, kept=kept, bad=np.array(bad, dtype=np.str_))
        array: NDArray[np.uint8] = np.load(self.file, mmap_mode="r")
        return array


def _new_file(file: Path, shape: tuple[int, int, int, int]) -> _NewFile:
    part = file.with_suffix(f".{os.getpid()}.part")
    try:
        return _NewFile(np.lib.format.open_memmap(part, mode="w+", dtype=np.uint8, shape=shape), part, file)
    except PermissionError:
        return _NewFile(np.memmap(tempfile.TemporaryFile(), dtype=np.uint8, mode="w+", shape=shape), None, file)


def _fill(
    array: NDArray[np.uint8], found: CelebA, names: Sequence[str], window: Window, side: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Decode the pictures into the array, the usable ones first."""
    kept: list[int] = []
    bad: list[str] = []
    with _opener(found.pictures) as content:
        for i, name in enumerate(names):
            try:
                array[len(kept)] = decode(content(name), window, side)
            except Exception as error:  # whatever a damaged file causes
                bad.append(f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            else:
                kept.append(i)
    return np.array(kept, dtype=np.int64), tuple(bad)


@contextlib.contextmanager
def _opener(pictures: Path) -> Iterator[Callable[[str], bytes]]:
    """Reads pictures by name, from the folder or from the zip."""
    if pictures.is_dir():
        yield lambda name: (pictures / name).read_bytes()
        return
    try:
        with zipfile.ZipFile(pictures) as archive:
            yield lambda name: archive.read(f"{PICTURES}/{name}")
    except zipfile.BadZipFile as error:
        raise InputError(f"{pictures}: cannot be read ({error})") from error


def decode(content: bytes, window: Window, side: int) -> NDArray[np.uint8]:
    """The crop of a picture, reduced to `side` by area means. Raises InputError for another size than CelebA's."""
    from PIL import Image

    from odekit.images.formats.decode import open_picture

    left, top, length = window
    with open_picture(content) as opened:
        if opened.size != SIZE:
            raise InputError(f"{opened.width} x {opened.height} px, not {SIZE[0]} x {SIZE[1]}")
        crop = opened.convert("RGB").crop((left, top, left + length, top + length))
    return np.asarray(crop.resize((side, side), Image.Resampling.BOX))
