"""Removes what Gradio keeps of uploads. Its own `delete_cache` would also take the results of open pages."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from odekit_web.visit import FOLDER

EVERY = 60.0
"""Seconds."""


def sweep(folder: Path, age: float, handed_out: Sequence[set[str]] = ()) -> None:
    """Remove the files of a folder that are older than `age` seconds; visits remove theirs.

    Args:
        folder: of the server.
        age: in seconds.
        handed_out: paths that Gradio remembers, without end; those of files that are gone are forgotten.
    """
    latest = time.time() - age
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        if path.relative_to(folder).parts[0].startswith(FOLDER):
            continue
        with contextlib.suppress(OSError):  # gone meanwhile, or a folder that is not empty
            if path.stat().st_mtime <= latest:
                path.rmdir() if path.is_dir() else path.unlink()
    for paths in handed_out:
        for name in list(paths):
            if not Path(name).exists():
                paths.discard(name)


def sweep_always(folder: Path, age: float, handed_out: Sequence[set[str]]) -> None:
    """Sweep every minute, in a thread that ends with the process."""

    def run() -> None:
        while True:
            time.sleep(EVERY)
            sweep(folder, age, handed_out)

    threading.Thread(target=run, name="sweep", daemon=True).start()
