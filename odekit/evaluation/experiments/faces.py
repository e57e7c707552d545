"""Clean faces for experiments: of a folder, tar or npz with a split, or the test faces of a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import celeba, face_sets
from odekit.images.celeba import counted
from odekit.images.resize import square_block_means

Pictures = NDArray[np.uint8]
TEST_FACES = Path(__file__).parents[3] / "tests" / "data" / "faces" / "faces64_test.npz"
"""128 test faces; only in a checkout of the repository."""


@dataclass(frozen=True)
class Faces:
    """Images uint8 (N, S, S, 3) with a name for each."""

    names: tuple[str, ...]
    pictures: Pictures
    source: str


@dataclass(frozen=True)
class FaceSet:
    """Images uint8 (N, S, S, 3) by split; a split may be empty."""

    train: Pictures
    val: Pictures
    test: Pictures

    @property
    def held_out(self) -> Pictures:
        """val, then test."""
        return np.concatenate([self.val, self.test])

    @property
    def test_or_val(self) -> Pictures:
        """test, or val where there is no test split."""
        return self.test if len(self.test) else self.val


def faces(
    path: Path | None, split: str, side: int, limit: int | None = None, crop: int | str = celeba.USUAL_CROP
) -> Faces:
    """Faces of one split at `side` pixels (area means of larger ones).

    Args:
        path: a folder of faces, a tar, an npz, or a folder with index.csv and archives such as faces64.npz; the test
            faces of a checkout where None.
        split: train, val, test, or all.
        side: in pixels.
        limit: at most this many, spread evenly over the split.
        crop: of CelebA's pictures, see `odekit.images.celeba.read`.

    Raises:
        InputError: no readable faces, no such split, faces smaller than `side`, or a crop that does not fit.
    """
    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces; use --faces with a folder, tar or npz of aligned faces")
        path, split = TEST_FACES, "all"
    file = find_archive(path, side) if path.is_dir() else path
    if split not in (*face_sets.SPLITS, "all"):
        raise InputError(f"--split {split}: choose {', '.join(face_sets.SPLITS)} or all")
    data = face_sets.read(file, side, None if split == "all" else split, crop)
    chosen = np.flatnonzero(data.split == split) if split != "all" else np.arange(len(data.images))
    if not len(chosen):
        raise empty_split(file, split, data)
    if limit is not None and limit < len(chosen):
        chosen = chosen[[round((i + 0.5) * len(chosen) / limit - 0.5) for i in range(limit)]]
    names = [flat_name(data.names[i]) if data.names else f"face{i:05d}" for i in chosen]
    return Faces(
        tuple(numbered(names)),
        at_side(data.images[chosen], side),
        f"{'' if split == 'all' else f'{split} '}faces of {path.name}",
    )


def faces_of_split(path: Path, split: str, side: int) -> Pictures:
    """The faces of one split of a folder, tar or npz, at least `side` pixels large and not reduced.

    Raises:
        InputError: no readable faces, or no faces in this split.
    """
    data = face_sets.read(path, side)
    pictures: Pictures = data.images[data.split == split]
    if not len(pictures):
        raise empty_split(path, split, data)
    return pictures


def train_faces(path: Path | None, side: int, minimum: int = 1) -> Pictures:
    """The training faces of a folder, tar or npz at `side` pixels.

    Raises:
        InputError: no readable faces, or fewer than `minimum`.
    """
    if path is not None:
        data = face_sets.read(path, side)
        pictures = data.images[data.split == "train"]
        if len(pictures) >= minimum:
            return at_side(pictures, side)
    raise InputError("no training faces for the calibration; use --data with a data set that has a train split")


def face_set(path: Path | None, side: int) -> FaceSet:
    """Faces at `side` pixels (area means of larger ones): of a folder, tar or npz, or the checkout's test faces.

    Raises:
        InputError: no readable faces, or no held-out faces in it.
    """
    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces to measure on; use --data with a folder, tar or npz of aligned faces")
        with np.load(TEST_FACES, allow_pickle=False) as file:
            test = at_side(file["images"], side)
        return FaceSet(test[:0], test[:0], test)
    data = face_sets.read(path, side)
    parts = [at_side(data.images[data.split == name], side) for name in face_sets.SPLITS]
    if not len(parts[1]) + len(parts[2]):
        raise InputError(f"{path}: no val or test faces to measure on; correct its split")
    return FaceSet(*parts)


def choose_faces(pictures: Pictures, limit: int, seed: int) -> Pictures:
    """A random choice of at most `limit` faces; the same for the same seed."""
    return pictures[np.random.Generator(np.random.PCG64(seed)).permutation(len(pictures))[:limit]]


def empty_split(path: Path, split: str, data: face_sets.ImageSet) -> InputError:
    """The error for a split without faces; it names the splits that have some."""
    there = counted([str(name) for name in data.split])
    return InputError(
        f"{path}: no {split} faces (there are {there}); choose another --split, or correct the split of the data"
    )


def find_archive(folder: Path, side: int) -> Path:
    """The folder itself where it holds images, or the archive in it whose images suit `side`.

    An archive has the side of its images in its name (faces64.npz); the smallest that is not smaller is chosen.

    Raises:
        InputError: neither.
    """
    if celeba.find(folder) or any(path.suffix.lower() in face_sets.FACE_SUFFIXES for path in folder.rglob("*")):
        return folder
    archives = {
        path: int("".join(letter for letter in path.stem if letter.isdigit()) or 0)
        for path in sorted([*folder.glob("*.npz"), *folder.glob("*.tar")])
    }
    fitting = [path for path, size in archives.items() if size >= side and size % side == 0]
    if not fitting:
        raise InputError(f"{folder}: no pictures, and no npz or tar of faces of {side} px or a multiple of it")
    return min(fitting, key=lambda path: archives[path])


def flat_name(name: str) -> str:
    """A file's name without its suffix, folders joined by dashes."""
    return PurePosixPath(name).with_suffix("").as_posix().replace("/", "-")


def numbered(names: list[str]) -> list[str]:
    """The names, with a number at repeated ones."""
    counts: dict[str, int] = {}
    out = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        out.append(name if counts[name] == 1 else f"{name}-{counts[name]}")
    return out


def at_side(pictures: Pictures, side: int) -> Pictures:
    """Images reduced to `side` pixels: the means over blocks of pixels, rounded.

    Raises:
        InputError: the images' side is not a multiple of `side`.
    """
    large = pictures.shape[1]
    if large % side:
        raise InputError(f"faces of {large} px cannot be reduced to {side} px evenly")
    out: Pictures = np.rint(square_block_means(pictures, side)).astype(np.uint8)
    return out
