"""How often a batch or a file was tried: Ray repeats what killed its process for ever, and this puts an end to it.

Before a batch begins, its names are written down. Whoever gets the same batch again, in another process or on another
machine, finds them, and takes its files one by one, each written down before it begins: a file that was tried
`MAX_ATTEMPTS` times and never came to an end is the guilty one. The others are not affected: at a fixed batch size a
result does not depend on what else is in the batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from odekit.runs.stores import OutputStore, read_json_in

MAX_ATTEMPTS = 3
"""Attempts for each file: one in its batch, and further ones alone."""


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
        """What an earlier attempt at a batch of these names was to do; None if this is the first one."""
        content = read_json_in(self.store, self._name(names))
        return frozenset(map(str, content["todo"])) if isinstance(content, dict) and "todo" in content else None

    def begin(self, names: Sequence[str], todo: Sequence[str]) -> None:
        """Write down that a batch begins. Raises OSError."""
        self._put(names, {"todo": list(todo)})

    def alone(self, name: str) -> int:
        """The number of attempts at a file alone that have not come to an end."""
        content = read_json_in(self.store, self._name([name, "alone"]))
        return int(content["count"]) if isinstance(content, dict) and "count" in content else 0

    def begin_alone(self, name: str) -> None:
        """Write down that a file begins alone. Raises OSError."""
        self._put([name, "alone"], {"count": self.alone(name) + 1})

    def _put(self, names: Sequence[str], content: dict[str, object]) -> None:
        self.store.put(self._name(names), json.dumps(content).encode())

    def _name(self, names: Sequence[str]) -> str:
        key = hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest()[:24]
        return f"{self.scratch}/{key}.json"
