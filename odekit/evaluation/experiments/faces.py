"""Clean faces for experiments, with names: of a folder, tar or npz, or the test faces of a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError


@dataclass(frozen=True)
class Faces:
    """Pictures uint8 (N, S, S, 3) and a name for each."""

    names: tuple[str, ...]
    pictures: Pictures
    source: str


def faces(path: Path | None, split: str, side: int, limit: int | None = None) -> Faces:
    """Faces of one split at `side` pixels (area means of larger ones); `limit` of them are taken evenly.

    Args:
        path: a folder of faces, a tar, an npz, or a folder with index.csv and archives such as faces64.npz; the test
            faces of a checkout where None.
        split: train, val, test, or all.
        side: in pixels.
        limit: at most this many.

    Raises:
        InputError: nothing to read, no such split, or faces smaller than `side`.
    """
    from odekit.images import face_sets

    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces: give --faces with a folder, tar or npz of aligned faces")
        path, split = TEST_FACES, "all"
    file = archive(path, side) if path.is_dir() else path
    found = face_sets.read(file, side)
    if split not in (*face_sets.SPLITS, "all"):
        raise InputError(f"--split {split}: choose {', '.join(face_sets.SPLITS)} or all")
    which = np.flatnonzero(found.split == split) if split != "all" else np.arange(len(found.images))
    if not len(which):
        raise InputError(f"{file}: no {split} faces; choose another --split, or mend that of the data")
    if limit is not None and limit < len(which):
        which = which[[round((i + 0.5) * len(which) / limit - 0.5) for i in range(limit)]]
    names = [stem(found.names[i]) if found.names else f"face{i:05d}" for i in which]
    return Faces(
        tuple(unique(names)),
        at_side(found.images[which], side),
        f"{'' if split == 'all' else f'{split} '}faces of {path.name}",
    )


def archive(folder: Path, side: int) -> Path:
    """What to read of a folder: itself where it holds pictures, or the archive whose pictures suit `side`.

    An archive says the side of its pictures in its name (faces64.npz); the smallest that is no smaller is taken.

    Raises:
        InputError: neither.
    """
    from odekit.images.face_sets import SUFFIXES

    if any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*")):
        return folder
    found = {
        path: int("".join(letter for letter in path.stem if letter.isdigit()) or 0)
        for path in sorted([*folder.glob("*.npz"), *folder.glob("*.tar")])
    }
    fitting = [path for path, own in found.items() if own >= side and own % side == 0]
    if not fitting:
        raise InputError(f"{folder}: no pictures, and no npz or tar of faces of {side} px or a multiple of it")
    return min(fitting, key=lambda path: found[path])


def stem(name: str) -> str:
    """A file's name without its ending, folders joined by dashes."""
    return PurePosixPath(name).with_suffix("").as_posix().replace("/", "-")


def unique(names: list[str]) -> list[str]:
    """The names, numbered where one stands twice."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return out


TEST_FACES = Path(__file__).parents[3] / "tests" / "data" / "faces" / "faces64_test.npz"
"""128 test faces, in a checkout of the repository only."""
Pictures = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceSet:
    """Pictures uint8 (N, S, S, 3) by split; a split may be empty."""

    train: Pictures
    val: Pictures
    test: Pictures

    @property
    def held_out(self) -> Pictures:
        """val, then test."""
        return np.concatenate([self.val, self.test])


def face_set(path: Path | None, side: int) -> FaceSet:
    """Faces at `side` pixels (area means of larger ones): of a folder, tar or npz, or the checkout's test faces.

    Raises:
        InputError: nothing to read, or no held-out faces in it.
    """
    from odekit.images import face_sets

    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces to measure on: give --data with a folder, tar or npz of aligned faces")
        with np.load(TEST_FACES, allow_pickle=False) as file:
            test = at_side(file["images"], side)
        return FaceSet(test[:0], test[:0], test)
    found = face_sets.read(path, side)
    parts = [at_side(found.images[found.split == name], side) for name in face_sets.SPLITS]
    if not len(parts[1]) + len(parts[2]):
        raise InputError(f"{path}: no val or test faces to measure on; mend its split")
    return FaceSet(*parts)


def at_side(pictures: Pictures, side: int) -> Pictures:
    """The means over blocks of pixels, rounded.

    Raises:
        InputError: the pictures' side is no multiple of `side`.
    """
    count, large = pictures.shape[:2]
    if large % side:
        raise InputError(f"faces of {large} px cannot be reduced to {side} px evenly")
    factor = large // side
    blocks = pictures.reshape(count, side, factor, side, factor, 3)
    out: Pictures = np.rint(blocks.mean((2, 4), dtype=np.float64)).astype(np.uint8)
    return out
