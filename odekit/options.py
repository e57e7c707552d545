"""Typed options of parts, and how a part is named with its options. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of all option models: frozen, strict about types, no unknown keys, no NaN or infinity.

    A subclass with `part` set is also how Python code names that part: `Ode(steps=100)` is
    `{use: ode, steps: 100}`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    part: ClassVar[str] = ""


@dataclass(frozen=True)
class Uses:
    """Marks an option that names another part of `kind`."""

    kind: str
    many: bool = False


@dataclass(frozen=True)
class Part:
    """A part chosen by name, with its checked options."""

    kind: str
    name: str
    options: Options

    def tree(self) -> dict[str, Any]:
        """The part as plain data with every default written out, as a chain writes it.

        A stage is `{name: options}`, or `{name: part}` where it is one part; other parts are `{use: name, options}`.
        """
        tree = option_tree(self.options)
        if self.kind != "stage":
            return {"use": self.name} | tree
        inline = getattr(self.options, "inline", None)
        return {self.name: tree[inline] if inline else tree}


def option_tree(options: Options) -> dict[str, Any]:
    """Options as plain data, nested parts included."""
    return {key: plain(getattr(options, key)) for key in type(options).model_fields}


def plain(value: Any) -> Any:
    """Parts, option models and sequences as what JSON and YAML can hold."""
    if hasattr(value, "tree"):
        return value.tree()
    if isinstance(value, Options):
        return option_tree(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def nested(model: type[Options]) -> Iterator[tuple[str, Uses]]:
    """The options of a model that name other parts."""
    for key, info in model.model_fields.items():
        for mark in info.metadata:
            if isinstance(mark, Uses):
                yield key, mark


def inner_models(model: type[Options]) -> Iterator[tuple[str, type[Options]]]:
    """The options of a model that are option models themselves and name other parts."""
    for key, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Options) and next(nested(kind), None):
            yield key, kind


PriorRef = Annotated[Any, Uses("prior")]
SolverRef = Annotated[Any, Uses("solver")]
InverterRef = Annotated[Any, Uses("inverter")]
EnhancerRef = Annotated[Any, Uses("enhancer")]
UpsamplerRef = Annotated[Any, Uses("upsampler")]
