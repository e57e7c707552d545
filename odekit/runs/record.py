"""The JSON record written beside each result: it documents how the result was computed, and `--resume` relies on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from odekit.core.files import ENCODING_ERRORS
from odekit.core.text import visible_json

SHARED_START = b',\n "chain": '
"""Start of the part of a record that is the same for all files of a run; see `record_text`."""


BLOCK = 4096
"""Bytes at the beginning and at the end of an output that a resume compares."""


def describe_bytes(data: bytes) -> dict[str, Any]:
    """Size, SHA-256 and block digest of a file that is written."""
    blocks = block_digest(data[:BLOCK], data[-BLOCK:])
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "blocks": blocks}


def block_digest(first: bytes, last: bytes) -> str:
    """Digest of the first and the last `BLOCK` bytes of a file, which may overlap; 16 hexadecimal digits."""
    return hashlib.sha256(first + last).hexdigest()[:16]


def shared_text(settings: Mapping[str, Any]) -> str:
    """The part of a record that is the same for all files of a run, rendered once."""
    return visible_json(json.dumps(settings, indent=1, ensure_ascii=False, allow_nan=False)).partition("{")[2]


def record_text(entries: Mapping[str, Any], shared: str) -> bytes:
    """A whole record: the entries of one file, one per line, followed by the `shared_text` of the run."""
    lines = visible_json("".join(f" {json.dumps(key)}: {_to_json(value)},\n" for key, value in entries.items()))
    return f"{{\n{lines.rstrip()}{shared}\n".encode(errors=ENCODING_ERRORS)


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
