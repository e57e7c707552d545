"""From plain data (YAML, or Python options) to parts with checked options. Every error says file:line:column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from odekit.chains.document import Document, Path
from odekit.core.options import Options, Part, inner_models, nested, prior_names
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.plugins.catalog import Catalog

SCHEMA = 1
TOP = ("odekit", "name", "summary", "seed", "priors", "chain")
DEFAULT_PRIORS: dict[str, Any] = {"face": "face64"}


@dataclass(frozen=True)
class ChainSpec:
    """A chain with everything resolved: named priors and a list of stages, all `Part`s."""

    name: str
    seed: int
    priors: dict[str, Part]
    items: tuple[Part, ...]
    summary: str = ""

    def tree(self) -> dict[str, Any]:
        """The chain as plain data with every default written out; reading it back gives the same chain."""
        return {
            "odekit": SCHEMA,
            "name": self.name,
            "seed": self.seed,
            "priors": {name: part.tree() for name, part in self.priors.items()},
            "chain": [item.tree() for item in self.items],
        }


def prior_of(spec: ChainSpec, name: str | None) -> Part:
    """The prior of a chain by its name there, or the only one."""
    return spec.priors[name] if name else next(iter(spec.priors.values()))


class Resolver:
    """Resolves one document against a catalogue."""

    def __init__(self, catalog: Catalog, document: Document) -> None:
        self.catalog = catalog
        self.document = document

    def error(self, path: Path, message: str) -> ConfigError:
        """The error with its place."""
        where = self.document.where(path)
        return ConfigError(f"{where}: {message}" if where else message)

    def chain(self) -> ChainSpec:
        """The whole document. Raises ConfigError for the first thing that is wrong."""
        data = self.document.data
        if not isinstance(data, dict):
            raise self.error((), "a chain is a mapping with the keys 'odekit: 1' and 'chain:'")
        for key in data:
            if key not in TOP:
                raise self.error((key,), f"unknown key{nearest(key, TOP)}")
        version = data.get("odekit")
        if version is None:
            raise self.error((), "the key 'odekit: 1' (the schema's version) is missing")
        if version != SCHEMA or isinstance(version, bool):
            raise self.error(("odekit",), f"schema {version!r} is not known to this odekit, which reads {SCHEMA}")
        seed = data.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise self.error(("seed",), f"the seed is a whole number from 0, not {seed!r}")
        for key in ("name", "summary"):
            if not isinstance(data.get(key, ""), str):
                raise self.error((key,), "this is a text")
        priors = data.get("priors", DEFAULT_PRIORS)
        if not isinstance(priors, dict) or not priors:
            raise self.error(("priors",), "priors are a mapping of names to parts, such as {face: {use: face64}}")
        named = {name: self.part("prior", raw, ("priors", name)) for name, raw in priors.items()}
        items = self.items(data.get("chain"), ("chain",))
        spec = ChainSpec(data.get("name", ""), seed, named, items, data.get("summary", ""))
        self._refer(spec)
        return spec

    def items(self, raw: Any, path: Path) -> tuple[Part, ...]:
        """A list of stages; each item has one key, the stage's name."""
        if not isinstance(raw, (list, tuple)) or not raw:
            raise self.error(path, "the chain is a list with at least one stage, such as '- restore'")
        parts = tuple(self.stage(item, (*path, i)) for i, item in enumerate(raw))
        for i, part in enumerate(parts[:-1]):
            if part.options.last:
                message = f"'{part.name}' comes last; to see what each stage makes, use --keep-stages"
                raise self.error((*path, i), message)
        return parts

    def stage(self, raw: Any, path: Path) -> Part:
        """One stage: `name`, `{name: options}` or an option model."""
        if isinstance(raw, Options):
            given = explicit(raw)
            raw = {raw.part: given if raw.inline is None else given.get(raw.inline, given)}
        if isinstance(raw, str):
            raw = {raw: None}
        if not isinstance(raw, dict) or len(raw) != 1:
            raise self.error(path, "a stage has one key, its name, such as '- upsample: resize'")
        ((name, value),) = raw.items()
        here = (*path, name)
        entry = self._entry("stage", name, here)
        inline = entry.options.inline
        if inline:
            value = {inline: value}
            nest = {inline: self.part(inline, value[inline], here)}
            return Part("stage", name, self._validate(entry.options, nest, f"stage '{name}'", here))
        return self._options("stage", name, value if value is not None else {}, here)

    def part(self, kind: str, raw: Any, path: Path, default: str | None = None) -> Part:
        """A part by name: `name`, `{use: name, ...options}`, an option model or a Part."""
        if isinstance(raw, Part):
            return raw
        if isinstance(raw, Options):
            raw = {"use": raw.part} | explicit(raw)
        if isinstance(raw, str):
            raw = {"use": raw}
        if not isinstance(raw, dict):
            raise self.error(path, f"the {kind} is a name or a mapping with 'use:', not {raw!r}")
        options = dict(raw)
        name = options.pop("use", default)
        if not isinstance(name, str) or not name:
            raise self.error(path, f"say which {kind} with 'use:'{nearest('', self.catalog.names(kind))}")
        if kind == "prior" and ("/" in name or "\\" in name):
            name, options = "diffusers", {"path": name} | options
        return self._options(kind, name, options, path)

    def _options(self, kind: str, name: str, raw: Any, path: Path) -> Part:
        entry = self._entry(kind, name, path)
        label = f"{kind} '{name}'"
        if not isinstance(raw, dict):
            raise self.error(path, f"the options of {label} are a mapping, not {raw!r}")
        values = self._resolved(entry.options, raw, path)
        return Part(kind, name, self._validate(entry.options, values, label, path))

    def _resolved(self, model: type[Options], raw: dict[str, Any], path: Path) -> dict[str, Any]:
        """The values of an option model with every part and sub-chain in them resolved, those of inner models too."""
        values = dict(raw)
        for key, inner in inner_models(model):
            given = explicit(raw[key]) if isinstance(raw.get(key), Options) else raw.get(key, {})
            if isinstance(given, dict):
                values[key] = self._resolved(inner, given, (*path, key))
        for key, mark in nested(model):
            default = model.model_fields[key].default
            given = values.get(key, default)
            if given is None or given is PydanticUndefined:
                continue
            if mark.kind == "chain":
                values[key] = self.items(given, (*path, key))
            else:
                base = default if isinstance(default, str) else None
                values[key] = self.part(mark.kind, given, (*path, key), base)
        return values

    def _entry(self, kind: str, name: Any, path: Path) -> Any:
        try:
            return self.catalog.get(kind, str(name))
        except ConfigError as error:
            raise self.error(path, str(error)) from error

    def _validate(self, model: type[Options], values: dict[str, Any], label: str, path: Path) -> Options:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            first = errors[0]
            place, given = trim(first["loc"], values)
            # A choice of types gives one error per type at the same place.
            reasons = list(dict.fromkeys(e["msg"] for e in errors if trim(e["loc"], values)[0] == place))
            if first["type"] == "extra_forbidden":
                *outer, last = map(str, first["loc"])
                known = inner_model(model, outer).model_fields
                message = f"unknown option of {label}{nearest(last, known)}"
            else:
                choices = [reasons[0], *(reason.removeprefix("Input should be ") for reason in reasons[1:])]
                message = f"{', or '.join(choices)} (given: {shown(given)})".removeprefix("Value error, ")
            raise self.error((*path, *place), message) from error

    def _refer(self, spec: ChainSpec) -> None:
        """Every prior that a stage names exists."""
        for item, path in staged(spec.items, ("chain",)):
            for key in prior_names(type(item.options)):
                wanted = getattr(item.options, key)
                if wanted is not None and wanted not in spec.priors:
                    raise self.error((*path, key), f"no prior is named '{wanted}'{nearest(wanted, spec.priors)}")
                if wanted is None and len(spec.priors) > 1:
                    raise self.error(path, f"say which prior: {', '.join(sorted(spec.priors))}")


def staged(items: Sequence[Part], path: Path = ()) -> Iterator[tuple[Part, Path]]:
    """Every stage with its path, those of sub-chains after the stage that holds them."""
    for i, item in enumerate(items):
        here = (*path, i, item.name)
        yield item, here
        for key, mark in nested(type(item.options)):
            if mark.kind == "chain":
                yield from staged(getattr(item.options, key) or (), (*here, key))


def inner_model(model: type[Options], keys: Sequence[str]) -> type[Options]:
    """The option model at a path of keys inside another, as far as there is one."""
    for key in keys:
        info = model.model_fields.get(key)
        inner = [kind for kind in (info.annotation, *get_args(info.annotation)) if is_model(kind)] if info else []
        model = inner[0] if inner else model
    return model


def is_model(kind: Any) -> bool:
    """A class of options."""
    return isinstance(kind, type) and issubclass(kind, Options)


def shown(given: Any) -> str:
    """A value in an error: stages by name."""
    if isinstance(given, tuple) and any(isinstance(item, Part) for item in given):
        return ", ".join(item.name if isinstance(item, Part) else repr(item) for item in given)
    return repr(given)


def trim(loc: Sequence[Any], values: Any) -> tuple[Path, Any]:
    """The part of a pydantic location that exists in the data (unions add names of their own), and the value there."""
    path: list[Any] = []
    for key in loc:
        inside = isinstance(values, dict) and key in values
        inside = inside or (isinstance(values, (list, tuple)) and isinstance(key, int) and key < len(values))
        if not inside:
            break
        path.append(key)
        values = values[key]
    return tuple(path or loc[:1]), values


def explicit(options: Options) -> dict[str, Any]:
    """The options that were given, without the defaults."""
    return {key: getattr(options, key) for key in options.model_fields_set}
