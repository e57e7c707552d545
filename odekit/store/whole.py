"""Whether a file looks like a whole weights file, without loading it: what can be asked where no SHA-256 is known."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

from odekit.errors import WeightsError

PICKLE = b"\x80"
"""First byte of what PyTorch wrote before 1.6; later files are zip archives, the oldest tar archives."""


def whole(file: Path, name: str | None = None) -> None:
    """Refuse a file that is cut off, or that is no weights file at all (a web page, say).

    Args:
        file: what to look at.
        name: what it will be called, where that differs.

    Raises:
        WeightsError: it is neither; the message says what it looks like.
    """
    with file.open("rb") as content:
        start = content.read(8)
    if not start:
        raise WeightsError(f"{file}: is empty")
    if Path(name or file.name).suffix == ".safetensors":
        _safetensors(file, start)
    elif start.startswith(b"PK"):
        if not zipfile.is_zipfile(file):
            raise WeightsError(f"{file}: is cut off (a PyTorch file without its end)")
    elif start.lstrip()[:1] == b"<":
        raise WeightsError(f"{file}: is a web page, not a weights file")
    elif start[:1] != PICKLE and not tarfile.is_tarfile(file):
        raise WeightsError(f"{file}: is no weights file (neither safetensors nor PyTorch's)")


def _safetensors(file: Path, start: bytes) -> None:
    length, size = int.from_bytes(start, "little"), file.stat().st_size
    if length > size - 8:
        raise WeightsError(f"{file}: is cut off, or no safetensors file")
    with file.open("rb") as content:
        content.seek(8)
        try:
            header = json.loads(content.read(length))
            end = max((t["data_offsets"][1] for n, t in header.items() if n != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise WeightsError(f"{file}: is no safetensors file") from error
    if size != 8 + length + end:
        raise WeightsError(f"{file}: is cut off ({size} bytes instead of {8 + length + end})")
