"""Tasks of worker processes: read one input, write one result with its record. Does not import torch."""

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
from odekit.images import io
from odekit.images.formats import encode
from odekit.runs.containment import check_inside
from odekit.runs.process_limits import memory_limit
from odekit.runs.record import describe_bytes, record_text

InputPicture = tuple[Image, dict[str, Any]]


def read_input(file: str, max_megapixels: float, salvage: bool = False) -> InputPicture:
    """Read a picture; also path, size, times, inode and SHA-256 of its file, for the record.

    Notes on the reading are in the record, too, and the share of rows of a truncated file that were read.

    Raises:
        InputError: the file is not a supported picture.
    """
    try:
        stat = os.stat(file)  # before reading, so that a resume detects a change of the file in the meantime
        size, time, inode, inode_time = stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns
    except OSError:
        size, time, inode, inode_time = -1, -1, -1, -1  # reading the file raises the error
    with memory_limit(max_megapixels):
        content = io.read_file(file, max_megapixels=max_megapixels, salvage_truncated=salvage)
    entries: dict[str, Any] = {"path": file, "bytes": size, "mtime_ns": time, "inode": inode}
    entries["ctime_ns"] = inode_time
    entries["sha256"] = content.sha256
    if content.notes:
        entries["notes"] = list(content.notes)
    if content.rows is not None:
        rows, height = content.rows
        entries["salvaged"] = {"rows": rows, "of": height, "share": round(rows / height, 4)}
    return content.image, entries


@dataclass(frozen=True)
class OutputSettings:
    """How results are written; the same for all files of a run."""

    folder: Path
    scratch: Path
    """Folder for temporary files, inside `folder`."""
    format: str = "same"
    quality: int = 95
    keep_metadata: bool = True


@dataclass(frozen=True)
class PendingResult:
    """One result to be written."""

    image: Image
    entries: dict[str, Any]
    """Entries of the record for this file only; `write_result` adds `output`."""
    shared: str
    """Part of the record that is the same for all files: `record.shared_text`."""
    stages: Sequence[tuple[str, Image]] = ()
    """Intermediate pictures."""
    extras: Sequence[tuple[str, Image]] = ()
    """Further pictures, such as samples; written as NAME.EXTRA.png."""


def write_result(name: str, result: PendingResult, output: OutputSettings) -> str:
    """Write a picture and then its record, so that a record exists for complete pictures only; returns the final name.

    Raises:
        OSError: the folder cannot be written.
        OdekitError: the format cannot store the picture, or a link leads out of the folder.
    """
    folder = os.fspath(output.folder)
    written, written_format = name, io.format_name(result.image, output.format)
    endings = io.suffixes_of(written_format)
    if output.format == "same" and os.path.splitext(name)[1].lower() not in endings:
        # A PNG named a.jpg becomes a.jpg.png, so that its name cannot collide with that of another result.
        written += endings[0]
    check_inside(written, folder)
    data = unchanged_file(result, output, written_format)
    if data is None:
        data = encode.encode(result.image, output.format, quality=output.quality, keep_metadata=output.keep_metadata)
    target, record = os.path.join(folder, written), f"{os.path.join(folder, name)}.json"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(record)  # an older record must not remain beside the new picture if the process is killed here
    files.write_atomic(data, target, output.scratch)
    described: dict[str, Any] = {"path": target} | describe_bytes(data)
    if output.format == "same" and written_format != result.image.meta.format:
        described["notes"] = [substitution_note(result.image.meta.format)]
    entries = result.entries | {"output": described}
    for extra, image in result.extras:
        extra_name = f"{os.path.splitext(written)[0]}.{extra}.png"
        data = encode.encode(image, "png")
        files.write_atomic(data, os.path.join(folder, extra_name), output.scratch)
        entries.setdefault("extras", []).append(extra_name)
        entries.setdefault("extra_files", {})[extra_name] = describe_bytes(data)
    if result.stages:
        from odekit.runs.report.sheet import write_stages

        check_inside(os.path.join("stages", name, "sheet.png"), folder)
        sheet = write_stages(output.folder / "stages" / name, result.stages)
        entries["pictures"] = str(sheet.relative_to(output.folder))
    try:
        text = record_text(entries, result.shared)
    except (TypeError, ValueError):
        os.unlink(target)  # a stage noted something that JSON cannot store; no picture without a record
        raise
    files.write_atomic(text, record, output.scratch)
    return written


def unchanged_file(result: PendingResult, output: OutputSettings, written_format: str) -> bytes | None:
    """The bytes of the input where the chain changed no pixel: a JPEG that is encoded again is not what it was.

    None if the picture was changed, another format or no metadata is wanted, only a part of the file was read, or the
    file is another one now.
    """
    source = result.entries.get("input", {})
    whole = "salvaged" not in source and "notes" not in source
    same = output.format == "same" and output.keep_metadata and written_format == result.image.meta.format
    if result.entries.get("changed") is not False or not same or not whole:
        return None
    try:
        with open(source["path"], "rb") as file:
            data = file.read(source["bytes"] + 1)
    except (OSError, KeyError):
        return None
    return data if hashlib.sha256(data).hexdigest() == source["sha256"] else None


def substitution_note(source: str) -> str:
    """Why the result of a source of this format is a PNG."""
    return f"{'HEIC' if source == 'HEIF' else source} is read, not written; the result is a PNG"


def input_notes(picture: InputPicture, output: OutputSettings) -> list[str]:
    """What the user should know about a picture that was read, and about the format of its result."""
    image, entries = picture
    source = image.meta.format
    substituted = output.format == "same" and io.format_name(image, "same") != source
    return [*entries.get("notes", ()), *([substitution_note(source)] if substituted else [])]
