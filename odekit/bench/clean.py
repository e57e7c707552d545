"""Clean faces for experiments, with names: of a folder, tar or npz, or the test faces of a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from odekit.bench.faces import TEST_FACES, Pictures, at_side
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
    from odekit.train import sources

    if path is None:
        if not TEST_FACES.is_file():
            raise InputError("no faces: give --faces with a folder, tar or npz of aligned faces")
        path, split = TEST_FACES, "all"
    file = archive(path, side) if path.is_dir() else path
    found = sources.read(file, side)
    if split not in (*sources.SPLITS, "all"):
        raise InputError(f"--split {split}: choose {', '.join(sources.SPLITS)} or all")
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
    from odekit.train.sources import SUFFIXES

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
