"""Locks on an output folder: one run at a time; shards of one job (`--shard i/n`) may write to it together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from odekit.core.files import exclusive
from odekit.errors import ConfigError
from odekit.runs.events import read_events
from odekit.runs.inputs import shard_tag


def lock_name(shard: str | None) -> str:
    """Name of the lock file of a whole run, or of one shard."""
    return f"run{shard_tag(shard)}.lock"


@contextlib.contextmanager
def lock_output_folder(out: Path, shard: str | None = None) -> Iterator[None]:
    """Hold the lock of an output folder. The system releases it when the process ends, even if it is killed.

    Raises:
        ConfigError: another run is writing to the folder; the message identifies it.
        OSError: the folder cannot be written, or has no locks.
    """
    path = out / lock_name(shard)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(path, timeout=0.5))  # `is_locked` in another process holds it for a moment
        except TimeoutError:
            raise ConfigError(busy_message(path)) from None
        stack.callback(remove_lock_file, path)
        whole_run = [out / lock_name(None)]
        others = out.glob("run-*-of-*.lock") if shard is None else [*whole_run, *_other_divisions(out, shard)]
        for other in others:
            if is_locked(other):
                raise ConfigError(busy_message(other))
        yield


def remove_lock_file(path: Path) -> None:
    """Remove a lock file; it stays where the folder does not allow it."""
    with contextlib.suppress(OSError):
        path.unlink()


def _other_divisions(out: Path, shard: str) -> list[Path]:
    """Locks of shards with a different n in i/n: their inputs overlap with those of this shard."""
    return [path for path in out.glob("run-*-of-*.lock") if not path.stem.endswith(f"-of-{shard.partition('/')[2]}")]


def other_shards_run(out: Path, shard: str | None) -> bool:
    """Whether another shard is writing to the folder."""
    own = out / lock_name(shard)
    return any(is_locked(path) for path in out.glob("run-*-of-*.lock") if path != own)


def is_locked(path: Path) -> bool:
    """Whether a running process holds this lock file."""
    if not path.exists():
        return False
    try:
        with exclusive(path, timeout=0):
            return False
    except (TimeoutError, PermissionError):  # PermissionError: the lock of another user
        return True
    except OSError:  # no lock file, but a folder or a link
        return False


def busy_message(path: Path) -> str:
    """Error message for a held lock file; process, host and start time come from the event log."""
    begin: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        begin = next((e for e in reversed(list(read_events(path.with_suffix(".jsonl")))) if e["event"] == "begin"), {})
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(begin.get("time", 0)))
    pid, host = begin.get("pid"), begin.get("host")
    known = isinstance(pid, int) and isinstance(host, str)
    process = f" (process {pid} on {str(host)[:100]}, since {since})" if known else ""
    return f"another run{process} is writing to {path.parent}; wait for it, or choose another folder with -o"
