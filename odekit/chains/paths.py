"""The files and folders that a chain names in its options: whether they are there, and of the kind that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from odekit.chains.document import DataPath, format_path
from odekit.chains.resolve import ChainSpec, iter_stages
from odekit.core.files import open_regular
from odekit.core.options import NamesFile, Options, Part
from odekit.errors import ConfigError
from odekit.images.formats.deep import Refusal
from odekit.images.formats.kind import kind_of


def check_paths(spec: ChainSpec) -> None:
    """Check the files and folders that the options of a chain name; the beginnings of pictures are read.

    Raises:
        ConfigError: the first that is missing, no regular file, or no picture where one is needed.
    """
    parts = [(part, ("priors", name)) for name, part in spec.priors.items()]
    for part, path in [*parts, *iter_stages(spec.items, ("chain",))]:
        for inner, file, mark in _named_files(part.options, path):
            if problem := _problem(file, mark):
                raise ConfigError(f"{format_path(inner)}: {file}: {problem}")


def _named_files(options: Options, path: DataPath) -> Iterator[tuple[DataPath, str, NamesFile]]:
    """(place, path, mark) of each file that options and the parts in them name."""
    for key, info in type(options).model_fields.items():
        value, inner = getattr(options, key), (*path, key)
        if isinstance(value, Part):
            yield from _named_files(value.options, inner)
        elif isinstance(value, Options):
            yield from _named_files(value, inner)
        elif isinstance(value, str):
            yield from ((inner, value, mark) for mark in [*info.metadata, *_marks(info.annotation)]
                        if isinstance(mark, NamesFile))  # fmt: skip


def _marks(annotation: Any) -> Iterator[Any]:
    """The types and metadata inside a type, such as those of one member of a union."""
    for inner in get_args(annotation):
        yield inner
        yield from _marks(inner)


def _problem(file: str, mark: NamesFile) -> str:
    """What is wrong with a file or folder; empty if nothing is."""
    if mark.or_folder and Path(file).is_dir():
        return ""
    try:
        with os.fdopen(open_regular(file), "rb") as stream:
            if mark.picture:
                kind_of(stream.read(512))
    except Refusal as refusal:
        return str(refusal)
    except OSError as error:
        return error.strerror or str(error)
    return ""
