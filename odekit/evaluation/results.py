"""The results document: what a comparison found, as plain data that reports and other programs read.

`results.json` is `Results.tree()`. Numbers that are not finite are null (NaN) or the text "inf" or "-inf". Paths of
pictures are relative to the folder of the document, with forward slashes. Fields are added, never renamed, while
`schema` stays 1.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from odekit.core.files import read_json, write_json
from odekit.errors import InputError
from odekit.parts.metrics.base import About

SCHEMA = 1
NAME = "results.json"


@dataclass(frozen=True)
class Method:
    """What is compared: a chain, or the damaged pictures as they are."""

    name: str
    label: str
    kind: Literal["damaged", "chain", "given"] = "given"
    """"given": pictures that were there already (`odekit eval`)."""
    chain: Mapping[str, Any] | None = None
    """The whole chain as data."""
    calls: float | None = None
    """Network calls for a picture."""
    seconds: float | None = None
    """Mean seconds for a picture, network and all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options that a sweep changed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of one method."""

    picture: str
    """Its name: the path below the folder, without the ending."""
    method: str
    kind: str = ""
    """The damage; empty where it is not known."""
    severity: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    """By metric of pairs; NaN where it has no value."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a metric has no value."""
    error: str = ""
    """Why there is nothing to measure: a picture that is missing, of another size, or that the chain failed on."""
    calls: int | None = None
    seconds: float | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Paths by role: "reference", "damaged", "restored"."""


@dataclass(frozen=True)
class Value:
    """A metric over the pictures of a group."""

    value: float
    """The mean over the finite values; of a set metric the distance."""
    low: float = math.nan
    high: float = math.nan
    """Ends of the 95 % bootstrap interval over pictures."""
    spread: float | None = None
    """Of set metrics: standard deviation over draws of places and directions. It is not an interval over pictures."""
    count: int = 0
    """Pictures that the value is of."""
    infinite: int = 0
    """Left out: infinite (PSNR of equal pictures)."""
    undefined: int = 0
    """Left out: the metric has no value."""
    note: str = ""


@dataclass(frozen=True)
class Group:
    """A method over all pictures, or over those of one damage."""

    method: str
    kind: str = ""
    """Empty: over all."""
    severity: int | None = None
    pictures: int = 0
    """Pictures that should have been there."""
    failed: int = 0
    """Of them, those that could not be measured at all; in no mean."""
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """The mean of method - against over the pictures that both have, with a paired bootstrap interval."""

    method: str
    against: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    count: int = 0


@dataclass(frozen=True)
class Printed:
    """Figures that somebody printed, on other data."""

    method: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Quote:
    """Where printed figures come from."""

    source: str
    remark: str
    rows: tuple[Printed, ...] = ()


@dataclass(frozen=True)
class Plot:
    """Two metrics that belong on the axes of a plot, one point for each method."""

    x: str
    y: str
    lines: str = ""
    """The setting (key of `Method.settings`) whose values make lines of their own; empty: one line."""
    title: str = ""


@dataclass(frozen=True)
class Results:
    """The whole document."""

    name: str
    """Of the command: "eval", "table1", "synergy", "sweep"."""
    title: str
    how: str
    """Data, damage, seed: a sentence or two."""
    command: str = ""
    seed: int = 0
    started: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    """Of the whole command, this time."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Device, precision, slots, threads, processor, versions."""
    metrics: tuple[About, ...] = ()
    """The columns. Of pairs: a value for each picture, groups have the mean. Of sets: groups alone have a value."""
    methods: tuple[Method, ...] = ()
    groups: tuple[Group, ...] = ()
    """Over all pictures first, then by damage."""
    differences: tuple[Difference, ...] = ()
    quotes: tuple[Quote, ...] = ()
    plots: tuple[Plot, ...] = ()
    problems: tuple[str, ...] = ()
    """What was missing, left over or unreadable: a line each."""
    notes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    """Empty where there are more than `ROWS`; `rows_file` has them all."""
    rows_file: str = ""
    """The CSV with every row, beside the document."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Paths of pictures about the whole: plots and sheets."""
    schema: int = SCHEMA

    def tree(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        return dict(plain(self))

    def write(self, folder: Path) -> Path:
        """Write `results.json` into a folder; an existing one is replaced when the new one is whole."""
        write_json(folder / NAME, self.tree())
        return folder / NAME

    @classmethod
    def from_tree(cls, tree: Any) -> Results:
        """From `tree()`.

        Raises:
            InputError: no such document, or one of another schema.
        """
        if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
            seen = tree.get("schema") if isinstance(tree, dict) else type(tree).__name__
            raise InputError(f"no results document of schema {SCHEMA} (schema: {seen})")
        try:
            return typing.cast("Results", read_results(cls, tree))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(f"no whole results document: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Results:
        """From `results.json`, or from the folder that holds it. Raises InputError."""
        file = path / NAME if path.is_dir() else path
        tree = read_json(file)
        if tree is None:
            raise InputError(f"{file}: no results document; write one with odekit eval or odekit bench table1")
        return cls.from_tree(tree)


ROWS = 10_000
"""Rows that a document holds at most."""


def plain(value: Any) -> Any:
    """Dataclasses as mappings, NaN as null, infinities as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def read_results(kind: Any, data: Any) -> Any:
    """Data as what a type hint says: the way back. Keys that are not known are passed over."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else read_results(inner[0], data)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = {item.name for item in dataclasses.fields(kind)}
        made: Any = kind
        return made(**{key: read_results(hints[key], value) for key, value in data.items() if key in known})
    if origin is tuple:
        return tuple(read_results(inner[0], item) for item in data)
    if kind is float or kind == "float":
        return math.nan if data is None else float(data)
    if origin is not None and inner and isinstance(data, dict):
        return {key: read_results(inner[1], item) for key, item in data.items()}
    return data
