"""Resolve a chain from plain data (YAML, or Python options): look up its parts and validate their options.

Every error states file:line:column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from odekit.chains.document import DataPath, Document
from odekit.core.noise import checked_seed
from odekit.core.objects import INTERFACES, OBJECT, cannot_be_written, missing_members, object_part
from odekit.core.option_errors import describe_error
from odekit.core.options import Options, Part, nested_option_models, part_fields, prior_fields
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.plugins.catalog import BUILT_IN, Catalog, Entry, resolve

Checked = TypeVar("Checked", bound=Options)
Owners = tuple[str, ...] | None
"""Distributions whose part an ambiguous name means, preferred ones first; None: those of the document."""
CHAIN_SCHEMA = 1
"""Version of the chain format."""
MAX_ITEMS = 1000
"""Largest number of values in a list of an option: a grid has at most 1,000 levels."""
MAX_STAGES = 100
"""Largest number of stages of a chain or sub-chain."""
TOP_LEVEL_KEYS = ("odekit", "name", "summary", "seed", "priors", "chain")
DEFAULT_PRIORS: dict[str, Any] = {"face": "face64"}


@dataclass(frozen=True)
class ChainSpec:
    """A resolved chain: named priors and a list of stages, all of them `Part`s."""

    name: str
    seed: int
    priors: dict[str, Part]
    items: tuple[Part, ...]
    summary: str = ""

    def tree(self) -> dict[str, Any]:
        """The chain as plain data, including all defaults; it resolves to an equal chain."""
        return {
            "odekit": CHAIN_SCHEMA,
            "name": self.name,
            "seed": self.seed,
            "priors": {name: part.tree() for name, part in self.priors.items()},
            "chain": [item.tree() for item in self.items],
        }


def prior_of(spec: ChainSpec, name: str | None) -> Part:
    """The prior of a chain by its name in the chain; its only prior if `name` is None."""
    return spec.priors[name] if name else next(iter(spec.priors.values()))


def validated(
    model: type[Checked], values: dict[str, Any], label: str, document: Document, path: DataPath = ()
) -> Checked:
    """Options of type `model` from plain data that stands at `path` of a document.

    Raises:
        ConfigError: the first error, with file:line:column, and the nearest name for an unknown option of `label`.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        option_path, message = describe_error(error, model, values, label)
        where = document.where((*path, *option_path))
        raise ConfigError(f"{where}: {message}" if where else message) from error


class Resolver:
    """Resolves one document against a catalogue."""

    def __init__(self, catalog: Catalog, document: Document) -> None:
        self.catalog = catalog
        self.document = document

    def error(self, path: DataPath, message: str) -> ConfigError:
        """A ConfigError whose message starts with the location of `path` in the document."""
        where = self.document.where(path)
        return ConfigError(f"{where}: {message}" if where else message)

    def chain(self) -> ChainSpec:
        """Resolve the whole document. Raises ConfigError for the first error in it."""
        data = self.document.data
        if not isinstance(data, dict):
            raise self.error((), "a chain is a mapping with the keys 'odekit: 1' and 'chain:'")
        for key in data:
            if key not in TOP_LEVEL_KEYS:
                raise self.error((key,), f"unknown key{nearest(key, TOP_LEVEL_KEYS)}")
        version = data.get("odekit")
        if version is None:
            raise self.error((), "the key 'odekit: 1' (the schema version) is missing")
        if version != CHAIN_SCHEMA or isinstance(version, bool):
            raise self.error(
                ("odekit",), f"schema {version!r} is not supported; this version of odekit reads {CHAIN_SCHEMA}"
            )
        try:
            seed = checked_seed(data.get("seed", 0))
        except ValueError as error:
            raise self.error(("seed",), str(error)) from None
        for key in ("name", "summary"):
            if not isinstance(data.get(key, ""), str):
                raise self.error((key,), f"the {key} must be a string")
        owners: Owners = None if "priors" in data else (BUILT_IN,)
        priors = data.get("priors", DEFAULT_PRIORS)
        if not isinstance(priors, dict) or not priors:
            raise self.error(("priors",), "priors must be a mapping of names to parts, such as {face: {use: face64}}")
        named = {name: self.part("prior", raw, ("priors", name), owners=owners) for name, raw in priors.items()}
        items = self.items(data.get("chain"), ("chain",))
        spec = ChainSpec(data.get("name", ""), seed, named, items, data.get("summary", ""))
        self._check_prior_names(spec)
        return spec

    def items(self, raw: Any, path: DataPath, owners: Owners = None) -> tuple[Part, ...]:
        """Resolve a list of stages; each item has one key, the name of the stage. `owners`: see `part`."""
        if isinstance(raw, (list, tuple)) and len(raw) > MAX_STAGES:
            raise self.error(path, f"a chain has at most {MAX_STAGES} stages, not {len(raw):,}")
        if not isinstance(raw, (list, tuple)) or not raw:
            raise self.error(path, "the chain must be a list with at least one stage, such as '- restore'")
        parts = tuple(self.stage(item, (*path, i), owners) for i, item in enumerate(raw))
        for i, part in enumerate(parts[:-1]):
            if part.options.last:
                message = f"'{part.name}' must be the last stage; to write the output of every stage, use --keep-stages"
                raise self.error((*path, i), message)
        return parts

    def stage(self, raw: Any, path: DataPath, owners: Owners = None) -> Part:
        """Resolve one stage: `name`, `{name: options}` or an option model. `owners`: see `part`."""
        if isinstance(raw, Part):
            return raw
        if is_object(raw):
            return self._object("stage", raw, path)
        if isinstance(raw, Options):
            owners = self._owners_of_model("stage", raw) or owners
            values = explicit_options(raw)
            raw = {raw.part: values if raw.inline is None else values.get(raw.inline, values)}
        if isinstance(raw, str):
            raw = {raw: None}
        if not isinstance(raw, dict) or len(raw) != 1:
            raise self.error(path, "a stage must have one key, its name, such as '- upsample: resize'")
        ((name, value),) = raw.items()
        self._refuse_description(value, path)
        stage_path = (*path, name)
        entry = self._entry("stage", name, stage_path, owners)
        inline = entry.options.inline
        if inline:
            values = {inline: self.part(inline, value, stage_path, owners=owners)}
            options = self._validate(entry.options, values, f"stage '{name}'", stage_path)
            return Part("stage", self.catalog.unique_name(entry), options)
        return self._make_part(entry, value if value is not None else {}, stage_path, owners)

    def part(self, kind: str, raw: Any, path: DataPath, default: str | None = None, owners: Owners = None) -> Part:
        """Resolve one part: `name`, `{use: name, ...options}`, an option model or a Part.

        Args:
            kind: of the part.
            raw: plain data or options.
            path: in the document.
            default: name of the part if the data has none.
            owners: the distributions whose part an ambiguous name means; None: those of the document.
        """
        if isinstance(raw, Part):
            return raw
        if isinstance(raw, Options):
            owners = self._owners_of_model(kind, raw) or owners
            raw = {"use": raw.part} | explicit_options(raw)
        if isinstance(raw, str):
            raw = {"use": raw}
        if is_object(raw):
            return self._object(kind, raw, path)
        if not isinstance(raw, dict):
            raise self.error(path, f"the {kind} must be a name or a mapping with 'use:', not {raw!r}")
        self._refuse_description(raw, path)
        options = dict(raw)
        name = options.pop("use", default)
        if not isinstance(name, str) or not name:
            raise self.error(path, f"name the {kind} with 'use:'{nearest('', self.catalog.names(kind))}")
        if kind == "prior" and ("/" in name or "\\" in name):
            name, options = "diffusers", {"path": name} | options
            return self._make_part(self._entry(kind, name, path, (BUILT_IN,)), options, path, owners)
        written = "use" in raw  # a default's name no user wrote
        entry = self._entry(kind, name, path, owners if written else owners or (BUILT_IN,))
        return self._make_part(entry, options, path, owners)

    def _object(self, kind: str, value: object, path: DataPath) -> Part:
        """A part around an object of Python, or of another library that an adapter knows."""
        if isinstance(value, type):
            raise self.error(path, f"{value.__name__} is a class; give an object, such as {value.__name__}()")
        missing = missing_members(kind, value)
        for target in self.catalog.adapters.get(kind, ()) if missing else ():
            made = resolve(target, f"the adapter {target}")(value)
            if made is not None:
                return object_part(kind, made, given=value)
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            raise self.error(
                path, f"{type(value).__qualname__} is no {kind}: it has no {names}; see "
                f"odekit.plugins.{INTERFACES[kind].__name__}"
            )  # fmt: skip
        return object_part(kind, value)

    def _refuse_description(self, raw: Any, path: DataPath) -> None:
        """Refuse the plain data of a part that was given as an object."""
        if isinstance(raw, dict) and isinstance(facts := raw.get(OBJECT), dict) and "class" in facts:
            raise self.error(path, cannot_be_written(facts))

    def _make_part(self, entry: Entry, raw: Any, path: DataPath, owners: Owners) -> Part:
        name = self.catalog.unique_name(entry)
        label = f"{entry.kind} '{name}'"
        if not isinstance(raw, dict):
            raise self.error(path, f"the options of {label} must be a mapping, not {raw!r}")
        values = self._resolve_values(entry.options, raw, path, owners, (entry.dist, BUILT_IN))
        return Part(entry.kind, name, self._validate(entry.options, values, label, path))

    def _resolve_values(
        self, model: type[Options], raw: dict[str, Any], path: DataPath, owners: Owners, of_defaults: Owners
    ) -> dict[str, Any]:
        """The values of an option model with all parts and sub-chains resolved, including those of inner models.

        Default values were written by the distribution of the model: their names mean its parts, then built-in ones.
        """
        values = dict(raw)
        for key, value in values.items():
            self._check_length(value, (*path, key))
        for key, inner in nested_option_models(model):
            inner_raw = explicit_options(raw[key]) if isinstance(raw.get(key), Options) else raw.get(key, {})
            if isinstance(inner_raw, dict):
                values[key] = self._resolve_values(inner, inner_raw, (*path, key), owners, of_defaults)
        for key, mark in part_fields(model):
            default = model.model_fields[key].default
            value = values.get(key, default)
            value_owners = owners if key in values else of_defaults
            if value is None and default is not None:
                raise self.error((*path, key), _empty_message(key, mark.kind, default))
            if value is None or value is PydanticUndefined:
                continue
            if mark.kind == "chain":
                values[key] = self.items(value, (*path, key), value_owners)
            else:
                default_name = default if isinstance(default, str) else None
                values[key] = self.part(mark.kind, value, (*path, key), default_name, value_owners)
        return values

    def _check_length(self, value: Any, path: DataPath) -> None:
        """Refuse long lists, for which checks and runs need time that the length does not show."""
        if isinstance(value, dict):
            for key, inner in value.items():
                self._check_length(inner, (*path, key))
        if isinstance(value, (list, tuple)):
            if len(value) > MAX_ITEMS:
                raise self.error(path, f"a list has at most {MAX_ITEMS:,} values, not {len(value):,}")
            for number, inner in enumerate(value):
                self._check_length(inner, (*path, number))

    def _owners_of_model(self, kind: str, options: Options) -> Owners:
        """The distribution of the part that an option model belongs to; None if none of its name has this model."""
        entries = self.catalog.entries.get((kind, options.part), ())
        return next(((entry.dist,) for entry in entries if entry.options is type(options)), None)

    def _entry(self, kind: str, name: Any, path: DataPath, owners: Owners) -> Entry:
        try:
            return self.catalog.get(kind, str(name), self.document.owners(path) if owners is None else owners)
        except ConfigError as error:
            raise self.error(path, str(error)) from error

    def _validate(self, model: type[Options], values: dict[str, Any], label: str, path: DataPath) -> Options:
        return validated(model, values, label, self.document, path)

    def _check_prior_names(self, spec: ChainSpec) -> None:
        """Check that every prior named by a stage exists, and that no stage has to choose between several."""
        for item, path in iter_stages(spec.items, ("chain",)):
            for key in prior_fields(type(item.options)):
                name = getattr(item.options, key)
                if name is not None and name not in spec.priors:
                    raise self.error((*path, key), f"no prior is named '{name}'{nearest(name, spec.priors)}")
                if name is None and len(spec.priors) > 1:
                    raise self.error(path, f"name one of the chain's priors: {', '.join(sorted(spec.priors))}")


def _empty_message(key: str, kind: str, default: Any) -> str:
    """The message for an option without a value that must name a part or hold a chain."""
    if kind == "chain":
        return f"'{key}' is empty; list at least one stage, such as '- restore'"
    advice = f", or remove the key for '{default}'" if isinstance(default, str) else ""
    return f"'{key}' is empty; name the {kind}{advice}"


def iter_stages(items: Sequence[Part], path: DataPath = ()) -> Iterator[tuple[Part, DataPath]]:
    """Iterate over all stages with their paths; stages of sub-chains follow the stage that contains them."""
    for i, item in enumerate(items):
        stage_path = (*path, i, item.name)
        yield item, stage_path
        for key, mark in part_fields(type(item.options)):
            if mark.kind == "chain":
                yield from iter_stages(getattr(item.options, key) or (), (*stage_path, key))


def is_object(raw: Any) -> bool:
    """Whether a value given for a part is an object, instead of plain data or options."""
    return not isinstance(raw, (str, bool, int, float, dict, list, tuple, Part, Options, type(None)))


def explicit_options(options: Options) -> dict[str, Any]:
    """The options that were set explicitly, without defaults."""
    return {key: getattr(options, key) for key in options.model_fields_set}
