"""The paths of all options of a chain, so that `--set` finds an option by the end of its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from odekit.chains.document import DataPath
from odekit.core.option_errors import is_model
from odekit.core.options import Options, part_fields
from odekit.errors import OdekitError
from odekit.plugins.catalog import BUILT_IN, Catalog

RawStage = tuple[dict[str, Any], str, DataPath]
"""A stage in raw data: the item of the list, its name, and its path in the document."""


@dataclass(frozen=True)
class OptionPath:
    """One option of one stage."""

    stage: RawStage
    keys: tuple[str, ...]
    """Keys below the stage."""

    @property
    def names(self) -> tuple[str, ...]:
        """The stage and the keys below it."""
        return (self.stage[1], *self.keys)

    def __str__(self) -> str:
        return ".".join(self.names)


def option_paths(stages: Sequence[RawStage], parts: Catalog) -> Iterator[OptionPath]:
    """The options of stages, including those of the parts that they name, or would take by default."""
    for stage in stages:
        item, name, _ = stage
        model = _model(parts, "stage", name)
        if model is None:
            continue
        raw = item[name]
        keys = _part_keys(parts, model.inline, raw, None) if model.inline else _keys(parts, model, raw)
        yield from (OptionPath(stage, path) for path in keys)


def _keys(parts: Catalog, model: type[Options], raw: Any) -> Iterator[tuple[str, ...]]:
    """The paths of the options of a model, given the raw values."""
    values = raw if isinstance(raw, dict) else {}
    kinds = {key: mark.kind for key, mark in part_fields(model)}
    for key, info in model.model_fields.items():
        name = info.alias or key
        yield (name,)
        inner: Iterator[tuple[str, ...]] = iter(())
        if key in kinds:
            inner = iter(()) if kinds[key] == "chain" else _part_keys(parts, kinds[key], values.get(name), info.default)
        else:
            for kind in (info.annotation, *get_args(info.annotation)):
                if is_model(kind):
                    inner = _keys(parts, kind, values.get(name))
        yield from ((name, *path) for path in inner)


def _part_keys(parts: Catalog, kind: str, raw: Any, default: Any) -> Iterator[tuple[str, ...]]:
    """The paths of the options of a part that raw data names, or of the default part."""
    name = raw.get("use", default) if isinstance(raw, dict) else raw if isinstance(raw, str) else default
    model = _model(parts, kind, name)
    return iter(()) if model is None else _keys(parts, model, raw)


def _model(parts: Catalog, kind: str, name: Any) -> type[Options] | None:
    """The option model of a part; None if there is no such part."""
    try:
        return parts.get(kind, name, (BUILT_IN,)).options if isinstance(name, str) else None
    except OdekitError:
        return None
