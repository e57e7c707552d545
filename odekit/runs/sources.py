"""Where the inputs of a job lie: files on a disk, or what a plugin reads them from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from odekit.errors import ConfigError
from odekit.images.io import IMAGE_SUFFIXES
from odekit.runs.files import InputPicture, read_input, read_source
from odekit.runs.inputs import Inputs, Job, find_overwritten_input, list_inputs
from odekit.runs.output_names import NameRules
from odekit.runs.whole import same_input


class InputSource(Protocol):
    """Lists and reads inputs."""

    def list(self, inputs: Sequence[str | Path], out: Path) -> Inputs:
        """Jobs for all pictures, in a stable order, with the names of their paths; without those in `out`.

        Raises:
            ConfigError: there is no picture.
        """
        ...

    @property
    def read(self) -> Callable[[str, float, bool], InputPicture]:
        """Reads a picture, with the entry `input` of its record: path, size, what tells a change, SHA-256.

        Its arguments are those of `odekit.runs.files.read_input`. A worker process calls it: it can be pickled.
        """
        ...

    def data(self, file: str, size: int) -> bytes:
        """The first `size` + 1 bytes of a file. Raises OSError."""
        ...

    def is_same(self, recorded: Mapping[str, Any], file: str, verify: bool) -> bool:
        """Whether a file is the one that a record describes. Raises OSError, KeyError."""
        ...

    def check_kept(self, jobs: Sequence[Job], out: Path, rules: NameRules) -> None:
        """Raise ConfigError if a result would replace an input."""
        ...


class LocalFiles:
    """Files on a disk, or on storage that is mounted."""

    def list(self, inputs: Sequence[str | Path], out: Path) -> Inputs:
        """Files, folders and globs."""
        return list_inputs(inputs, out, IMAGE_SUFFIXES)

    read = staticmethod(read_input)

    def data(self, file: str, size: int) -> bytes:
        """The first `size` + 1 bytes of a file."""
        return read_source(file, size)

    def is_same(self, recorded: Mapping[str, Any], file: str, verify: bool) -> bool:
        """By path, size, times and inode; else by SHA-256."""
        return same_input(recorded, file, verify)

    def check_kept(self, jobs: Sequence[Job], out: Path, rules: NameRules) -> None:
        """Links count as what they lead to."""
        conflict = find_overwritten_input(jobs, out, rules.written)
        if conflict is not None:
            raise ConfigError(f"the result of {conflict.file} would replace an input; choose another folder with -o")
