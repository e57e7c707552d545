"""Locks on an output folder: one run at a time; shards of one job (`--shard i/n`) may write to it together."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

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
    """
    path = out / lock_name(shard)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0.5, poll_interval=0.05)  # `held` in another process acquires it for a moment
    except Timeout:
        raise ConfigError(busy_message(path)) from None
    except OSError as error:
        raise ConfigError(f"the output folder {out} cannot be written: {error.strerror or error}") from error
    try:
        others = (
            out.glob("run-*-of-*.lock") if shard is None else [out / lock_name(None), *_other_divisions(out, shard)]
        )
        for other in others:
            if is_locked(other):
                raise ConfigError(busy_message(other))
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _other_divisions(out: Path, shard: str) -> list[Path]:
    """Locks of shards with a different n in i/n: their inputs overlap with those of this shard."""
    return [path for path in out.glob("run-*-of-*.lock") if not path.stem.endswith(f"-of-{shard.partition('/')[2]}")]


def is_locked(path: Path) -> bool:
    """Whether a running process holds this lock file."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def busy_message(path: Path) -> str:
    """Error message for a held lock file; process, host and start time come from the event log."""
    begin: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        begin = next((e for e in reversed(list(read_events(path.with_suffix(".jsonl")))) if e["event"] == "begin"), {})
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(begin.get("time", 0)))
    process = f" (process {begin.get('pid')} on {begin.get('host')}, since {since})" if begin else ""
    return f"another run{process} is writing to {path.parent}; wait for it, or choose another folder with -o"
