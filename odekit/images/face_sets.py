"""Pictures out of an npz, a folder or a tar, with the split that comes with them."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
SPLITS = ("train", "val", "test")
HELD_OUT = 0.05
"""Share that becomes validation pictures where the data says nothing."""


@dataclass(frozen=True)
class Found:
    """What was read."""

    images: NDArray[np.uint8]
    """(N, S, S, 3)."""
    split: NDArray[np.str_]
    identity: NDArray[np.str_] | None = None
    bad: tuple[str, ...] = ()
    """One line per picture that cannot be used."""
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of the pictures' files; empty where the data has none."""


def read(path: Path, side: int) -> Found:
    """All pictures of `path`, at `side` or twice that.

    Raises:
        InputError: nothing is there, it is no such thing, or it holds no picture.
    """
    if path.is_dir():
        table = _index((path / "index.csv").read_text(encoding="utf-8")) if (path / "index.csv").is_file() else None
        return _pictures(path, _folder(path), table, side)
    if not path.is_file():
        raise InputError(f"{path}: no such folder or file; give a folder, a tar or an npz of aligned faces")
    if path.suffix == ".npz":
        return _npz(path, side)
    if not tarfile.is_tarfile(path):
        raise InputError(f"{path}: neither a folder nor a tar nor an npz of aligned faces")
    try:
        return _pictures(path, _tar(path), _tar_index(path), side)
    except tarfile.TarError as error:
        raise InputError(f"{path}: cannot be read to its end ({error}); is it cut short?") from error


def hashed_split(names: list[str]) -> NDArray[np.str_]:
    """'train' or 'val' by SHA-256 of each name: adding pictures moves none. At least one is 'val'."""
    score = np.array([int(hashlib.sha256(f"odekit-split-1:{n}".encode()).hexdigest()[:8], 16) / 2**32 for n in names])
    val = score < HELD_OUT
    if len(names) and not val.any():
        val[score.argmin()] = True
    return np.where(val, "val", "train")


def _npz(path: Path, side: int) -> Found:
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {name: file[name] for name in ("images", "split", "identity", "files") if name in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{path}: the npz cannot be read ({error})") from error
    images = stored.get("images")
    if (
        images is None
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1:] != (images.shape[2],) * 2 + (3,)
    ):
        seen = "missing" if images is None else f"{images.dtype} {images.shape}"
        raise InputError(f"{path}: `images` must be uint8 (N, S, S, 3), not {seen}")
    if images.shape[1] < side:
        raise InputError(f"{path}: pictures of {images.shape[1]} px are smaller than side {side}; set a smaller `side`")
    count = len(images)
    split = stored.get("split", hashed_split([str(i) for i in range(count)]))
    identity = stored.get("identity")
    files = stored.get("files")
    for name, column in (("split", split), ("identity", identity), ("files", files)):
        if column is not None and column.shape != (count,):
            raise InputError(f"{path}: `{name}` has shape {column.shape}, not one entry for each of {count} pictures")
    wrong = sorted(set(split) - set(SPLITS))
    if wrong:
        raise InputError(f"{path}: `split` says {str(wrong[0])!r}; it must be one of {', '.join(SPLITS)}")
    size = working_side(images.shape[1], side)
    if size != images.shape[1]:
        images = np.stack([_shrink(picture, size) for picture in images])
    return Found(images, split, identity, names=() if files is None else tuple(map(str, files)))


def working_side(smallest: int, side: int) -> int:
    """The side at which pictures are kept in memory, for the smallest picture's side."""
    return 2 * side if smallest >= 2 * side else side


def _shrink(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    from PIL import Image

    return _area(Image.fromarray(picture), size)


def _area(picture: PIL.Image.Image, size: int) -> NDArray[np.uint8]:
    """Mean over areas; rounded once where the factor is whole (Pillow's resize rounds after each axis)."""
    from PIL import Image

    if picture.width % size == 0:
        return np.asarray(picture.reduce(picture.width // size))
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES):
        yield file.relative_to(path).as_posix(), file.read_bytes()


def _tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile() and PurePosixPath(member.name).suffix.lower() in SUFFIXES:
                handle = tar.extractfile(member)
                if handle is not None:
                    yield PurePosixPath(member.name).as_posix(), handle.read()


def _tar_index(path: Path) -> dict[str, Mapping[str, str]] | None:
    with tarfile.open(path) as tar:
        for member in tar:
            if PurePosixPath(member.name).name == "index.csv" and (handle := tar.extractfile(member)):
                return _index(handle.read().decode())
    beside = path.parent / "index.csv"
    return _index(beside.read_text(encoding="utf-8")) if beside.is_file() else None


def _index(text: str) -> dict[str, Mapping[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "file" not in rows[0] or "split" not in rows[0]:
        raise InputError("index.csv: needs the columns `file` and `split`")
    for row in rows:
        if row["split"] not in SPLITS:
            raise InputError(f"index.csv: {row['file']}: split {row['split']!r} must be one of {', '.join(SPLITS)}")
    return {row["file"]: row for row in rows}


def _pictures(
    path: Path, files: Iterator[tuple[str, bytes]], table: Mapping[str, Mapping[str, str]] | None, side: int
) -> Found:
    names: list[str] = []
    kept: list[NDArray[np.uint8]] = []
    bad: list[str] = []
    unlisted = 0
    try:
        for name, content in files:
            if table is not None and name not in table:
                unlisted += 1
                continue
            picture = _decode(content, side)
            if isinstance(picture, str):
                bad.append(f"{name}: {picture}")
                continue
            names.append(name)
            kept.append(picture)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if not kept and not bad:
        raise InputError(f"{path}: no pictures in it ({', '.join(sorted(SUFFIXES))})")
    notes = (f"left out {unlisted} pictures that index.csv does not list",) if unlisted else ()
    size = working_side(min((p.shape[0] for p in kept), default=side), side)
    images = np.stack([p if p.shape[0] == size else _shrink(p, size) for p in kept]) if kept else _none(side)
    split = hashed_split(names) if table is None else np.array([table[n]["split"] for n in names], dtype=np.str_)
    people = None
    if table is not None and all("identity" in table[n] for n in names):
        people = np.array([table[n]["identity"] for n in names], dtype=np.str_)
    return Found(images, split, people, tuple(bad), notes, tuple(names))


def _none(side: int) -> NDArray[np.uint8]:
    return np.zeros((0, side, side, 3), dtype=np.uint8)


def _decode(content: bytes, side: int) -> NDArray[np.uint8] | str:
    """The picture, at most twice `side` large, or what is wrong with it."""
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except Exception as error:
        return f"broken ({error})"
    width, height = picture.size
    if width != height:
        return f"{width} x {height}, not square"
    if width < side:
        return f"{width} px, smaller than {side}"
    return _area(picture, 2 * side) if width > 2 * side else np.asarray(picture)
