"""Aligned faces for training: uint8 arrays, split so that no validation or test picture is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images import face_sets
from odekit.images.celeba import USUAL_CROP

if TYPE_CHECKING:
    from torch import Tensor

Pictures = NDArray[np.uint8]
"""(N, S, S, 3) RGB."""

BLOCK = 256
"""Pictures of a mapped file that are read at once."""
MIN_TRAINING_PICTURES = 16
"""Smallest number of training pictures."""


@dataclass(frozen=True)
class Faces:
    """The training and validation pictures of a run, all of the same side S."""

    train: Pictures
    val: Pictures
    notes: tuple[str, ...] = ()
    """Messages for the user: which pictures were left out, and why."""
    train_names: tuple[str, ...] = ()
    val_names: tuple[str, ...] = ()
    """File names of the pictures; empty if the data set has none."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all pictures. A resumed run must use the same pictures."""
        digest = hashlib.sha256()
        for part in (self.train, self.val):
            digest.update(repr(part.shape).encode())
            for start in range(0, len(part), BLOCK):
                digest.update(part[start : start + BLOCK].tobytes())
        return digest.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of training and validation pictures, for train.json."""
        return {"train": len(self.train), "val": len(self.val)}


def load(path: Path, side: int, skip_bad: bool = False, crop: int | str = USUAL_CROP) -> Faces:
    """Read aligned faces for training at `side` pixels.

    Pictures are kept at twice `side` if all of them are at least that large, so that augmentation does not soften
    them; otherwise at `side`. Training pictures that also occur in the validation or test split, as they are or
    mirrored, are left out.

    Args:
        path: an npz with `images` uint8 (N, S, S, 3) and optionally `split` (N,) of 'train', 'val', 'test' and
            `identity` (N,); or a folder or tar of square pictures, optionally with an `index.csv` (in the folder, or
            next to the tar or in it) with columns `file`, `split` and optionally `identity`. Without a split, a hash
            of the names assigns about 5 % of the pictures to validation. Or CelebA as it is distributed, whose pictures
            stay in a mapped file.
        side: side of the pictures in training.
        skip_bad: leave out unusable pictures instead of raising an error.
        crop: of CelebA: side in pixels, or `template`.

    Raises:
        InputError: no pictures, unusable pictures (unless `skip_bad`), too few pictures, or a person who is both in
            the training split and in another one.
    """
    data = face_sets.read(path, side, crop=crop)
    if data.bad and not skip_bad:
        examples = "; ".join(data.bad[:5]) + ("; ..." if len(data.bad) > 5 else "")
        raise InputError(
            f"{path}: {len(data.bad)} pictures cannot be used ({examples}); repair them or set skip_bad: true"
        )
    notes = [f"left out {text}" for text in data.bad] + list(data.notes)
    _check_people(path, data)
    keep, dropped = _without_copies(data)
    train, val = face_sets.select(data.images, keep), face_sets.select(data.images, data.split == "val")
    if dropped:
        notes.append(f"left out {dropped} training pictures that are also held out")
    if len(train) < MIN_TRAINING_PICTURES or not len(val):
        raise InputError(
            f"{path}: {len(train)} training and {len(val)} validation pictures; "
            f"at least {MIN_TRAINING_PICTURES} and 1 are needed; add aligned faces or correct the split"
        )
    if not data.names:
        return Faces(train, val, tuple(notes))
    names = np.array(data.names)
    train_names, val_names = (tuple(map(str, names[rows])) for rows in (keep, data.split == "val"))
    return Faces(train, val, tuple(notes), train_names, val_names)


def to_tensor(pictures: Pictures | Sequence[Pictures]) -> Tensor:
    """uint8 pictures (N, H, W, 3) as a float32 tensor (N, 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def _check_people(path: Path, data: face_sets.ImageSet) -> None:
    if data.identity is None:
        return
    train = set(data.identity[data.split == "train"])
    both = sorted(train & set(data.identity[data.split != "train"]))
    if both:
        raise InputError(
            f"{path}: {str(both[0])!r} and {len(both) - 1} more are both in train and held out; split by person"
        )


def _without_copies(data: face_sets.ImageSet) -> tuple[NDArray[np.bool_], int]:
    """A mask of the training pictures without copies (mirrored ones too) of held-out ones, and the number of copies."""
    train = data.split == "train"
    held_out: set[bytes] = set()
    for picture in face_sets.select(data.images, ~train):
        held_out |= {_digest(picture), _digest(picture[:, ::-1])}
    keep = np.array([t and _digest(p) not in held_out for t, p in zip(train, data.images, strict=True)], dtype=bool)
    return keep, int(train.sum() - keep.sum())


def _digest(picture: Pictures) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()
