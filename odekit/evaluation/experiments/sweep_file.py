"""Sweep files: a chain, the options to cross, and the damage, in YAML."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.chains import document as yamldoc
from odekit.chains.chain import Chain
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.evaluation.experiments.methods import MethodSpec
from odekit.parts.installed import catalog

SCHEMA = 1
KEYS = ("odekit-sweep", "name", "summary", "chain", "set", "fixed", "damage", "severity", "lines", "x", "y")
TYPES: dict[str, tuple[type, str]] = {
    "name": (str, "a text"),
    "summary": (str, "a text"),
    "chain": (str, "the name of a chain"),
    "lines": (str, "one of the options in 'set'"),
    "x": (str, "a metric"),
    "y": (str, "a metric"),
    "severity": (int, "1 to 5"),
}


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
    document: yamldoc.Document = field(default_factory=lambda: yamldoc.Document({}, "", {}), compare=False)

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
        document = yamldoc.parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the sweep {path} cannot be read: {error}") from error
    return read(document)


def read(document: yamldoc.Document) -> Sweep:
    """A sweep from a parsed document. Raises ConfigError."""

    def error(key: str, message: str) -> ConfigError:
        return ConfigError(f"{document.where((key,) if key else ())}: {message}")

    data = document.data
    if not isinstance(data, dict):
        raise error("", "a sweep is a mapping with 'odekit-sweep: 1', 'chain:' and 'set:'")
    for key in data:
        if key not in KEYS:
            raise error(key, f"unknown key{nearest(str(key), KEYS)}")
    if data.get("odekit-sweep") != SCHEMA:
        raise error("odekit-sweep", f"the key 'odekit-sweep: {SCHEMA}' (the schema's version) is missing or another")
    crossed = data.get("set")
    if not isinstance(crossed, dict) or not crossed:
        raise error("set", "options to cross, such as {restore.enhancer.iterations: [25, 50, 100]}")
    for path, values in crossed.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{document.where(('set', path))}: a list of values")
    fixed = data.get("fixed", {})
    if not isinstance(fixed, dict):
        raise error("fixed", "settings of all points, such as {restore.inverter.steps: 50}")
    for key, (kind, words) in TYPES.items():
        if key in data and not isinstance(data[key], kind):
            raise error(key, f"this is {words}")
    if data.get("lines", "") and data["lines"] not in crossed:
        raise error("lines", f"'{data['lines']}' is not in 'set'{nearest(data['lines'], crossed)}")
    for key in ("x", "y"):
        if key in data and data[key] not in catalog().names("metric"):
            raise error(key, f"unknown metric '{data[key]}'{nearest(data[key], catalog().names('metric'))}")
    kinds, options = damage(document, data.get("damage", "paper"))
    texts = tuple(f"{path}={json.dumps(value)}" for path, value in fixed.items())
    name = data.get("name", Path(document.name).stem)
    return Sweep(
        name, data.get("summary", ""), data.get("chain", "odedit"), crossed, texts, kinds,
        options, data.get("severity", 4), data.get("lines", ""), data.get("x", "psnr"), data.get("y", "swd"),
        document,
    )  # fmt: skip


def damage(document: yamldoc.Document, raw: Any) -> tuple[tuple[str, ...], str]:
    """Kinds and options of `paper`, `fog`, `[fog, jpeg]` or `{use: mask_pixels, fraction: 0.5}`."""
    if isinstance(raw, dict) and isinstance(raw.get("use"), str):
        rest = {key: value for key, value in raw.items() if key != "use"}
        return (raw["use"],), json.dumps(rest) if rest else ""
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{document.where(('damage',))}: a kind of damage, a list of kinds, or a mapping with 'use:'")
    return tuple(names), ""
