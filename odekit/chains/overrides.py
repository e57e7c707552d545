"""`--set path=value`: overrides of options in a chain's data, applied before the chain is resolved."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from odekit.chains.document import DataPath, Document
from odekit.chains.option_paths import OptionPath, RawStage, option_paths
from odekit.chains.resolve import DEFAULT_PRIORS, TOP_LEVEL_KEYS
from odekit.core.spelling import did_you_mean
from odekit.errors import ConfigError
from odekit.plugins.catalog import Catalog

CLOSE = 0.75
"""Smallest similarity (`difflib`) of a path to be suggested for a misspelt one."""


def apply_overrides(document: Document, settings: Iterable[str], value: Any, parts: Catalog) -> None:
    """Apply `path=value` settings to a document, in place.

    A path starts at a top-level key (`seed`, `priors.face.use`), or at the name of a stage anywhere in the chain
    (`restore.enhancer.iterations`, or `restore[1].prior` for the second). The end of a path suffices if only one option
    has it: `paste.detail` is `faces.paste.detail`. `value` parses the text after '='.

    Raises:
        ConfigError: a setting without '=', an unknown path or one that several options have, or a path through a value
            that has no options.
    """
    for setting in settings:
        path_text, equals, text = setting.partition("=")
        if not equals or not path_text.strip():
            raise ConfigError(f"--set {setting}: write it as path=value, such as restore.enhancer.iterations=200")
        keys = _split_path(path_text.strip())
        node, key, remaining_keys, path = _find_start(document, keys, setting, parts)
        for next_key in remaining_keys:
            inner = node[key]
            if isinstance(inner, str):
                inner = {"use": inner}
            elif inner is None:
                inner = {}
            if isinstance(next_key, int) and not isinstance(inner, list):
                raise ConfigError(
                    f"--set {setting}: '{key}' is not a list in the chain; write the whole list, {key}=[...]"
                )
            if not isinstance(inner, (dict, list)) or (isinstance(inner, list) and not isinstance(next_key, int)):
                raise ConfigError(f"--set {setting}: '{key}' has no options")
            if isinstance(inner, list) and next_key >= len(inner):
                raise ConfigError(f"--set {setting}: '{key}' has {len(inner)} entries, which count from 0")
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


def _find_start(
    document: Document, keys: list[Any], setting: str, parts: Catalog
) -> tuple[Any, Any, list[Any], DataPath]:
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
    if not matching:
        (item, name, path), remaining = _find_option(stages, keys, setting, parts)
        return item, name, remaining, path
    if remaining and isinstance(remaining[0], int):
        matching, remaining = matching[remaining[0] : remaining[0] + 1], remaining[1:]
    elif len(matching) > 1:
        raise ConfigError(
            f"--set {setting}: {len(matching)} stages are named '{keys[0]}'; write {keys[0]}[0], {keys[0]}[1] ..."
        )
    if not matching:
        raise ConfigError(f"--set {setting}: the chain has no stage '{keys[0]}' of this number; they count from 0")
    _check_option(matching[0], remaining, setting, parts)
    item, name, path = matching[0]
    return item, name, remaining, path


def _find_option(stages: list[RawStage], keys: list[Any], setting: str, parts: Catalog) -> tuple[RawStage, list[Any]]:
    """The stage of the only option whose path ends with the names in `keys`, and the keys below the stage.

    Raises:
        ConfigError: no option, or several.
    """
    count = next((i for i, key in enumerate(keys) if isinstance(key, int)), len(keys))
    names = tuple(keys[:count])
    paths = list(option_paths(stages, parts))
    matching = [path for path in paths if path.names[-count:] == names]
    if len(matching) == 1:
        return matching[0].stage, [*matching[0].keys, *keys[count:]]
    text = ".".join(names)
    if matching:
        listed = ", ".join(_unambiguous(path, stages) for path in matching)
        raise ConfigError(f"--set {setting}: {len(matching)} options are named '{text}'; write one of: {listed}")
    hint = _nearest_path(text, count, paths) or did_you_mean(
        names[0], [*(stage[1] for stage in stages), *TOP_LEVEL_KEYS]
    )
    what = f"stage or option '{text}'" if count == 1 else f"stage '{names[0]}' and no option '{text}'"
    raise ConfigError(f"--set {setting}: the chain has no {what}{hint}")


def _unambiguous(path: OptionPath, stages: list[RawStage]) -> str:
    """The path of an option, with the number of its stage if several stages have its name."""
    same = [stage for stage in stages if stage[1] == path.stage[1]]
    number = next(i for i, stage in enumerate(same) if stage[2] == path.stage[2])
    return ".".join([f"{path.stage[1]}[{number}]" if len(same) > 1 else path.stage[1], *path.keys])


def _nearest_path(text: str, count: int, paths: list[OptionPath]) -> str:
    """`; did you mean 'faces.paste.detail'?` for the path with the most similar end of `count` names; empty if none."""
    ends: dict[str, str] = {}
    for path in paths:
        ends.setdefault(".".join(path.names[-count:]), str(path))
    close = difflib.get_close_matches(text, list(ends), n=1, cutoff=CLOSE)
    return f"; did you mean '{ends[close[0]]}'?" if close else ""


def _check_option(stage: RawStage, keys: list[Any], setting: str, parts: Catalog) -> None:
    """Raise ConfigError for an option that a stage has further down only: `faces.detail` for `faces.paste.detail`."""
    if not keys or not all(isinstance(key, str) for key in keys):
        return
    paths = list(option_paths([stage], parts))
    ending = [str(path) for path in paths if path.keys[-len(keys) :] == tuple(keys)]
    if ending and f"{stage[1]}.{'.'.join(keys)}" not in ending and not any(path.keys == (keys[0],) for path in paths):
        raise ConfigError(
            f"--set {setting}: the stage '{stage[1]}' has no option '{'.'.join(keys)}'; did you mean "
            f"{' or '.join(repr(path) for path in ending[:3])}?"
        )


def _iter_stages(raw: Any, path: DataPath) -> Iterator[RawStage]:
    """Stages in raw data with their names and paths, including sub-chains; short forms become mappings in place."""
    for i, item in enumerate(raw if isinstance(raw, list) else []):
        if isinstance(item, str):
            raw[i] = item = {item: {}}
        if isinstance(item, dict) and len(item) == 1:
            ((name, value),) = item.items()
            yield item, name, (*path, i, name)
            for key, inner in value.items() if isinstance(value, dict) else ():
                yield from _iter_stages(inner, (*path, i, name, key))
