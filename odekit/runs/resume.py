"""Whether a stored chain is the one at hand, and where not, in what it differs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.plugins.catalog import Catalog
from odekit.runs.record import _SHARED, SCHEMA, file_facts


def proves_done(record: Any, settings: Mapping[str, Any], source: str, folder: str) -> bool:
    """A record proves a file done when settings, input and output are as recorded."""
    try:
        if any(record[key] != value for key, value in settings.items()):
            return False
    except (KeyError, TypeError):
        return False
    return as_recorded(record, source, folder)


def as_recorded(record: Any, source: str, folder: str) -> bool:
    """Input and output are as recorded.

    Sizes and the input's time are compared; where only the time differs, the input's SHA-256. The output lies in
    `folder` under the record's name for it: a file whose name lies about its format gets a true ending.
    """
    try:
        if record["schema"] != SCHEMA:
            return False
        given, made = record["input"], record["output"]
        stat = os.stat(source)
        if stat.st_size != given["bytes"]:
            return False
        if os.stat(os.path.join(folder, os.path.basename(made["path"]))).st_size != made["bytes"]:
            return False
        return bool(stat.st_mtime_ns == given["mtime_ns"] or file_facts(Path(source))["sha256"] == given["sha256"])
    except (OSError, KeyError, TypeError, ValueError):
        return False


class Proofs:
    """Asks the records of a folder what is done. What the files of a run share is read and judged once."""

    def __init__(self, agrees: Callable[[Mapping[str, Any]], bool]) -> None:
        self.agrees = agrees
        """Whether a record's settings are those of this run."""
        self.agreed: set[bytes] = set()
        """Shared parts that are."""

    def done(self, target: str, source: str) -> bool:
        """Whether the record of `target` proves that it was made of `source` with these settings."""
        try:
            file = os.open(f"{target}.json", os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.read(file, 1 << 16)
                while more := os.read(file, 1 << 20):
                    data += more
            finally:
                os.close(file)
        except OSError:
            return False
        own, _, shared = data.partition(_SHARED)
        record = parsed(own + b"}") if shared in self.agreed else None
        if not isinstance(record, dict):  # a part of the run's that was not met before, or a record that others wrote
            record = parsed(data)
            if not isinstance(record, dict) or not self.agrees(record):
                return False
            head = parsed(own + b"}")
            if shared and isinstance(head, dict) and all(record[key] == value for key, value in head.items()):
                self.agreed.add(shared)
        return as_recorded(record, source, os.path.dirname(target))


def parsed(data: bytes) -> Any:
    """JSON, or None where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def with_defaults(stored: Any, parts: Catalog) -> Any:
    """A chain's tree with the defaults of options that did not exist when it was stored; anything else as it is."""
    try:
        return Chain.from_document(document.Document(stored, "", {}), (), parts).tree()
    except Exception:  # a record holds whatever somebody wrote there
        return stored


def first_difference(there: Any, now: Any, path: str = "") -> str:
    """The first difference of two trees in words; empty where there is none."""
    if isinstance(there, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in there if key not in now)]:
            below = f"{path}.{key}".lstrip(".") if key != "chain" else path
            if found := first_difference(there.get(key), now.get(key), below):
                return found
        return ""
    if isinstance(there, list) and isinstance(now, list) and len(there) == len(now):
        return next((found for a, b in zip(there, now, strict=True) if (found := first_difference(a, b, path))), "")
    return "" if there == now else f"{path or 'it'} is {_short(there)} there and {_short(now)} now"


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
