"""Tasks of worker processes: read one input, write one result with its record. Does not import torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odekit.core.image import Image
from odekit.images import io
from odekit.images.formats import encode
from odekit.runs.process_limits import memory_limit
from odekit.runs.record import describe_bytes, record_text
from odekit.runs.stores import Folder, OutputStore

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


def read_source(file: str, size: int) -> bytes:
    """The first `size` + 1 bytes of an input. Raises OSError."""
    with open(file, "rb") as stream:
        return stream.read(size + 1)


@dataclass(frozen=True)
class OutputSettings:
    """How results are written; the same for all files of a run."""

    folder: Path
    scratch: Path
    """Folder for temporary files, inside `folder`."""
    format: str = "same"
    quality: int = 95
    keep_metadata: bool = True
    elsewhere: OutputStore | None = None
    """Where results are written instead of `folder`."""
    source: Callable[[str, int], bytes] = read_source
    """Reads the bytes of an input that is written as it is."""

    @property
    def store(self) -> OutputStore:
        """Where results are written."""
        return self.elsewhere or Folder(self.folder, self.scratch)


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
    store = output.store
    written, written_format = name, io.format_name(result.image, output.format)
    endings = io.suffixes_of(written_format)
    if output.format == "same" and os.path.splitext(name)[1].lower() not in endings:
        # A PNG named a.jpg becomes a.jpg.png, so that its name cannot collide with that of another result.
        written += endings[0]
    store.check_inside(written)
    data = unchanged_file(result, output, written_format)
    if data is None:
        data = encode.encode(result.image, output.format, quality=output.quality, keep_metadata=output.keep_metadata)
    with contextlib.suppress(FileNotFoundError):
        store.remove(f"{name}.json")  # an older record must not remain beside the new picture after a kill here
    store.put(written, data)
    described: dict[str, Any] = {"path": store.place(written)} | describe_bytes(data)
    if output.format == "same" and written_format != result.image.meta.format:
        described["notes"] = [substitution_note(result.image.meta.format)]
    entries = result.entries | {"output": described}
    for extra, image in result.extras:
        extra_name = f"{os.path.splitext(written)[0]}.{extra}.png"
        data = encode.encode(image, "png")
        store.put(extra_name, data)
        entries.setdefault("extras", []).append(extra_name)
        entries.setdefault("extra_files", {})[extra_name] = describe_bytes(data)
    if result.stages:
        from odekit.runs.report.sheet import write_stages

        store.check_inside(os.path.join("stages", name, "sheet.png"))
        sheet = write_stages(output.folder / "stages" / name, result.stages)
        entries["pictures"] = str(sheet.relative_to(output.folder))
    try:
        text = record_text(entries, result.shared)
    except (TypeError, ValueError):
        store.remove(written)  # a stage noted something that JSON cannot store; no picture without a record
        raise
    store.put(f"{name}.json", text)
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
        data = output.source(source["path"], source["bytes"])
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
