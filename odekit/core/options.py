"""Typed options of parts, and references to parts with their options. Importing this module does not load torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, get_args, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from odekit.core.option_class import OptionClass
from odekit.core.option_docs import RefersTo
from odekit.core.spelling import nearest
from odekit.errors import OptionError


class Options(BaseModel, metaclass=OptionClass):
    """Base of all option models: frozen, strict about types, no unknown keys, no NaN or infinity.

    Wrong options are an `odekit.errors.OptionError`, which names the nearest option. An instance of a subclass with
    `part` set refers to that part in Python code: `Ode(steps=100)` is `{use: ode, steps: 100}`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    part: ClassVar[str] = ""
    inline: ClassVar[str | None] = None
    """For a stage that wraps one part: the option with this part. In a chain file it replaces the options."""
    last: ClassVar[bool] = False
    """The stage may only be the last of a chain."""

    def __dir__(self) -> list[str]:
        return dir(type(self))

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError:
            fields, label = type(self).model_fields, type(self).__name__
            if name in fields:
                reason = f"options are not changed; make others, such as {label}({name}=...)"
            else:
                reason = f"unknown option of {label}{nearest(name, fields)}"
            raise OptionError(f"{label}.{name}: {reason}") from None


def refuse_url(path: str) -> str:
    """The path of a file, unless it is a URL: nothing is downloaded during a run. Raises ValueError, also for a NUL."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise ValueError("is a URL; download the file, and give its path on this machine")
    if "\0" in path:
        raise ValueError("holds a NUL character, which no path has")
    return path


@dataclass(frozen=True)
class NamesFile:
    """Marks an option that names a file, which `odekit check` looks for."""

    picture: bool = False
    """The file is a picture of a format that is read."""
    or_folder: bool = False
    """It may be a folder."""


@dataclass(frozen=True)
class HoldsPath:
    """Marks an option that holds the path of a file or folder, on whose content results depend."""


LocalPath = Annotated[str, AfterValidator(refuse_url), HoldsPath()]
"""The path of a file or folder on this machine. A resume notices that its content has changed."""
FilePath = Annotated[LocalPath, NamesFile()]
"""The path of a file."""
PicturePath = Annotated[LocalPath, NamesFile(picture=True)]
"""The path of a picture."""
PicturesPath = Annotated[LocalPath, NamesFile(picture=True, or_folder=True)]
"""The path of a picture, or of a folder of pictures."""


@dataclass(frozen=True)
class NamesPrior:
    """Marks an option of a stage that names a prior of the chain; None selects the only prior."""


@runtime_checkable
class HasTree(Protocol):
    """An option value that converts itself to plain data for JSON and YAML."""

    def tree(self) -> Any:
        """The value as plain data."""
        ...


@dataclass(frozen=True)
class Part:
    """A reference to a part: kind, name and validated options."""

    kind: str
    """Such as solver or stage."""
    name: str
    """Of the part in chains."""
    options: Options
    """The checked options."""

    def tree(self) -> dict[str, Any]:
        """The part as plain data in the form of a chain file, with every default written out.

        A stage is `{name: options}`, or `{name: part}` if it wraps one part; other parts are `{use: name, options}`.
        """
        tree = option_tree(self.options)
        if self.kind != "stage":
            return {"use": self.name} | tree
        inline = self.options.inline
        return {self.name: tree[inline] if inline else tree}

    def one_line(self) -> str:
        """`name(option=value, ...)` in one line: parts by their names, without options that are None."""
        tree = option_tree(self.options)
        inner = {key: _name_of(value) for key, value in tree.items()}
        texts = [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in inner.items() if v is not None]
        return f"{self.name}({', '.join(texts)})" if texts else self.name


def _name_of(value: Any) -> Any:
    """The name of a part in plain data, or the class of one that was given as an object; other values as they are."""
    if isinstance(value, dict) and isinstance(value.get("object"), dict):
        return value["object"].get("class", value)
    return value["use"] if isinstance(value, dict) and "use" in value else value


def option_tree(options: Options) -> dict[str, Any]:
    """Options as plain data, nested parts included."""
    return {key: to_plain(getattr(options, key)) for key in type(options).model_fields}


def to_plain(value: Any) -> Any:
    """Convert parts, option models and sequences to plain data for JSON and YAML."""
    if isinstance(value, HasTree):
        return value.tree()
    if isinstance(value, Options):
        return option_tree(value)
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def prior_fields(model: type[Options]) -> Iterator[str]:
    """Names of the options that name a prior of the chain."""
    for key, info in model.model_fields.items():
        if any(isinstance(mark, NamesPrior) for mark in info.metadata):
            yield key


def file_options(options: Options) -> Iterator[str]:
    """The paths in options: values of `LocalPath` or `Path`, and other texts only if they are written as a path."""
    for key, info in type(options).model_fields.items():
        declared = any(isinstance(mark, HoldsPath) for mark in info.metadata) or _declares_path(info.annotation)
        pending = [getattr(options, key)]
        while pending:
            value = pending.pop()
            if isinstance(value, Options):
                yield from file_options(value)
            elif isinstance(value, dict):
                pending += value.values()
            elif isinstance(value, (list, tuple)):
                pending += value
            elif (
                isinstance(value, (str, Path)) and (text := str(value)) and (declared or "/" in text or os.sep in text)
            ):
                yield text


def _declares_path(annotation: Any) -> bool:
    """Whether a type is that of paths, or a union or a list with one."""
    # the arguments of Annotated are the type and its marks
    return annotation is Path or isinstance(annotation, HoldsPath) or any(map(_declares_path, get_args(annotation)))


def part_fields(model: type[Options]) -> Iterator[tuple[str, RefersTo]]:
    """Options that refer to other parts: name and mark."""
    for key, info in model.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, RefersTo):
                yield key, mark


def nested_option_models(model: type[Options]) -> Iterator[tuple[str, type[Options]]]:
    """Options that are option models themselves and refer to other parts: name and model."""
    for key, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Options) and next(part_fields(kind), None):
            yield key, kind


PriorName = Annotated[str | None, NamesPrior()]
"""The type of a stage's option that names a prior of the chain; None: its only prior."""
