"""How often some files were tried: Ray repeats what killed its process for ever, and this puts an end to it.

Before files begin, their names are written down. Whoever gets the same files again, in another process or on another
machine, finds them, and takes them in halves, each written down before it begins, down to a single file: one that was
tried `MAX_ATTEMPTS` times alone and never came to an end is the guilty one. The others are not affected: at a fixed
batch size a result does not depend on what else is in the batch.

Halves, because a worker may also be killed by whoever owns the machine. A file alone takes as long as a batch, so that
of eight files alone one would easily be met again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from odekit.runs.stores import OutputStore, read_json_in

MAX_ATTEMPTS = 3
"""Attempts at each file alone."""


@dataclass(frozen=True)
class Attempts:
    """The attempts of one run, on the store of its results.

    Args:
        store: where they are written.
        scratch: name of the run's folder for temporary files, which is removed at its end.
    """

    store: OutputStore
    scratch: str

    def begun(self, names: Sequence[str]) -> frozenset[str] | None:
        """What the first attempt at a batch of these names was to do; None if this is the first one."""
        content = self._read(names)
        return None if content is None else frozenset(map(str, content["todo"]))

    def count(self, names: Sequence[str]) -> int:
        """The number of attempts at exactly these files."""
        content = self._read(names)
        return 0 if content is None else int(content["count"])

    def begin(self, names: Sequence[str], todo: Sequence[str]) -> None:
        """Write down that an attempt begins: at a batch of these names, of which `todo` are to be done.

        Raises:
            OSError: the store cannot be written.
        """
        before = self._read(names) or {"todo": list(todo), "count": 0}
        self.store.put(self._name(names), json.dumps(before | {"count": before["count"] + 1}).encode())

    def _read(self, names: Sequence[str]) -> dict[str, Any] | None:
        content = read_json_in(self.store, self._name(names))
        return content if isinstance(content, dict) and {"todo", "count"} <= set(content) else None

    def _name(self, names: Sequence[str]) -> str:
        key = hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:24]
        return f"{self.scratch}/{key}.json"
