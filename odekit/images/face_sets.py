"""Sets of face images from an npz file, a folder or a tar archive, split into training and held-out images."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import celeba
from odekit.images.formats.names import READABLE

if TYPE_CHECKING:
    import PIL.Image

FACE_SUFFIXES = READABLE
SPLITS = ("train", "val", "test")
VALIDATION_FRACTION = 0.05
"""Fraction of validation images if the data comes without a split."""


@dataclass(frozen=True)
class ImageSet:
    """A set of N square images of side S."""

    images: NDArray[np.uint8]
    """(N, S, S, 3)."""
    split: NDArray[np.str_]
    """(N,): one of SPLITS for each image."""
    identity: NDArray[np.str_] | None = None
    """(N,): the person in each image; None if unknown."""
    bad: tuple[str, ...] = ()
    """One line per image that cannot be used."""
    notes: tuple[str, ...] = ()
    """One line per remark about the whole set."""
    names: tuple[str, ...] = ()
    """File names of the images; empty if the data has none."""


class PictureRows:
    """Some rows of mapped images, which are read when they are asked for: an array without the memory of one."""

    def __init__(self, images: NDArray[np.uint8], index: NDArray[np.int64]) -> None:
        self.images, self.index = images, index
        self.shape, self.dtype = (len(index), *images.shape[1:]), images.dtype

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """The pictures of a number, a slice or an array of numbers."""
        return np.asarray(self.images[self.index[key]])

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[i] for i in range(len(self)))


def select(images: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The images of a mask; of mapped images without reading them: a slice, or `PictureRows` with its interface."""
    if not isinstance(images, np.memmap):
        return images[mask]
    index = np.flatnonzero(mask)
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return images[index[0] : index[-1] + 1]
    rows: Any = PictureRows(images, index)
    chosen: NDArray[np.uint8] = rows
    return chosen


def read(path: Path, side: int, split: str | None = None, crop: int | str = celeba.USUAL_CROP) -> ImageSet:
    """Read the images of an npz file, a folder or a tar archive, at `side` or twice that; or CelebA as distributed.

    Args:
        path: of the data.
        side: in pixels.
        split: of CelebA, only this split is read; other data is read as a whole.
        crop: of CelebA, see `odekit.images.celeba.read`; its pictures are mapped from a file, at `side`.

    Raises:
        InputError: the path does not exist, is none of these, cannot be read, or holds no image.
    """
    found = celeba.find(path) if path.is_dir() else None
    if found is not None:
        data = celeba.read(found, side, split, crop)
        return ImageSet(data.images, data.split, data.identity, data.bad, names=data.names)
    if path.is_dir():
        return _read_files(path, _folder_files(path), _index_file(path / "index.csv"), side)
    if not path.is_file():
        raise InputError(f"{path}: no such folder or file; give a folder, a tar or an npz of aligned faces")
    if path.suffix == ".npz":
        return _read_npz(path, side)
    if not tarfile.is_tarfile(path):
        raise InputError(f"{path}: neither a folder nor a tar nor an npz of aligned faces")
    try:
        return _read_files(path, _tar_files(path), _tar_index(path), side)
    except tarfile.TarError as error:
        raise InputError(f"{path}: cannot be read completely ({error}); it may be truncated") from error


def hashed_split(names: list[str]) -> NDArray[np.str_]:
    """'train' or 'val' by the SHA-256 of each name, so adding images moves no other image. At least one is 'val'."""
    scores = np.array([int(hashlib.sha256(f"odekit-split-1:{n}".encode()).hexdigest()[:8], 16) / 2**32 for n in names])
    val = scores < VALIDATION_FRACTION
    if len(names) and not val.any():
        val[scores.argmin()] = True
    return np.where(val, "val", "train")


def _read_npz(path: Path, side: int) -> ImageSet:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("images", "split", "identity", "files") if name in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{path}: the npz cannot be read ({error})") from error
    images = arrays.get("images")
    if (
        images is None
        or images.dtype != np.uint8
        or images.ndim != 4
        or images.shape[1:] != (images.shape[2],) * 2 + (3,)
    ):
        actual = "missing" if images is None else f"{images.dtype} {images.shape}"
        raise InputError(f"{path}: `images` must be uint8 (N, S, S, 3), not {actual}")
    if images.shape[1] < side:
        raise InputError(f"{path}: pictures of {images.shape[1]} px are smaller than side {side}; set a smaller `side`")
    count = len(images)
    split = arrays.get("split", hashed_split([str(i) for i in range(count)]))
    identity = arrays.get("identity")
    files = arrays.get("files")
    for name, column in (("split", split), ("identity", identity), ("files", files)):
        if column is not None and column.shape != (count,):
            raise InputError(f"{path}: `{name}` has shape {column.shape}, not one entry for each of {count} pictures")
    invalid = sorted(set(split) - set(SPLITS))
    if invalid:
        raise InputError(f"{path}: `split` contains {str(invalid[0])!r}; it must be one of {', '.join(SPLITS)}")
    size = working_side(images.shape[1], side)
    if size != images.shape[1]:
        images = np.stack([_shrink(picture, size) for picture in images])
    return ImageSet(images, split, identity, names=() if files is None else tuple(map(str, files)))


def working_side(smallest: int, side: int) -> int:
    """The side at which all images are kept in memory, given the side of the smallest image."""
    return 2 * side if smallest >= 2 * side else side


def _shrink(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    from PIL import Image

    return _area_resize(Image.fromarray(picture), size)


def _area_resize(picture: PIL.Image.Image, size: int) -> NDArray[np.uint8]:
    """Area mean. For integer factors it is rounded only once (Pillow's `resize` rounds after each axis)."""
    from PIL import Image

    if picture.width % size == 0:
        return np.asarray(picture.reduce(picture.width // size))
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX))


def _folder_files(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in FACE_SUFFIXES):
        yield file.relative_to(path).as_posix(), file.read_bytes()


def _tar_files(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile() and PurePosixPath(member.name).suffix.lower() in FACE_SUFFIXES:
                handle = tar.extractfile(member)
                if handle is not None:
                    yield PurePosixPath(member.name).as_posix(), handle.read()


def _tar_index(path: Path) -> dict[str, Mapping[str, str]] | None:
    """The index in an archive, or else the one beside it."""
    with tarfile.open(path) as tar:
        for member in tar:
            if PurePosixPath(member.name).name == "index.csv" and (handle := tar.extractfile(member)):
                return _parse_index(handle.read().decode())
    return _index_file(path.parent / "index.csv")


def _index_file(path: Path) -> dict[str, Mapping[str, str]] | None:
    return _parse_index(path.read_text(encoding="utf-8")) if path.is_file() else None


def _parse_index(text: str) -> dict[str, Mapping[str, str]]:
    """The rows of an index by file name."""
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "file" not in rows[0] or "split" not in rows[0]:
        raise InputError("index.csv: needs the columns `file` and `split`")
    for row in rows:
        if row["split"] not in SPLITS:
            raise InputError(f"index.csv: {row['file']}: split {row['split']!r} must be one of {', '.join(SPLITS)}")
    return {row["file"]: row for row in rows}


def _read_files(
    path: Path, files: Iterator[tuple[str, bytes]], index: Mapping[str, Mapping[str, str]] | None, side: int
) -> ImageSet:
    """Decode files, given as name and content, and look up their split and identity in the index."""
    names: list[str] = []
    kept: list[NDArray[np.uint8]] = []
    bad: list[str] = []
    unlisted = 0
    try:
        for name, content in files:
            if index is not None and name not in index:
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
        raise InputError(f"{path}: no pictures in it ({', '.join(sorted(FACE_SUFFIXES))})")
    notes = (f"left out {unlisted} pictures that index.csv does not list",) if unlisted else ()
    size = working_side(min((p.shape[0] for p in kept), default=side), side)
    images = np.stack([p if p.shape[0] == size else _shrink(p, size) for p in kept]) if kept else _no_images(side)
    split = hashed_split(names) if index is None else np.array([index[n]["split"] for n in names], dtype=np.str_)
    identity = None
    if index is not None and all("identity" in index[n] for n in names):
        identity = np.array([index[n]["identity"] for n in names], dtype=np.str_)
    return ImageSet(images, split, identity, tuple(bad), notes, tuple(names))


def _no_images(side: int) -> NDArray[np.uint8]:
    return np.zeros((0, side, side, 3), dtype=np.uint8)


def _decode(content: bytes, side: int) -> NDArray[np.uint8] | str:
    """The image with a side of at most `2 * side`, or the reason why it cannot be used."""
    from PIL import ImageOps

    from odekit.images.formats.decode import open_picture

    try:
        with open_picture(content) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except Exception as error:
        return f"broken ({error})"
    width, height = picture.size
    if width != height:
        return f"{width} x {height}, not square"
    if width < side:
        return f"{width} px, smaller than {side}"
    return _area_resize(picture, 2 * side) if width > 2 * side else np.asarray(picture)
