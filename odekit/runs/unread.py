"""Pictures and videos in the inputs whose formats are not read: they are counted and named, never passed over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from odekit.images.formats.names import UNSUPPORTED

MAX_NAMES = 3
"""Names of a kind in the message; `--json` lists all."""
_PLURALS = {"camera raw": "camera raw"}


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file in a folder, or matched by a glob, that is a picture or a video of an unsupported format."""

    file: str
    """Path of the file."""
    kind: str
    """Such as `camera raw` or `video`; see `odekit.images.formats.names.UNSUPPORTED`."""


def unread_file(path: str) -> UnreadFile | None:
    """The file if its suffix is that of an unsupported picture or video; else None."""
    kind = UNSUPPORTED.get(os.path.splitext(path)[1].lower())
    return None if kind is None else UnreadFile(path, kind)


def describe_unread(files: Sequence[UnreadFile]) -> str:
    """One line, such as `3 files were not read: a.cr2, b.dng (camera raw), c.mov (video)`."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(file.kind, []).append(os.path.basename(file.file))
    texts = [f"{_names(names)} ({kind if len(names) == 1 else _plural(kind)})" for kind, names in groups.items()]
    verb = "1 file was" if len(files) == 1 else f"{len(files)} files were"
    return f"{verb} not read: {', '.join(texts)}"


def unread_rows(files: Iterable[UnreadFile]) -> list[dict[str, str]]:
    """The files as plain data, for --json."""
    return [{"input": file.file, "kind": file.kind} for file in files]


def _names(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, f"{kind}s")
