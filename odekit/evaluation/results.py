"""The results document of a comparison, as plain data for reports and other programs.

`results.json` is `Results.tree()`. Numbers that are not finite are null (NaN) or the text "inf" or "-inf". Paths of
images are relative to the folder of the document, with forward slashes. While `schema` is 1, fields may be added but
not renamed.
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
from odekit.parts.metrics.base import MetricInfo

SCHEMA = 1
NAME = "results.json"


@dataclass(frozen=True)
class Method:
    """A compared method: a chain, or the damaged images as they are."""

    name: str
    label: str
    kind: Literal["damaged", "chain", "given"] = "given"
    """"given": images that odekit only measures (`odekit eval`)."""
    chain: Mapping[str, Any] | None = None
    """The whole chain as data."""
    calls: float | None = None
    """Mean network calls for an image."""
    seconds: float | None = None
    """Mean seconds for an image, network included."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options that a sweep changed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image of one method."""

    picture: str
    """Its name: the path below the folder, without the suffix."""
    method: str
    kind: str = ""
    """The damage; empty where unknown."""
    severity: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    """By metric of pairs; NaN for a missing value."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """By metric: the reason for a missing value."""
    error: str = ""
    """The reason why nothing could be measured: the image is missing, has another size, or the chain failed."""
    calls: int | None = None
    seconds: float | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Paths by role: "reference", "damaged", "restored"."""


@dataclass(frozen=True)
class Value:
    """A metric over the images of a group."""

    value: float
    """The mean over the finite values; of a set metric, the distance."""
    low: float = math.nan
    high: float = math.nan
    """Ends of the 95 % bootstrap interval over images."""
    spread: float | None = None
    """Of set metrics: standard deviation over draws of places and directions; not an interval over images."""
    count: int = 0
    """Number of images with a finite value."""
    infinite: int = 0
    """Number of infinite values left out (PSNR of equal images)."""
    undefined: int = 0
    """Number of missing values left out."""
    note: str = ""


@dataclass(frozen=True)
class Group:
    """A method over all images, or over those of one damage."""

    method: str
    kind: str = ""
    """The damage; empty: all images."""
    severity: int | None = None
    pictures: int = 0
    """Expected number of images."""
    failed: int = 0
    """Number of images that could not be measured; they are left out of the means."""
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """The mean of method - against over the images that both have, with a paired bootstrap interval."""

    method: str
    against: str
    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    count: int = 0


@dataclass(frozen=True)
class Printed:
    """Figures of a publication, on other data."""

    method: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Quote:
    """Printed figures and their source."""

    source: str
    remark: str
    rows: tuple[Printed, ...] = ()


@dataclass(frozen=True)
class Plot:
    """A plot of two metrics, with one point for each method."""

    x: str
    y: str
    lines: str = ""
    """The setting (key of `Method.settings`) whose values are separate lines; empty: one line."""
    title: str = ""


@dataclass(frozen=True)
class Results:
    """The whole document."""

    name: str
    """The name of the command: "eval", "table1", "synergy", "sweep" or "tradeoff"."""
    title: str
    how: str
    """Data, damage and seed, in one or two sentences."""
    command: str = ""
    seed: int = 0
    started: str = ""
    """ISO 8601, UTC."""
    seconds: float = 0.0
    """Seconds spent measuring."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Device, precision, batch size ("slots"), threads, processor, versions."""
    metrics: tuple[MetricInfo, ...] = ()
    """The columns. Metrics of pairs have a value for each image, metrics of sets only one for each group."""
    methods: tuple[Method, ...] = ()
    groups: tuple[Group, ...] = ()
    """Over all images first, then by damage."""
    differences: tuple[Difference, ...] = ()
    quotes: tuple[Quote, ...] = ()
    plots: tuple[Plot, ...] = ()
    problems: tuple[str, ...] = ()
    """A line for each image that was missing, without a partner or unreadable."""
    notes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    """Empty where there are more than `ROWS`; `rows_file` has all rows."""
    rows_file: str = ""
    """The CSV with every row, in the folder of the document."""
    figures: Mapping[str, str] = field(default_factory=dict)
    """Paths of plots and contact sheets, by caption."""
    schema: int = SCHEMA

    def tree(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return dict(plain(self))

    def write(self, folder: Path) -> Path:
        """Write `results.json` into a folder, atomically."""
        write_json(folder / NAME, self.tree())
        return folder / NAME

    @classmethod
    def from_tree(cls, tree: Any) -> Results:
        """From `tree()`.

        Raises:
            InputError: no such document, or one of another schema.
        """
        if not isinstance(tree, dict) or tree.get("schema") != SCHEMA:
            schema = tree.get("schema") if isinstance(tree, dict) else type(tree).__name__
            raise InputError(f"no results document of schema {SCHEMA} (schema: {schema})")
        try:
            return typing.cast("Results", read_results(cls, tree))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError(f"the results document is incomplete: {error}") from error

    @classmethod
    def read(cls, path: Path) -> Results:
        """From `results.json`, or from the folder that holds it. Raises InputError."""
        file = path / NAME if path.is_dir() else path
        tree = read_json(file)
        if tree is None:
            raise InputError(f"{file}: no results document; write one with odekit eval or odekit experiment table1")
        return cls.from_tree(tree)


ROWS = 10_000
"""Largest number of rows in a document."""


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
    """The inverse of `plain`: data as an instance of a type hint. Unknown keys are ignored."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if data is None else read_results(inner[0], data)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = {item.name for item in dataclasses.fields(kind)}
        factory: Any = kind
        return factory(**{key: read_results(hints[key], value) for key, value in data.items() if key in names})
    if origin is tuple:
        return tuple(read_results(inner[0], item) for item in data)
    if kind is float or kind == "float":
        return math.nan if data is None else float(data)
    if origin is not None and inner and isinstance(data, dict):
        return {key: read_results(inner[1], item) for key, item in data.items()}
    return data
