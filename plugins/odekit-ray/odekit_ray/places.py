"""Inputs and outputs of a job by what the user names: paths, or addresses such as `s3://bucket/folder`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from odekit.runs.stores import OutputStore
from odekit_ray.objects import Objects, ObjectStore, is_address

__all__ = ["book_places", "is_address", "log_folder"]


def book_places(address: str) -> dict[str, Any]:
    """`store` and `source` of a job book; an address of results that is empty stands for a folder."""
    return {"store": ObjectStore(address.rstrip("/")) if address else None, "source": Objects(address.rstrip("/"))}


@contextlib.contextmanager
def log_folder(store: OutputStore, folder: Path | None) -> Iterator[Path]:
    """The folder for the event log and failures.json: that of the results, or a temporary one that is copied to them.

    Args:
        store: of the results.
        folder: of the results, if they go to one.
    """
    if folder is not None:
        yield folder
        return
    names = ("run.jsonl", "failures.json")
    with tempfile.TemporaryDirectory(prefix="odekit-ray-") as place:
        with contextlib.suppress(OSError):
            (Path(place) / names[0]).write_bytes(store.read(names[0]))
        try:
            yield Path(place)
        finally:
            for name in names:
                path = Path(place) / name
                if path.exists():
                    store.put(name, path.read_bytes())
                elif store.has(name):
                    store.remove(name)
