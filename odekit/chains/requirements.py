"""Weights and licences that a part requires, read from the catalogue without loading anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from odekit.core.abilities import HasWeightNames, HasWeights, HasWeightsPath
from odekit.core.objects import ObjectPart
from odekit.core.options import Part
from odekit.errors import OdekitError
from odekit.plugins.catalog import Catalog, Entry, resolve
from odekit.plugins.weights.hub import PREFIX, describe_hub
from odekit.plugins.weights.known import known_weights
from odekit.plugins.weights.lookup import check_local, find_weights, how_to_get, is_path, is_present


@dataclass(frozen=True)
class UsedPart:
    """A part used by a chain, with its licence."""

    kind: str
    name: str
    dist: str
    licence: str
    commercial_use: bool
    weights: str | None = None
    """Names of the required weights, separated by commas."""
    forbids: str = ""
    """Licences that forbid commercial use, separated by semicolons; empty if none does."""


def weight_names_of(part: Part, catalog: Catalog) -> list[str]:
    """Weights of a part: `options.weight_names()`, else `options.weights`, else the weights with the part's name."""
    options: object = part.options
    if isinstance(part, ObjectPart):  # it has its weights
        return []
    if isinstance(options, HasWeightNames):
        return list(options.weight_names())
    if isinstance(options, HasWeights) and isinstance(options.weights, str):
        return [options.weights]
    bare = part.name.rpartition(":")[2]
    return [bare] if bare in catalog.weights else []


def describe_weights(name: str, catalog: Catalog) -> dict[str, Any]:
    """Licence, size and presence of weights, without reading them. Raises WeightsError for an unregistered name."""
    check_local(name)
    if name.startswith(PREFIX):
        return describe_hub(name)
    if is_path(name):
        known = known_weights(Path(name), catalog)
        return {
            "name": name,
            "licence": "of your file" if known is None else f"{known.licence} (this is '{known.name}')",
            "commercial_use": known is None or known.commercial_use,
            "here": Path(name).expanduser().exists(),
        }
    store = find_weights(name, catalog)
    facts = {"name": name, "licence": store.licence, "commercial_use": store.commercial_use, "sha256": store.sha256}
    return facts | {
        "size": store.size,
        "here": is_present(store),
        "missing": "" if is_present(store) else how_to_get([store]),
    }


def usage_of_part(part: Part, catalog: Catalog) -> UsedPart:
    """A part with its licence and weights."""
    entry, names = catalog.entry_of(part), weight_names_of(part, catalog)
    return usage_of(entry, names or _files_of_prior(entry, part), catalog)


def _files_of_prior(entry: Entry, part: Part) -> list[str]:
    """The path of the weights of a prior that is given by path."""
    if entry.kind != "prior" or entry.spec is None:
        return []
    try:
        spec = resolve(entry.spec, f"prior '{part.name}'")(part.options)
    except OdekitError:  # reported where the prior is used
        return []
    return [str(spec.weights.parent)] if isinstance(spec, HasWeightsPath) else []


def usage_of(entry: Entry, weights: Sequence[str], catalog: Catalog) -> UsedPart:
    """Licence and commercial use of a part together with the weights it requires, by name or by path.

    A path to registered weights has their licence, whatever the file is called.
    """
    non_commercial = [] if entry.commercial_use else [entry.licence]
    for name in weights:
        store = catalog.weights.get(name)
        if store is None and (is_path(name) or Path(name).is_dir()):
            store = known_weights(Path(name), catalog)
        if entry.commercial_use and store is not None and not store.commercial_use:
            place = "" if store.name == name else f" in {name}"
            non_commercial.append(f"weights '{store.name}'{place}: {store.licence}")
    return UsedPart(
        entry.kind, entry.name, entry.dist, entry.licence, not non_commercial, ", ".join(weights) or None,
        "; ".join(non_commercial),
    )  # fmt: skip


def usage_with_defaults(entry: Entry, catalog: Catalog) -> UsedPart:
    """`usage_of` of a part with default options; no weights if it has a required option, such as a file."""
    try:
        names = weight_names_of(Part(entry.kind, entry.name, entry.options()), catalog)
    except (ValidationError, OdekitError):
        names = []
    return usage_of(entry, names, catalog)
