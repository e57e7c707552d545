"""Bring named weights into the store from the first place that has them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from odekit.core.files import sha256
from odekit.errors import WeightsError
from odekit.plugins.catalog import Weights
from odekit.plugins.weights import store
from odekit.plugins.weights.download import BLOCK, Download, Tell, Unavailable
from odekit.plugins.weights.load import check_complete
from odekit.plugins.weights.store import (
    check_free_space,
    exclusive_folder,
    folder,
    make_folder,
    offline,
    size_text,
    storage_error,
    stored,
)

Verify = Callable[[Weights], object]


def unattended(weights: Weights) -> bool:
    """Nobody is there to accept a licence."""
    return weights.commercial_use


@dataclass
class Pull:
    """How weights are fetched."""

    verify: Verify
    """Raises WeightsError where the file that is here is not the right one (`odekit.plugins.weights.lookup.verify`)."""
    accept: Callable[[Weights], bool] = unattended
    """Asked before a download: may it be made under this licence?"""
    offline: bool = False
    """Use no network; `ODEKIT_OFFLINE` says so too."""
    places: Sequence[str] = ()
    """URLs to try before the registered ones."""
    again: bool = False
    """Fetch even what is here."""
    tell: Tell = lambda here, total: None
    say: Callable[[str], None] = lambda text: None

    def run(self, weights: Weights) -> Path:
        """The local file, fetched where it is not here; what is here is verified.

        Raises:
            WeightsError: offline, licence not accepted, no place has the right file, or the disk is full.
        """
        if weights.path is not None:
            return weights.path
        if not self.again and self._here(weights):
            return stored(weights)
        urls = [*self.places, *weights.urls]
        self._allowed(weights, urls)
        place = folder(weights)
        make_folder(place)
        with exclusive_folder(place, self.say):
            if self.again or not self._here(weights):  # another process may have brought it meanwhile
                self._fetch(weights, urls, place)
        return stored(weights)

    def _here(self, weights: Weights) -> bool:
        file = stored(weights)
        if not file.exists():
            return False
        try:
            self.verify(weights)
        except WeightsError as error:
            self.say(f"{str(error).partition(';')[0]}; fetching it again")
            return False
        return True

    def _allowed(self, weights: Weights, urls: Sequence[str]) -> None:
        by_hand = f"odekit weights add {weights.name} FILE"
        if not urls:
            raise WeightsError(f"nobody offers the weights '{weights.name}' for download; get the file and: {by_hand}")
        for url in urls:
            if not url.lower().startswith(("https://", "http://")):
                raise WeightsError(f"{url}: weights are fetched from http and https only; for a file here: {by_hand}")
        if self.offline or offline():
            raise WeightsError(
                f"the weights '{weights.name}' are not on this machine, and the network is switched off (--offline or "
                f"ODEKIT_OFFLINE); fetch them elsewhere from {urls[0]} and: {by_hand}"
            )
        if not self.accept(weights):
            raise WeightsError(
                f"the licence of '{weights.name}' ({weights.licence}) was not accepted, nothing was fetched; "
                f"read it, then: odekit weights pull {weights.name} --accept-licence"
            )

    def _fetch(self, weights: Weights, urls: Sequence[str], place: Path) -> None:
        part, reasons = place / f"{weights.file}.part", []
        for url in urls:
            self.say(f"fetching {url}")
            try:
                found = self._from(url, weights, part)
                accepted = "" if weights.commercial_use else weights.licence
                os.replace(part, place / weights.file)
                store.write_receipt(place, store.new_receipt(place / weights.file, found, url, accepted=accepted))
            except Unavailable as error:
                self.say(f"  {error}")
                reasons.append(f"{url}: {error}")
            except OSError as error:
                kept = f" ({part} is kept: the same command goes on from there)" if part.exists() else ""
                raise storage_error(error, place, kept) from error
            else:
                return
        raise WeightsError(
            f"the weights '{weights.name}' could not be fetched: {'; '.join(reasons)}; "
            f"a file from elsewhere: odekit weights add {weights.name} FILE"
        )

    def _from(self, url: str, weights: Weights, part: Path) -> str:
        """SHA-256 of the right file, which lies at `part` then."""
        for fresh in (False, True):
            download = Download(url, part, weights.size, weights.sha256 is not None, self.tell)
            if fresh:
                download.drop()
            began = part.exists()
            download.run()
            found = sha256(part)
            if weights.sha256 in (None, found):
                break
            download.drop()
            if fresh or not (began or download.resumed):  # nothing was pieced together: it is the server's file
                raise Unavailable(f"another file (its SHA-256 is {found}, not {weights.sha256})")
        if weights.sha256 is None:
            try:
                check_complete(part, weights.file)
            except WeightsError as error:
                Download(url, part).drop()
                raise Unavailable(str(error).partition(": ")[2]) from error
        return found


def add(weights: Weights, file: Path, link: bool = False, allow_other: bool = False) -> store.Receipt:
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
        raise storage_error(error, folder(weights)) from error


def _add(weights: Weights, file: Path, link: bool, allow_other: bool) -> store.Receipt:
    place, final = folder(weights), stored(weights)
    check_complete(file, weights.file)
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
    with exclusive_folder(place):
        try:
            if link:
                scratch.unlink(missing_ok=True)
                scratch.symlink_to(file)
            else:
                check_free_space(file.stat().st_size, place)
                if _copy(file, scratch) != found:
                    raise WeightsError(f"{file}: changed while it was copied; try again")
            os.replace(scratch, final)
        finally:
            scratch.unlink(missing_ok=True)
        made = store.new_receipt(final, found, str(file), other)
        store.write_receipt(place, made)
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
