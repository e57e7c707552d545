"""What workers do for a run: read one file, write one result with its record. Loads no torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odekit.core import files
from odekit.core.image import Image
from odekit.errors import OdekitError
from odekit.images import io
from odekit.images.formats import encode
from odekit.runs.record import record_text

Read = tuple[Image, dict[str, Any]]


def read_input(file: str, max_megapixels: float) -> Read:
    """The picture, and size, time and SHA-256 of the bytes that it came from.

    Raises:
        InputError: it is no picture that odekit reads.
    """
    try:
        stat = os.stat(file)  # before reading: should the file change meanwhile, a resume sees that it did
        size, time = stat.st_size, stat.st_mtime_ns
    except OSError:
        size, time = -1, -1  # reading says why
    image, digest = io.read_with_digest(file, max_megapixels=max_megapixels)
    return image, {"path": file, "bytes": size, "mtime_ns": time, "sha256": digest}


@dataclass(frozen=True)
class Output:
    """How results are written: the same for all files of a run."""

    folder: Path
    scratch: Path
    """Where temporary files lie, inside the folder."""
    format: str = "same"
    quality: int = 95
    keep_metadata: bool = True


@dataclass(frozen=True)
class Finished:
    """One result on its way to the disk."""

    image: Image
    own: dict[str, Any]
    """What the record says of this file alone; `output` is filled in here."""
    shared: str
    """What it says of the run: `record.shared_text`."""
    stages: Sequence[tuple[str, Image]] = ()
    extras: Sequence[tuple[str, Image]] = ()
    """Pictures beside the result, such as further samples; written as NAME.EXTRA.png."""


def write_result(name: str, result: Finished, output: Output) -> str:
    """Write a picture and then its record, so that a record always speaks of a whole picture. The name written.

    Raises:
        OSError: the folder cannot be written.
        OdekitError: the picture does not fit the format, or a link leads out of the folder.
    """
    folder = os.fspath(output.folder)
    written, endings = name, io.endings(result.image.meta.format)
    if output.format == "same" and os.path.splitext(name)[1].lower() not in endings:
        # A PNG that is called a.jpg becomes a.jpg.png, so that it never meets the result of another file.
        written += endings[0]
    stays_inside(written, folder)
    data = encode.encode(result.image, output.format, quality=output.quality, keep_metadata=output.keep_metadata)
    target, record = os.path.join(folder, written), f"{os.path.join(folder, name)}.json"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(record)  # of an earlier picture: it must not speak of this one, should we be killed before the end
    files.write_atomic(data, target, output.scratch)
    own = result.own | {"output": {"path": target, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    for extra, image in result.extras:
        beside = f"{os.path.splitext(written)[0]}.{extra}.png"
        files.write_atomic(encode.encode(image, "png"), os.path.join(folder, beside), output.scratch)
        own.setdefault("extras", []).append(beside)
    if result.stages:
        from odekit.runs.report.sheet import write_stages

        sheet = write_stages(output.folder / "stages" / name, result.stages)
        own["pictures"] = str(sheet.relative_to(output.folder))
    files.write_atomic(record_text(own, result.shared), record, output.scratch)
    return written


def stays_inside(name: str, folder: str) -> None:
    """Refuse to write through `..` or a link that leads out of the output folder.

    Raises:
        OdekitError: it does.
    """
    target = os.path.join(folder, name)
    parent = os.path.dirname(target)
    if parent == folder:
        return
    steps = os.path.dirname(name).split(os.sep)
    if os.pardir not in steps and not os.path.isabs(name):
        ways = (os.path.join(folder, *steps[:i]) for i in range(1, len(steps) + 1))
        if not any(os.path.islink(way) for way in ways):
            return
    real, root = os.path.realpath(parent), os.path.realpath(folder)
    if not f"{real}{os.sep}".startswith(f"{root}{os.sep}"):
        raise OdekitError(f"{target}: lies outside the output folder {folder} (a link, or '..'); remove the link")
