"""Aligned faces for training: uint8 arrays, split so that what validates never trains."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import face_sets

Pictures = NDArray[np.uint8]
"""(N, S, S, 3) RGB."""

FEWEST = 16
"""Training pictures below which there is nothing to learn from."""


@dataclass(frozen=True)
class Faces:
    """Pictures for a run, S the same for both."""

    train: Pictures
    val: Pictures
    notes: tuple[str, ...] = ()
    """What was left out, and why: for the person."""
    train_names: tuple[str, ...] = ()
    val_names: tuple[str, ...] = ()
    """Of the pictures' files; empty where the data has none."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all pictures: a resumed run must see the same."""
        digest = hashlib.sha256()
        for part in (self.train, self.val):
            digest.update(repr(part.shape).encode() + part.tobytes())
        return digest.hexdigest()


def load(path: Path, side: int, skip_bad: bool = False) -> Faces:
    """Read faces for training at `side` pixels.

    `path` is an npz with `images` uint8 (N, S, S, 3) and optionally `split` (N,) of 'train', 'val', 'test' and
    `identity` (N,); or a folder or tar of square pictures, with an optional `index.csv` (in the folder, beside the
    tar or in it) with columns `file`, `split` and optionally `identity`. Without a split about 5 % become validation
    pictures by a hash of their names. Pictures are kept at twice `side` where all of them are that large, so that
    augmentation does not soften them, else at `side`.

    A training picture that also occurs, or occurs mirrored, among the held-out ones is left out.

    Raises:
        InputError: nothing there, broken or wrong pictures (unless `skip_bad`), too few, or one person on both sides
            of the split.
    """
    found = face_sets.read(path, side)
    if found.bad and not skip_bad:
        shown = "; ".join(found.bad[:5]) + ("; ..." if len(found.bad) > 5 else "")
        raise InputError(f"{path}: {len(found.bad)} pictures cannot be used ({shown}); mend them or set skip_bad: true")
    notes = [f"left out {text}" for text in found.bad] + list(found.notes)
    _check_people(path, found)
    keep, dropped = _without_copies(found)
    train, val = found.images[keep], found.images[found.split == "val"]
    if dropped:
        notes.append(f"left out {dropped} training pictures that are also held out")
    if len(train) < FEWEST or not len(val):
        raise InputError(
            f"{path}: {len(train)} training and {len(val)} validation pictures; "
            f"at least {FEWEST} and 1 are needed, so add aligned faces or mend the split"
        )
    names = np.array(found.names) if found.names else None
    known = [() if names is None else tuple(map(str, names[rows])) for rows in (keep, found.split == "val")]
    return Faces(train, val, tuple(notes), *known)


def _check_people(path: Path, found: face_sets.Found) -> None:
    if found.identity is None:
        return
    trained = set(found.identity[found.split == "train"])
    both = sorted(trained & set(found.identity[found.split != "train"]))
    if both:
        raise InputError(
            f"{path}: {str(both[0])!r} and {len(both) - 1} more are in train and held out; split by person"
        )


def _without_copies(found: face_sets.Found) -> tuple[NDArray[np.bool_], int]:
    """Which pictures train, and how many were left out because they, or their mirror images, are held out."""
    held: set[bytes] = set()
    for picture in found.images[found.split != "train"]:
        held |= {picture.tobytes(), picture[:, ::-1].tobytes()}
    train = found.split == "train"
    keep = np.array([t and p.tobytes() not in held for t, p in zip(train, found.images, strict=True)], dtype=bool)
    return keep, int(train.sum() - keep.sum())
