"""One run at a time writes to an output folder; shards of one job (`--shard i/n`) may share it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from odekit.errors import ConfigError
from odekit.runs.events import events

WHOLE = "run.lock"


def lock_name(shard: str | None) -> str:
    """The lock file of a whole run, or of one shard of it."""
    return WHOLE if shard is None else f"run-{shard.replace('/', '-of-')}.lock"


@contextlib.contextmanager
def locked(out: Path, shard: str | None = None) -> Iterator[None]:
    """Hold the output folder. The lock is the system's: it ends with the process, however that ends.

    Raises:
        ConfigError: another run is writing there. The message says which.
    """
    path = out / lock_name(shard)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0.5, poll_interval=0.05)  # `held` holds it for a moment
    except Timeout:
        raise ConfigError(busy(path)) from None
    except OSError as error:
        raise ConfigError(f"the output folder {out} cannot be written: {error.strerror or error}") from error
    try:
        others = out.glob("run-*-of-*.lock") if shard is None else [out / WHOLE, *_otherwise_divided(out, shard)]
        for other in others:
            if held(other):
                raise ConfigError(busy(other))
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def _otherwise_divided(out: Path, shard: str) -> list[Path]:
    """Locks of shards of other numbers: their parts overlap with ours."""
    return [path for path in out.glob("run-*-of-*.lock") if not path.stem.endswith(f"-of-{shard.partition('/')[2]}")]


def held(path: Path) -> bool:
    """Whether a living process holds this lock file."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False


def busy(path: Path) -> str:
    """One line about who is writing to the folder of a lock file, as its event log says."""
    who: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        who = next((e for e in reversed(list(events(path.with_suffix(".jsonl")))) if e["event"] == "begin"), {})
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(who.get("time", 0)))
    said = f" (process {who.get('pid')} on {who.get('host')}, since {since})" if who else ""
    return f"another run{said} is writing to {path.parent}; wait for it, or choose another folder with -o"
