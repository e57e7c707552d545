"""A run writes inside its output folder only: links that were put there lead nowhere."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from odekit.errors import ConfigError, OdekitError


def check_own(out: Path, tag: str) -> None:
    """Check before a run that the log, the locks and the folders that it writes to are what they should be.

    Files that are replaced as a whole (results, records, run.json, failures.json) may be links or pipes: a rename
    replaces these, and does not follow a link. It does not replace a folder.

    Args:
        out: the output folder; may itself be a link.
        tag: of the shard (`odekit.runs.inputs.shard_tag`).

    Raises:
        ConfigError: one of them is a link, a folder in place of a file, or a file in place of a folder.
    """
    files = [out / name for name in (f"run{tag}.jsonl", f"run{tag}.lock", "run.json.lock")]
    scratch = out / f".odekit-tmp{tag}"
    for path in [*files, scratch, out / "stages", *out.glob("run*.lock")]:
        if path.is_symlink():
            raise ConfigError(f"{path} is a link; a run writes inside its output folder only: remove the link")
    for path in files:
        if path.exists() and not path.is_file():
            raise ConfigError(
                f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; a run writes it: remove it"
            )
    settings = out / "run.json"
    if settings.is_dir() and not settings.is_symlink():
        raise ConfigError(f"{settings} is a folder; a run writes a file of that name: remove it")
    if scratch.exists() and not scratch.is_dir():
        raise ConfigError(f"{scratch} is no folder; a run makes a folder of that name: remove it")


def check_inside(name: str, folder: str) -> None:
    """Check that a name does not lead out of the output folder through `..` or a link.

    Raises:
        OdekitError: it does.
    """
    target = os.path.join(folder, name)
    parent = os.path.dirname(target)
    if parent == folder:
        return
    steps = os.path.dirname(name).split(os.sep)
    if os.pardir not in steps and not os.path.isabs(name):
        parents = (os.path.join(folder, *steps[:i]) for i in range(1, len(steps) + 1))
        if not any(os.path.islink(path) for path in parents):
            return
    real_parent, real_folder = os.path.realpath(parent), os.path.realpath(folder)
    if not f"{real_parent}{os.sep}".startswith(f"{real_folder}{os.sep}"):
        raise OdekitError(f"{target}: is outside the output folder {folder} (a link, or '..'); remove the link")


def open_own(path: str, flags: int) -> int:
    """An opener for files that belong to a run: a regular file, not reached through a link; for `open(opener=...)`.

    Raises:
        OSError: it is a link, a folder, a pipe or a device, or cannot be opened.
    """
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileExistsError(17, "is not a regular file", path)
    return file
