"""What `-o` names: a folder for any number of results, one file, or standard output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from odekit.errors import ConfigError
from odekit.images.formats.names import FORMAT_SUFFIXES, READABLE, UNSUPPORTED, WRITABLE, format_of_suffix

STREAM = "-"
"""Name of standard input and of standard output."""


def is_folder(out: str, inputs: Sequence[str]) -> bool:
    """Whether the results go to a folder: one that exists, or a name without a suffix or with a separator at its end.

    A name with a suffix is a file if the suffix is that of a picture or a video, or if the only input is a file.

    Raises:
        ConfigError: an empty name, or a file with a suffix of a format that is not written.
    """
    if not out:
        raise ConfigError("-o '': names nothing; name a folder, or . for the current one")
    if out == STREAM:
        return False
    suffix = os.path.splitext(out)[1].lower()
    if os.path.isdir(out) or out.endswith((os.sep, os.altsep or os.sep)) or not suffix:
        return True
    if format_of_suffix(suffix, WRITABLE) is not None:
        return False
    if suffix not in READABLE and suffix not in UNSUPPORTED and (len(inputs) != 1 or os.path.isdir(inputs[0])):
        return True
    known = ", ".join(ending for name in WRITABLE for ending in FORMAT_SUFFIXES[name])
    raise ConfigError(f"-o {out}: odekit does not write '{suffix}' files; use one of {known}, or {out}/ for a folder")


def check_stream_inputs(inputs: Sequence[str], folder: bool) -> None:
    """Check that standard input is the only input, and not restored into a folder. Raises ConfigError."""
    if STREAM in inputs and (folder or len(inputs) > 1):
        raise ConfigError("'-' (standard input) is one picture: give no other input, and a file or '-' with -o")


def only_file(inputs: Sequence[str], out: str) -> str:
    """The single file that the inputs of a run with a file as output name. Raises ConfigError if it is not one file."""
    from odekit.images.io import IMAGE_SUFFIXES
    from odekit.runs.inputs import list_inputs

    if list(inputs) == [STREAM]:
        return STREAM
    folder = next((item for item in inputs if os.path.isdir(item)), None)
    if folder is not None:
        raise ConfigError(f"-o {out} names one file, and {folder} is a folder; name one picture, or a folder with -o")
    jobs = list_inputs(inputs, Path(os.devnull), IMAGE_SUFFIXES).jobs
    if len(jobs) > 1:
        raise ConfigError(f"-o {out} names one file, and there are {len(jobs)} inputs; name a folder with -o")
    return jobs[0].file


def check_writable(path: Path, source: str, overwrite: bool) -> None:
    """Check before the work that a file can be written. Raises ConfigError if it exists, or its folder is read-only."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file")
    if path.exists():
        if source != STREAM and os.path.samefile(path, source):
            raise ConfigError(f"{path} would replace the input; choose another name")
        if not overwrite:
            raise ConfigError(f"{path} exists; use --overwrite to replace it")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{path} cannot be written: {folder} is not a folder that may be written; choose another")
