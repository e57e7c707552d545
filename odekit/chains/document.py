"""YAML as data with positions: no tags, no anchors, no code, no duplicate keys, and line:column for every value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.errors import ConfigError

Path = tuple[Any, ...]
"""Keys and indices from the document's root to a value."""

_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_CONTAINERS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
MAX_BYTES = 1_000_000


@dataclass
class Document:
    """Plain data and where each value stands. `where` names a value for an error message."""

    data: Any
    name: str
    positions: dict[Path, tuple[int, int]]
    overridden: dict[Path, str] = field(default_factory=dict)
    """Values that a `--set` replaced, with the setting as typed."""

    def where(self, path: Path) -> str:
        """`file:line:column: path` of a value, or of the nearest value around it that stands in the file."""
        for given, setting in self.overridden.items():
            if path[: len(given)] == given:
                return setting
        at = path
        while at and at not in self.positions:
            at = at[:-1]
        line, column = self.positions.get(at, (0, 0))
        place = f"{self.name}:{line}:{column}" if line else self.name
        dotted = dot(path)
        return ": ".join(piece for piece in (place, dotted) if piece)


def dot(path: Path) -> str:
    """A path as people write it: chain[0].restore.steps."""
    out = ""
    for key in path:
        out += f"[{key}]" if isinstance(key, int) else f".{key}" if out else str(key)
    return out


def parse(text: str, name: str) -> Document:
    """Read YAML text.

    Raises:
        ConfigError: `name:line:column: reason` for text that is not YAML, or that uses tags, anchors or duplicate keys.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_BYTES:
        raise ConfigError(f"{name}: a chain has at most {MAX_BYTES:,} characters, this file has {len(text):,}")
    document = Document(None, name, {})
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is not None:
            document.data = _build(node, (), document)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ConfigError(f"{place}: not valid YAML: {error.problem or error.context}") from error
    except (YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    return document


def value(text: str) -> Any:
    """A single value as a user types it behind `--set path=`: a number, a word, a list, a mapping."""
    return parse(text, "--set").data


def _build(node: Any, path: Path, document: Document) -> Any:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    here = f"{document.name}:{line}:{column}"
    # An alias gives the anchored node again, so refusing anchors refuses both, and with them exponential expansion.
    if node.anchor is not None:
        raise ConfigError(
            f"{here}: anchors and aliases (&{node.anchor}) are not allowed in a chain; write the value out"
        )
    tag = str(node.tag)
    if tag not in _SCALARS | _CONTAINERS or _explicit(node):
        raise ConfigError(f"{here}: tags ({tag}) are not allowed in a chain: it is data, not code")
    document.positions[path] = (line, column)
    if hasattr(node.value, "append") and tag.endswith(":map"):
        return _mapping(node, path, document)
    if tag.endswith(":seq"):
        return [_build(child, (*path, i), document) for i, child in enumerate(node.value)]
    return _scalar(tag, str(node.value), here)


def _explicit(node: Any) -> bool:
    # The resolver leaves its own tags without "!"; a tag written in the file keeps the raw text in the source.
    mark = node.start_mark
    return mark.buffer is not None and mark.buffer[mark.pointer : mark.pointer + 1] == "!"


def _mapping(node: Any, path: Path, document: Document) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if not isinstance(key_node.value, list) else None
        here = f"{document.name}:{key_node.start_mark.line + 1}:{key_node.start_mark.column + 1}"
        if key is None or key_node.anchor is not None:
            raise ConfigError(f"{here}: a key must be a plain word")
        if key in out or key == "<<":
            raise ConfigError(
                f"{here}: the key '{key}' stands twice" if key in out else f"{here}: merge keys are not allowed"
            )
        out[key] = _build(value_node, (*path, key), document)
        document.positions[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
    return out


def _scalar(tag: str, text: str, here: str) -> Any:
    kind = tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int":
            digits = text.replace("_", "")
            return int(digits, 0) if digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(digits)
        if kind == "float":
            return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise ConfigError(f"{here}: '{text}' is not a number") from error
    return text
