"""YAML as plain data with the line and column of every value. Tags, anchors and duplicate keys are refused."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from odekit.core.objects import OBJECT, cannot_be_written
from odekit.errors import ConfigError
from odekit.plugins.catalog import BUILT_IN

DataPath = tuple[Any, ...]
"""Keys and indices from the root of the document to a value."""

_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_CONTAINERS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
MAX_CHARACTERS = 50_000
"""Longest document that is read, in characters; reading takes 2 s. Long lists of boxes belong in a JSON file."""
MAX_DEPTH = 100
"""Deepest nesting of lists and mappings."""
MAX_INTEGER = 2**63 - 1
"""Largest whole number, with either sign."""

WINDOWS_PATH = re.compile(r"[A-Za-z]:.*[\x00-\x1f\x7f\x85\xa0\u2028\u2029]")
"""A path of Windows, such as "C:\\temp" in double quotes, in which YAML has read a backslash as an escape."""
WINDOWS_HINT = "; in double quotes a backslash begins an escape: write a path of Windows in single quotes"


@dataclass
class Document:
    """Plain data with the position of each value."""

    data: Any
    name: str
    positions: dict[DataPath, tuple[int, int]]
    """Line and column, both from 1."""
    overridden: dict[DataPath, str] = field(default_factory=dict)
    """Values replaced by `--set`, with the setting as typed."""
    owner: str = ""
    """The distribution that ships the document: names in it mean the parts of this one first, then built-in ones."""

    def owners(self, path: DataPath) -> tuple[str, ...]:
        """The distributions whose part the name at `path` means where several register it; none for a user's name."""
        if not self.owner or any(path[: len(overridden)] == overridden for overridden in self.overridden):
            return ()
        return (self.owner, BUILT_IN)

    def where(self, path: DataPath) -> str:
        """Location for an error message: `file:line:column: path` of a value, or of the nearest enclosing one."""
        for overridden, setting in self.overridden.items():
            if path[: len(overridden)] == overridden:
                return setting
        enclosing = path
        while enclosing and enclosing not in self.positions:
            enclosing = enclosing[:-1]
        line, column = self.positions.get(enclosing, (0, 0))
        position = f"{self.name}:{line}:{column}" if line else self.name
        return ": ".join(text for text in (position, format_path(path)) if text)


def format_path(path: DataPath) -> str:
    """A path as text: chain[0].restore.steps."""
    out = ""
    for key in path:
        out += f"[{key}]" if isinstance(key, int) else f".{key}" if out else str(key)
    return out


def parse_yaml(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in error messages.

    Raises:
        ConfigError: `name:line:column: reason` if the text is not YAML, or uses tags, anchors or duplicate keys.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{name}: a chain has at most {MAX_CHARACTERS:,} characters, this file has {len(text):,}")
    _check_depth(text, name)
    document = Document(None, name, {})
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is not None:
            document.data = _build(node, (), document)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        hint = WINDOWS_HINT if "escape" in f"{error.problem} {error.context}" else ""
        raise ConfigError(f"{position}: not valid YAML: {error.problem or error.context}{hint}") from error
    except (YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from error
    return document


def chain_text(tree: Mapping[str, Any]) -> str:
    """The plain data of a chain (`Chain.tree`) as YAML.

    Raises:
        ConfigError: a part was given as a Python object.
    """
    from ruamel.yaml import YAML

    for path, facts in described_objects(tree):
        raise ConfigError(f"{format_path(path)}: {cannot_be_written(facts)}")
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style, yaml.width = None, 110
    yaml.dump(dict(tree), text)
    return text.getvalue()


def described_objects(tree: Any, path: DataPath = ()) -> Iterator[tuple[DataPath, Mapping[str, Any]]]:
    """The parts in plain data that were given as objects, with their facts."""
    if isinstance(tree, Mapping):
        facts = tree.get(OBJECT)
        if isinstance(facts, Mapping) and "class" in facts:
            yield path, facts
        for key, value in tree.items():
            yield from described_objects(value, (*path, key))
    elif isinstance(tree, (list, tuple)):
        for number, value in enumerate(tree):
            yield from described_objects(value, (*path, number))


def parse_value(text: str) -> Any:
    """Parse the value of `--set path=value`: a number, a word, a list or a mapping."""
    return parse_yaml(text, "--set").data


def _check_depth(text: str, name: str) -> None:
    """Refuse deeply nested documents, for which the parser needs time in proportion to the square of the depth."""
    depth = 0
    for line, content in enumerate(text.split("\n"), 1):
        indented = len(content) - len(content.lstrip(" -?"))
        for character in content:
            depth += (character in "[{") - (character in "]}")
            if depth > MAX_DEPTH:
                break
        if depth > MAX_DEPTH or indented > 2 * MAX_DEPTH:
            raise ConfigError(f"{name}:{line}: nested more than {MAX_DEPTH} deep")


def _build(node: Any, path: DataPath, document: Document) -> Any:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    position = f"{document.name}:{line}:{column}"
    # An alias repeats the anchored node, so refusing anchors also refuses aliases and their exponential expansion.
    if node.anchor is not None:
        raise ConfigError(
            f"{position}: anchors and aliases (&{node.anchor}) are not allowed in a chain; write out the value"
        )
    tag = str(node.tag)
    if tag not in _SCALARS | _CONTAINERS or _has_explicit_tag(node):
        raise ConfigError(f"{position}: tags ({tag}) are not allowed in a chain; it may contain plain data only")
    document.positions[path] = (line, column)
    if hasattr(node.value, "append") and tag.endswith(":map"):
        return _mapping(node, path, document)
    if tag.endswith(":seq"):
        return [_build(child, (*path, i), document) for i, child in enumerate(node.value)]
    if getattr(node, "style", None) == '"' and WINDOWS_PATH.match(str(node.value)):
        raise ConfigError(f"{position}: a path in which an escape was replaced{WINDOWS_HINT}")
    return _scalar(tag, str(node.value), position)


def _has_explicit_tag(node: Any) -> bool:
    # The parser also assigns tags to untagged values; only a tag written in the file starts with "!" in the source.
    mark = node.start_mark
    return mark.buffer is not None and mark.buffer[mark.pointer : mark.pointer + 1] == "!"


def _mapping(node: Any, path: DataPath, document: Document) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if not isinstance(key_node.value, list) else None
        line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
        position = f"{document.name}:{line}:{column}"
        if key is None or key_node.anchor is not None:
            raise ConfigError(f"{position}: a key must be a plain word")
        if key in out:
            raise ConfigError(f"{position}: duplicate key '{key}'")
        if key == "<<":
            raise ConfigError(f"{position}: merge keys are not allowed")
        out[key] = _build(value_node, (*path, key), document)
        document.positions[(*path, key)] = (line, column)
    return out


def _scalar(tag: str, text: str, position: str) -> Any:
    kind = tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    try:
        if kind == "int":
            digits = text.replace("_", "")
            based = digits.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
            number = None if len(digits) > 80 else int(digits, 0) if based else int(digits)
            if number is None or abs(number) > MAX_INTEGER:
                raise ConfigError(f"{position}: a whole number of {len(digits)} digits; at most {MAX_INTEGER} is read")
            return number
        if kind == "float":
            return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError as error:
        raise ConfigError(f"{position}: '{text[:40]}' is not a number") from error
    return text
