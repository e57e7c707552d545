"""Sweep files: a chain, the options to cross, and the damage, in YAML."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field as Limits
from pydantic import field_validator

from odekit.chains.chain import Chain
from odekit.chains.document import Document, parse_yaml
from odekit.chains.resolve import validated
from odekit.core.files import read_text
from odekit.core.options import Options
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.evaluation.experiments.methods import MethodSpec
from odekit.parts.installed import catalog

SCHEMA = 1


class SweepOptions(Options):
    """The content of a sweep file."""

    schema_version: Literal[1] = Limits(alias="odekit-sweep")
    name: str = ""
    summary: str = ""
    chain: str = "odedit"
    crossed: dict[str, list[Any]] = Limits(alias="set")
    """Options to cross, such as {restore.enhancer.iterations: [25, 50, 100]}."""
    fixed: dict[str, Any] = Limits(default_factory=dict)
    """Settings of all points, such as {restore.inverter.steps: 50}."""
    damage: Any = "paper"
    """A kind of damage, a list of kinds, or a mapping with `use:`."""
    severity: int = 4
    lines: str = ""
    """The option in `set` whose values are separate lines of the plot."""
    x: str = "psnr"
    y: str = "swd"

    @field_validator("crossed")
    @classmethod
    def _not_empty(cls, value: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if not value:
            raise ValueError("options to cross are needed, such as {restore.enhancer.iterations: [25, 50, 100]}")
        if empty := [path for path, values in value.items() if not values]:
            raise ValueError(f"'{empty[0]}' needs a list of at least one value")
        return value


@dataclass(frozen=True)
class Sweep:
    """A checked sweep file."""

    name: str
    summary: str
    chain: str
    crossed: dict[str, list[Any]]
    """Path of an option, as in `--set`, -> its values."""
    fixed: tuple[str, ...] = ()
    """Settings of all points, `path=value`."""
    kinds: tuple[str, ...] = ("paper",)
    options: str = ""
    """Options of a single kind of damage, as YAML."""
    severity: int = 4
    lines: str = ""
    """The crossed path whose values are separate lines of the plot."""
    x: str = "psnr"
    y: str = "swd"
    document: Document = field(default_factory=lambda: Document({}, "", {}), compare=False)

    def points(self) -> Iterator[MethodSpec]:
        """A method for each combination of values. Raises ConfigError where the chain refuses a value."""
        paths = list(self.crossed)
        for values in itertools.product(*self.crossed.values()):
            settings = dict(zip(paths, values, strict=True))
            texts = [f"{path}={json.dumps(value)}" for path, value in settings.items()]
            try:
                chain = Chain.load(self.chain, [*self.fixed, *texts])
                chain.plan()
            except ConfigError as error:
                raise ConfigError(f"{self.document.where(('set',))}: {error}") from error
            labels = [f"{path.rpartition('.')[2]}={value_label(value)}" for path, value in settings.items()]
            yield MethodSpec(slug("_".join(labels)), ", ".join(labels), chain, settings=settings)


def value_label(value: Any) -> str:
    """A value as a label."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def slug(text: str) -> str:
    """A label as the name of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_=." else "-" for letter in text)


def folder() -> Path:
    """The folder of the shipped sweeps."""
    from odekit.parts.builtin import chain_folder

    return chain_folder() / "sweeps"


def shipped() -> dict[str, Path]:
    """The shipped sweeps by name."""
    return {path.stem: path for path in sorted(folder().glob("*.yaml"))}


def load(name: str) -> Sweep:
    """A sweep by its path or shipped name.

    Raises:
        ConfigError: no such file, or an error in it, with file:line:column and the nearest name.
    """
    path = shipped().get(name, Path(name))
    if not path.is_file():
        raise ConfigError(f"there is no sweep {name}{nearest(name, shipped())}")
    try:
        document = parse_yaml(read_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the sweep {path} cannot be read: {error}") from error
    return read(document)


def read(document: Document) -> Sweep:
    """A sweep from a parsed document. Raises ConfigError."""
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{document.where(())}: a sweep is a mapping with 'odekit-sweep: 1', 'chain:' and 'set:'")
    sweep = validated(SweepOptions, data, "the sweep", document)
    if sweep.lines and sweep.lines not in sweep.crossed:
        hint = nearest(sweep.lines, sweep.crossed)
        raise ConfigError(f"{document.where(('lines',))}: '{sweep.lines}' is not in 'set'{hint}")
    metrics = catalog().names("metric")
    for key, metric in (("x", sweep.x), ("y", sweep.y)):
        if metric not in metrics:
            raise ConfigError(f"{document.where((key,))}: unknown metric '{metric}'{nearest(metric, metrics)}")
    kinds, options = damage(document, sweep.damage)
    fixed = tuple(f"{path}={json.dumps(value)}" for path, value in sweep.fixed.items())
    return Sweep(
        sweep.name or Path(document.name).stem, sweep.summary, sweep.chain, sweep.crossed, fixed, kinds, options,
        sweep.severity, sweep.lines, sweep.x, sweep.y, document,
    )  # fmt: skip


def damage(document: Document, raw: Any) -> tuple[tuple[str, ...], str]:
    """Kinds and options of `paper`, `fog`, `[fog, jpeg]` or `{use: mask_pixels, fraction: 0.5}`."""
    if isinstance(raw, dict) and isinstance(raw.get("use"), str):
        rest = {key: value for key, value in raw.items() if key != "use"}
        return (raw["use"],), json.dumps(rest) if rest else ""
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{document.where(('damage',))}: a kind of damage, a list of kinds, or a mapping with 'use:'")
    return tuple(names), ""
