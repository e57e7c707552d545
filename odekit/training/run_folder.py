"""The folder of a run: what it must be before training begins, and what may differ when a run is resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from odekit.errors import ConfigError
from odekit.training import checkpoint
from odekit.training.errors import TrainingError
from odekit.training.options.base import Run

RUN = "run.json"
FREE = {"steps", "validate_every", "save_every", "patience", "snapshots", "samples", "sample_steps", "skip_bad", "init"}
"""Options that a resumed run may change: none of them changes the meaning of the steps already taken."""


def prepare(folder: Path, options: Run, fingerprint: str, resume: bool) -> bool:
    """Make the folder ready; True where a checkpoint of this very run is to be continued.

    Raises:
        ConfigError: the folder holds something else, a run that was not asked to be resumed, or a run of another
            configuration or other pictures.
        TrainingError: it cannot be written.
    """
    found = _read(folder / RUN)
    if found is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder}: not empty, and no training run; give a new or an empty folder")
        if resume:
            raise ConfigError(f"{folder}: no run to resume; leave out --resume to start one")
    elif not resume:
        raise ConfigError(f"{folder}: holds a training run; add --resume to go on with it, or give another folder")
    else:
        _same(folder, found, options, fingerprint)
    mine = {"odekit": 1, "options": _plain(options), "pictures": fingerprint}
    _write(folder, json.dumps(mine, indent=1, sort_keys=True) + "\n")
    (folder / (checkpoint.NAME + ".new")).unlink(missing_ok=True)
    return (folder / checkpoint.NAME).is_file()


def draft(folder: Path) -> Path:
    """An empty folder beside `folder`, to be filled and then published."""
    mend(folder)
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    return fresh


def publish(fresh: Path, folder: Path) -> None:
    """Put a finished draft in the place of `folder`. A kill in between is mended by `mend`."""
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def mend(folder: Path) -> None:
    """Undo a `publish` that was cut short: the old folder comes back where the new one never arrived."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _plain(options: Run) -> dict[str, Any]:
    return dict(options.model_dump(mode="json"))


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); start anew in another folder") from error


def _same(folder: Path, found: dict[str, Any], options: Run, fingerprint: str) -> None:
    ours, theirs = _plain(options), dict(found.get("options", {}))
    for name in sorted((ours.keys() | theirs.keys()) - FREE):
        if ours.get(name) != theirs.get(name):
            raise ConfigError(
                f"{folder}: its run has {name} = {_short(theirs.get(name))}, now it is {_short(ours.get(name))}; "
                "resume with the same configuration, or start in another folder"
            )
    if found.get("pictures") != fingerprint:
        raise ConfigError(f"{folder}: its run was trained on other pictures; resume with the same data")


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _write(folder: Path, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / (RUN + ".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(folder / RUN)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error.strerror}); give another folder with -o") from error
