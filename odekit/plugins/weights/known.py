"""Recognise registered weights that are given by path, so that their licence holds under any file name."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from odekit.core.files import read_json, sha256
from odekit.errors import WeightsError
from odekit.plugins.catalog import Catalog, Weights
from odekit.plugins.weights.load import PICKLE_SUFFIXES
from odekit.plugins.weights.store import read_receipt, stored_path, weights_folder

SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)
"""Endings of weights files."""


def known_weights(path: Path, catalog: Catalog) -> Weights | None:
    """The registered weights that a file, or a folder with weights files, holds; None if it holds none.

    Recognised are the files of the store and of the distributions, by links too; copies of them, by the SHA-256; and
    folders that `odekit weights convert` made from one of them. Files of the size of a published one are read for that.
    If several are the same file, the one that forbids commercial use is returned.
    """
    path = path.expanduser()
    strictest_first = sorted(catalog.weights.values(), key=lambda weights: weights.commercial_use)
    for file in _files(path):
        for weights in strictest_first:
            if _is_stored(file, weights) or _is_copy(file, weights):
                return weights
    about = read_json((path if path.is_dir() else path.parent) / "odekit.json")
    about = about.get("about") if isinstance(about, dict) else None
    source = about.get("sha256") if isinstance(about, dict) else None
    return next((w for w in strictest_first if source in [digest for digest, _ in _digests(w)]), None)


def _files(path: Path) -> Iterator[Path]:
    """The weights files of a path."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for folder in (path, path / "unet"):
            yield from (file for file in sorted(folder.glob("*")) if file.suffix in SUFFIXES and file.is_file())


def _is_stored(file: Path, weights: Weights) -> bool:
    stored = stored_path(weights)
    if stored.is_dir():
        return stored.resolve() in file.resolve().parents
    return stored.exists() and stored.samefile(file)


def _is_copy(file: Path, weights: Weights) -> bool:
    size = file.stat().st_size
    return any(bytes_ in (None, size) and digest == _digest(file) for digest, bytes_ in _digests(weights))


def _digests(weights: Weights) -> Iterator[tuple[str, int | None]]:
    """SHA-256 and size of the published file, and of the file in the store."""
    shipped = weights.path.stat().st_size if weights.path is not None and weights.path.is_file() else None
    if weights.package is not None:
        yield weights.package.file_sha256, None
    if weights.sha256 is not None:
        yield weights.sha256, weights.size or shipped
    receipt = None if weights.path is not None else read_receipt(weights_folder(weights))
    if receipt is not None:
        yield receipt.sha256, receipt.bytes


def _digest(file: Path) -> str:
    stat = file.stat()
    return _digest_of(file, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest_of(file: Path, size: int, mtime_ns: int) -> str:
    """The SHA-256 of a file of this size and time, computed once; empty if the file cannot be read."""
    try:
        return sha256(file)
    except WeightsError:
        return ""
