"""What an option class says about itself: signature and text for `help`, from its fields and their docstrings."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


@dataclass(frozen=True)
class RefersTo:
    """Marks an option that refers to another part, of this kind."""

    kind: str


WORDS = {int: "whole number", float: "number", str: "text", bool: "True or False", NoneType: "None"}


def signature_of(model: type[BaseModel]) -> inspect.Signature:
    """Options by name, with their defaults."""
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if info.is_required() else info.default,
        )
        for name, info in model.model_fields.items()
    ]
    return inspect.Signature(sorted(parameters, key=lambda parameter: parameter.default is not parameter.empty))


def described(model: type[BaseModel], text: str) -> str:
    """The docstring `text` of an option class, with a paragraph for every option."""
    texts = field_texts(model)
    lines = []
    for name, info in model.model_fields.items():
        default = "" if info.default is PydanticUndefined else f", default {info.default!r}"
        lines.append(f"{name}: {type_text(info)}{default}")
        lines += [f"    {line}" for line in texts.get(name, "").splitlines()]
    return "\n".join([inspect.cleandoc(text), "", "Options:", *(f"    {line}" for line in lines)]) if lines else text


@functools.cache
def field_texts(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of a class and its bases, by field; none where the source is not at hand."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        inside = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(inside):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                texts[ast.unparse(field.target)] = inspect.cleandoc(str(text.value.value))
    return texts


def type_text(info: FieldInfo) -> str:
    """The type of an option in words, such as `whole number, at least 2`."""
    marks = list(info.metadata)
    kind = next((mark.kind for mark in marks if isinstance(mark, RefersTo)), "")
    if kind:
        return "stages" if kind == "chain" else f"{kind}: name, options or object"
    return ", ".join([_words(info.annotation), *_bounds(marks)])


def _words(annotation: Any) -> str:
    if annotation in WORDS:
        return WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return ", ".join([_words(arguments[0]), *_bounds(arguments[1:])])
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(kind) for kind in arguments))
    if origin in (list, tuple):
        return "list of " + " or ".join(dict.fromkeys(_words(kind) for kind in arguments if kind is not ...))
    return annotation.__name__ if isinstance(annotation, type) else "value"


def _bounds(marks: Iterable[Any]) -> list[str]:
    """Bounds of a number, from its marks."""
    texts = []
    for mark in marks:
        if isinstance(mark, FieldInfo):
            texts += _bounds(mark.metadata)
        elif isinstance(mark, Ge):
            texts.append(f"at least {mark.ge}")
        elif isinstance(mark, Gt):
            texts.append(f"above {mark.gt}")
        elif isinstance(mark, Le):
            texts.append(f"at most {mark.le}")
        elif isinstance(mark, Lt):
            texts.append(f"below {mark.lt}")
    return texts
