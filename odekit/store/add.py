"""Bring a file of this machine into the store."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from odekit.entries import Weights
from odekit.errors import WeightsError
from odekit.safeload import sha256
from odekit.store import receipt
from odekit.store.download import BLOCK
from odekit.store.home import folder, stored
from odekit.store.lock import alone
from odekit.store.space import make_folder, room_for, size_text, trouble
from odekit.store.whole import whole


def add(weights: Weights, file: Path, link: bool = False, allow_other: bool = False) -> receipt.Receipt:
    """Copy or link a file into the store under a registered name, after a check.

    Args:
        weights: what it is.
        file: where it is.
        link: leave the bytes where they are, and put a symbolic link into the store.
        allow_other: take a file that is not the published one.

    Raises:
        WeightsError: no such file, cut off, not the published one, or the store cannot be written.
    """
    file = file.expanduser()
    if weights.path is not None:
        raise WeightsError(f"the weights '{weights.name}' ship with {weights.dist}; there is nothing to add")
    if not file.is_file():
        raise WeightsError(f"{file}: {'is a folder; name the file' if file.is_dir() else 'there is no such file'}")
    try:
        return _add(weights, file.resolve(), link, allow_other)
    except OSError as error:
        if error.filename is not None and Path(error.filename) == file.resolve():
            raise WeightsError(f"{file}: cannot be read ({error.strerror})") from error
        raise trouble(error, folder(weights)) from error


def _add(weights: Weights, file: Path, link: bool, allow_other: bool) -> receipt.Receipt:
    place, final = folder(weights), stored(weights)
    whole(file, weights.file)
    found, other = sha256(file), False
    if weights.sha256 is not None:
        other = found != weights.sha256
    elif weights.size is not None:
        other = file.stat().st_size != weights.size
    if other and not allow_other:
        raise WeightsError(
            f"{file} is not the published file of '{weights.name}' ({_difference(weights, file, found)}); it may be "
            "damaged; if these are weights of your own, add --allow-other"
        )
    make_folder(place)
    scratch = place / f".{weights.file}.new"
    with alone(place):
        try:
            if link:
                scratch.unlink(missing_ok=True)
                scratch.symlink_to(file)
            else:
                room_for(file.stat().st_size, place)
                if _copy(file, scratch) != found:
                    raise WeightsError(f"{file}: changed while it was copied; try again")
            os.replace(scratch, final)
        finally:
            scratch.unlink(missing_ok=True)
        made = receipt.note(final, found, str(file), other)
        receipt.write(place, made)
    return made


def _difference(weights: Weights, file: Path, found: str) -> str:
    size = file.stat().st_size
    if weights.size is not None and size != weights.size:
        return f"it has {size_text(size)} ({size} bytes), not {weights.size}"
    return f"its SHA-256 is {found}, not {weights.sha256}"


def _copy(file: Path, target: Path) -> str:
    """SHA-256 of what was written."""
    sha = hashlib.sha256()
    with file.open("rb") as source, target.open("wb") as copy:
        while block := source.read(BLOCK):
            sha.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return sha.hexdigest()
