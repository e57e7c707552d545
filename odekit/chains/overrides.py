"""`--set path=value`: changes of a chain's data before it is resolved."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from odekit.chains.document import Document, Path
from odekit.chains.resolve import DEFAULT_PRIORS, TOP
from odekit.errors import ConfigError


def override(document: Document, settings: Iterable[str], value: Any) -> None:
    """Apply `path=value` settings to a document before it is resolved.

    A path starts at a top-level key (`seed`, `priors.face.use`) or at a stage's name wherever it stands
    (`restore.enhancer.iterations`, `restore[1].prior` for the second); `value` reads the text behind '='.

    Raises:
        ConfigError: no '=', an unknown stage, or a path through a value that has no options.
    """
    for setting in settings:
        path_text, equals, text = setting.partition("=")
        if not equals or not path_text.strip():
            raise ConfigError(f"--set {setting}: write it as path=value, such as restore.enhancer.iterations=200")
        keys = _split(path_text.strip())
        node, key, rest, path = _anchor(document, keys, setting)
        for following in rest:
            inner = node[key]
            if isinstance(inner, str):
                inner = {"use": inner}
            elif inner is None:
                inner = {}
            if not isinstance(inner, (dict, list)) or (isinstance(inner, list) and not isinstance(following, int)):
                raise ConfigError(f"--set {setting}: '{key}' has no options")
            node[key] = inner
            node, key, path = inner, following, (*path, following)
            if isinstance(node, dict):
                node.setdefault(key, None)
        node[key] = value(text)
        document.positions = {p: at for p, at in document.positions.items() if p[: len(path)] != path}
        document.overridden[path] = f"--set {setting}"


def _split(text: str) -> list[Any]:
    keys: list[Any] = []
    for piece in text.split("."):
        name, _, index = piece.partition("[")
        keys.append(name)
        if index:
            if not index.rstrip("]").isdigit():
                raise ConfigError(f"--set {text}: '{piece}' is no name or name[number]")
            keys.append(int(index.rstrip("]")))
    return keys


def _anchor(document: Document, keys: list[Any], setting: str) -> tuple[Any, Any, list[Any], Path]:
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"--set {setting}: the chain is not a mapping")
    if keys[0] in TOP and keys[0] != "chain":
        data.setdefault(keys[0], dict(DEFAULT_PRIORS) if keys[0] == "priors" else None)
        return data, keys[0], keys[1:], (keys[0],)
    found = list(_stages(data.get("chain"), ("chain",)))
    named = [place for place in found if place[1] == keys[0]]
    rest = keys[1:]
    if rest and isinstance(rest[0], int):
        named, rest = named[rest[0] : rest[0] + 1], rest[1:]
    elif len(named) > 1:
        raise ConfigError(
            f"--set {setting}: {len(named)} stages are named '{keys[0]}'; write {keys[0]}[0], {keys[0]}[1] ..."
        )
    if not named:
        hint = difflib.get_close_matches(str(keys[0]), [name for _, name, _ in found] + list(TOP), n=1)
        raise ConfigError(
            f"--set {setting}: the chain has no stage '{keys[0]}'" + (f"; did you mean '{hint[0]}'?" if hint else "")
        )
    return named[0][0], named[0][1], rest, named[0][2]


def _stages(raw: Any, path: Path) -> Iterable[tuple[dict[str, Any], str, Path]]:
    for i, item in enumerate(raw if isinstance(raw, list) else []):
        if isinstance(item, str):
            raw[i] = item = {item: {}}
        if isinstance(item, dict) and len(item) == 1:
            ((name, value),) = item.items()
            yield item, name, (*path, i, name)
            for key, inner in value.items() if isinstance(value, dict) else ():
                yield from _stages(inner, (*path, i, name, key))
