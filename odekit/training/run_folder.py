"""The folder of a run: checks before training, options that a resumed run may change, atomic replacement of weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from odekit.core.files import write_atomic
from odekit.errors import ConfigError
from odekit.training import checkpoint
from odekit.training.errors import TrainingError
from odekit.training.options.base import RunOptions

RECORD_NAME = "run.json"
RESUMABLE_CHANGES = {
    "steps",
    "validate_every",
    "save_every",
    "patience",
    "snapshots",
    "samples",
    "sample_steps",
    "skip_bad",
    "init",
}
"""Options that a resumed run may change: none of them affects the steps already taken."""


def prepare_run_folder(folder: Path, options: RunOptions, fingerprint: str, resume: bool) -> bool:
    """Prepare the folder of a run. Returns whether it holds a checkpoint of this run to continue from.

    Args:
        folder: the folder of the run; created if missing.
        options: the options of the run, written to `run.json`.
        fingerprint: digest of the training data, written to `run.json`.
        resume: whether the user asked to continue the run.

    Raises:
        ConfigError: the folder holds other files; or a run, without `resume`; or a run with another configuration or
            other pictures.
        TrainingError: the folder cannot be written.
    """
    record = _read(folder / RECORD_NAME)
    if record is None:
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(f"{folder}: not empty and not a training run; choose a new or an empty folder")
        if resume:
            raise ConfigError(f"{folder}: no run to resume; leave out --resume to start one")
    elif not resume:
        raise ConfigError(f"{folder}: holds a training run; add --resume to continue it, or choose another folder")
    else:
        _check_same_run(folder, record, options, fingerprint)
    record = {"odekit": 1, "options": _json_options(options), "pictures": fingerprint}
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    try:
        write_atomic(text.encode(), folder / RECORD_NAME)
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be written ({error.strerror}); choose another folder with -o") from error
    (folder / (checkpoint.FILE_NAME + ".new")).unlink(missing_ok=True)
    return (folder / checkpoint.FILE_NAME).is_file()


def make_draft(folder: Path) -> Path:
    """A new, empty folder next to `folder`. Fill it, then pass it to `replace_folder`."""
    repair_replacement(folder)
    temporary = folder.with_name(folder.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


def replace_folder(fresh: Path, folder: Path) -> None:
    """Replace `folder` by the complete folder `fresh`.

    `repair_replacement` repairs an interruption between the two renames.
    """
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def repair_replacement(folder: Path) -> None:
    """Repair an interrupted `replace_folder`: restore the old folder if the new one is missing; remove leftovers."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _json_options(options: RunOptions) -> dict[str, Any]:
    return dict(options.model_dump(mode="json"))


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); start a new run in another folder") from error


def _check_same_run(folder: Path, record: dict[str, Any], options: RunOptions, fingerprint: str) -> None:
    current, recorded = _json_options(options), _with_defaults(dict(record.get("options", {})), type(options))
    for name in sorted((current.keys() | recorded.keys()) - RESUMABLE_CHANGES):
        if current.get(name) != recorded.get(name):
            raise ConfigError(
                f"{folder}: the run has {name} = {_shorten(recorded.get(name))}, the configuration has "
                f"{_shorten(current.get(name))}; resume with the same configuration, or start in another folder"
            )
    if record.get("pictures") != fingerprint:
        raise ConfigError(f"{folder}: the run was trained on other pictures; resume with the same data")


def _with_defaults(recorded: dict[str, Any], model: type[RunOptions]) -> dict[str, Any]:
    """Recorded options with the defaults of those that a later version added."""
    try:
        return _json_options(model.model_validate(recorded))
    except ValidationError:  # an option of another version, which the comparison names
        return recorded


def _shorten(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
