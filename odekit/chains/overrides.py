"""`--set path=value`: overrides of options in a chain's data, applied before the chain is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from odekit.chains.document import DataPath, Document
from odekit.chains.resolve import DEFAULT_PRIORS, TOP_LEVEL_KEYS
from odekit.core.spelling import did_you_mean
from odekit.errors import ConfigError


def apply_overrides(document: Document, settings: Iterable[str], value: Any) -> None:
    """Apply `path=value` settings to a document, in place.

    A path starts at a top-level key (`seed`, `priors.face.use`), or at the name of a stage anywhere in the chain
    (`restore.enhancer.iterations`, or `restore[1].prior` for the second). `value` parses the text after '='.

    Raises:
        ConfigError: a setting without '=', an unknown stage, or a path through a value that has no options.
    """
    for setting in settings:
        path_text, equals, text = setting.partition("=")
        if not equals or not path_text.strip():
            raise ConfigError(f"--set {setting}: write it as path=value, such as restore.enhancer.iterations=200")
        keys = _split_path(path_text.strip())
        node, key, remaining_keys, path = _find_start(document, keys, setting)
        for next_key in remaining_keys:
            inner = node[key]
            if isinstance(inner, str):
                inner = {"use": inner}
            elif inner is None:
                inner = {}
            if not isinstance(inner, (dict, list)) or (isinstance(inner, list) and not isinstance(next_key, int)):
                raise ConfigError(f"--set {setting}: '{key}' has no options")
            node[key] = inner
            node, key, path = inner, next_key, (*path, next_key)
            if isinstance(node, dict):
                node.setdefault(key, None)
        node[key] = value(text)
        document.positions = {p: at for p, at in document.positions.items() if p[: len(path)] != path}
        document.overridden[path] = f"--set {setting}"


def _split_path(text: str) -> list[Any]:
    """`restore[1].prior` as ["restore", 1, "prior"]."""
    keys: list[Any] = []
    for segment in text.split("."):
        name, _, index = segment.partition("[")
        keys.append(name)
        if index:
            if not index.rstrip("]").isdigit():
                raise ConfigError(f"--set {text}: '{segment}' is not of the form name or name[number]")
            keys.append(int(index.rstrip("]")))
    return keys


def _find_start(document: Document, keys: list[Any], setting: str) -> tuple[Any, Any, list[Any], DataPath]:
    """Where a path starts: the mapping, the key in it, the remaining keys, and the location in the document."""
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError(f"--set {setting}: the chain is not a mapping")
    if keys[0] in TOP_LEVEL_KEYS and keys[0] != "chain":
        data.setdefault(keys[0], dict(DEFAULT_PRIORS) if keys[0] == "priors" else None)
        return data, keys[0], keys[1:], (keys[0],)
    stages = list(_iter_stages(data.get("chain"), ("chain",)))
    matching = [stage for stage in stages if stage[1] == keys[0]]
    remaining = keys[1:]
    if remaining and isinstance(remaining[0], int):
        matching, remaining = matching[remaining[0] : remaining[0] + 1], remaining[1:]
    elif len(matching) > 1:
        raise ConfigError(
            f"--set {setting}: {len(matching)} stages are named '{keys[0]}'; write {keys[0]}[0], {keys[0]}[1] ..."
        )
    if not matching:
        hint = did_you_mean(str(keys[0]), [*(name for _, name, _ in stages), *TOP_LEVEL_KEYS])
        raise ConfigError(f"--set {setting}: the chain has no stage '{keys[0]}'{hint}")
    item, name, path = matching[0]
    return item, name, remaining, path


def _iter_stages(raw: Any, path: DataPath) -> Iterator[tuple[dict[str, Any], str, DataPath]]:
    """Stages in raw data with their names and paths, including sub-chains; short forms become mappings in place."""
    for i, item in enumerate(raw if isinstance(raw, list) else []):
        if isinstance(item, str):
            raw[i] = item = {item: {}}
        if isinstance(item, dict) and len(item) == 1:
            ((name, value),) = item.items()
            yield item, name, (*path, i, name)
            for key, inner in value.items() if isinstance(value, dict) else ():
                yield from _iter_stages(inner, (*path, i, name, key))
