"""Add named weights to the store: from a URL (`WeightsDownloader`) or from a local file (`add_weights`)."""

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
from odekit.plugins.weights.download import BLOCK, Download, ProgressCallback, Unavailable
from odekit.plugins.weights.load import check_complete
from odekit.plugins.weights.store import (
    check_free_space,
    is_offline,
    lock_folder,
    make_folder,
    size_text,
    storage_error,
    stored_path,
    weights_folder,
)
from odekit.plugins.weights.web import Refused, check_url

Verify = Callable[[Weights], object]
"""Raises WeightsError if the stored file is not the published or recorded one."""


def allows_commercial_use(weights: Weights) -> bool:
    """Accept only licences that allow commercial use, because no prompt is possible."""
    return weights.commercial_use


@dataclass
class WeightsDownloader:
    """Downloads weights into the store."""

    verify: Verify
    """Checks a stored file (`odekit.plugins.weights.lookup.verify_weights`)."""
    accept: Callable[[Weights], bool] = allows_commercial_use
    """Called before a download: whether the licence of the weights is accepted."""
    offline: bool = False
    """Do not use the network; the same as `ODEKIT_OFFLINE=1`."""
    extra_urls: Sequence[str] = ()
    """URLs to try before the registered ones."""
    force: bool = False
    """Download even if a valid file is in the store."""
    on_progress: ProgressCallback = lambda received, total: None
    """Progress callback."""
    on_message: Callable[[str], None] = lambda text: None
    """Receives messages for the user."""

    def run(self, weights: Weights) -> Path:
        """The verified local file of the weights, downloaded if it is missing or invalid.

        Raises:
            WeightsError: offline, licence not accepted, no URL provides the right file, or the disk is full.
        """
        if weights.path is not None:
            return weights.path
        if not self.force and self._is_valid(weights):
            return stored_path(weights)
        urls = [*self.extra_urls, *weights.urls]
        self._check_allowed(weights, urls)
        target = weights_folder(weights)
        make_folder(target)
        with lock_folder(target, self.on_message):
            if self.force or not self._is_valid(weights):  # another process may have downloaded it meanwhile
                self._download(weights, urls, target)
        return stored_path(weights)

    def _is_valid(self, weights: Weights) -> bool:
        """Whether the store has a valid file of the weights."""
        file = stored_path(weights)
        if not file.exists():
            return False
        try:
            self.verify(weights)
        except WeightsError as error:
            self.on_message(f"{str(error).partition(';')[0]}; fetching it again")
            return False
        return True

    def _check_allowed(self, weights: Weights, urls: Sequence[str]) -> None:
        """Raise WeightsError if a download is not possible or not permitted."""
        add_command = f"odekit weights add {weights.name} FILE"
        if not urls:
            raise WeightsError(
                f"no URL is registered for the weights '{weights.name}'; get the file and: {add_command}"
            )
        for url in urls:
            try:
                check_url(url)
            except Refused as error:
                raise WeightsError(f"{error}; for a local file: {add_command}") from error
        if self.offline or is_offline():
            raise WeightsError(
                f"the weights '{weights.name}' are not on this machine, and the network is switched off (--offline or "
                f"ODEKIT_OFFLINE); fetch them elsewhere from {urls[0]} and: {add_command}"
            )
        if not self.accept(weights):
            raise WeightsError(
                f"the licence of '{weights.name}' ({weights.licence}) was not accepted, nothing was fetched; "
                f"read it, then: odekit weights pull {weights.name} --accept-licence"
            )

    def _download(self, weights: Weights, urls: Sequence[str], target: Path) -> None:
        """Download from the first URL that provides the right file."""
        part, reasons = target / f"{weights.file}.part", []
        for url in urls:
            self.on_message(f"fetching {url}")
            try:
                digest = self._download_from(url, weights, part)
                accepted = "" if weights.commercial_use else weights.licence
                os.replace(part, target / weights.file)
                _drop_made(weights)
                store.write_receipt(target, store.new_receipt(target / weights.file, digest, url, accepted=accepted))
            except Unavailable as error:
                self.on_message(f"  {error}")
                reasons.append(f"{url}: {error}")
            except OSError as error:
                kept = f" ({part} is kept: the same command resumes from there)" if part.exists() else ""
                raise storage_error(error, target, kept) from error
            else:
                return
        raise WeightsError(
            f"the weights '{weights.name}' could not be fetched: {'; '.join(reasons)}; "
            f"a file from elsewhere: odekit weights add {weights.name} FILE"
        )

    def _download_from(self, url: str, weights: Weights, part: Path) -> str:
        """Download the right file to `part`, and return its SHA-256."""
        for fresh in (False, True):
            download = Download(url, part, weights.size, weights.sha256 is not None, self.on_progress)
            if fresh:
                download.drop()
            existed = part.exists()
            download.run()
            digest = sha256(part)
            if weights.sha256 in (None, digest):
                break
            download.drop()
            if fresh or not (existed or download.resumed):  # not a mixture of two files, so the server's file is wrong
                raise Unavailable(f"another file (its SHA-256 is {digest}, not {weights.sha256})")
        if weights.sha256 is None:
            try:
                check_complete(part, weights.file)
            except WeightsError as error:
                Download(url, part).drop()
                raise Unavailable(str(error).partition(": ")[2]) from error
        return digest


def add_weights(weights: Weights, file: Path, link: bool = False, allow_other: bool = False) -> store.Receipt:
    """Copy or link a local file into the store as the file of named weights, after verification.

    Args:
        weights: the named weights.
        file: the local file.
        link: create a symbolic link in the store instead of a copy.
        allow_other: accept a file that is not the published one.

    Raises:
        WeightsError: the file is missing, truncated or not the published one, or the store cannot be written.
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
        raise storage_error(error, weights_folder(weights)) from error


def _add(weights: Weights, file: Path, link: bool, allow_other: bool) -> store.Receipt:
    target, final = weights_folder(weights), weights_folder(weights) / weights.file
    check_complete(file, weights.file)
    digest, other = sha256(file), False
    if weights.sha256 is not None:
        other = digest != weights.sha256
    elif weights.size is not None:
        other = file.stat().st_size != weights.size
    if other and not allow_other:
        raise WeightsError(
            f"{file} is not the published file of '{weights.name}' ({_difference(weights, file, digest)}); it may be "
            "damaged; if these are weights of your own, add --allow-other"
        )
    make_folder(target)
    temporary = target / f".{weights.file}.new"
    with lock_folder(target):
        try:
            if link:
                temporary.unlink(missing_ok=True)
                temporary.symlink_to(file)
            else:
                check_free_space(file.stat().st_size, target)
                if _copy(file, temporary) != digest:
                    raise WeightsError(f"{file}: changed while it was copied; try again")
            os.replace(temporary, final)
            _drop_made(weights)
        finally:
            temporary.unlink(missing_ok=True)
        receipt = store.new_receipt(final, digest, str(file), other)
        store.write_receipt(target, receipt)
    return receipt


def _drop_made(weights: Weights) -> None:
    """Remove the file made from a package: a folder has one file and one receipt."""
    if weights.package is not None:
        (weights_folder(weights) / weights.package.file).unlink(missing_ok=True)


def _difference(weights: Weights, file: Path, digest: str) -> str:
    """How a file with this SHA-256 differs from the published one."""
    size = file.stat().st_size
    if weights.size is not None and size != weights.size:
        return f"it has {size_text(size)} ({size} bytes), not {weights.size}"
    return f"its SHA-256 is {digest}, not {weights.sha256}"


def _copy(file: Path, target: Path) -> str:
    """Copy a file, and return the SHA-256 of the written bytes."""
    digest = hashlib.sha256()
    with file.open("rb") as source, target.open("wb") as copy:
        while block := source.read(BLOCK):
            digest.update(block)
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()
