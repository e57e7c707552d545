"""What a part needs and what may be done with it: weights and licences, without loading anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from odekit.core.abilities import HasWeightNames, HasWeights
from odekit.core.options import Part
from odekit.errors import OdekitError
from odekit.plugins.catalog import Catalog, Entry
from odekit.plugins.weights.lookup import find, how_to_get, is_path, is_present


@dataclass(frozen=True)
class UsedPart:
    """A part that the chain uses, with its licence."""

    kind: str
    name: str
    dist: str
    licence: str
    commercial_use: bool
    weights: str | None = None
    """Names of the weights that it needs, separated by commas."""
    forbids: str = ""
    """Whose licence forbids commercial use."""


def weights_of(part: Part, catalog: Catalog) -> list[str]:
    """What a part needs: `options.weight_names()`, else `options.weights`, else the weights that are called like it."""
    options: object = part.options
    if isinstance(options, HasWeightNames):
        return list(options.weight_names())
    if isinstance(options, HasWeights) and isinstance(options.weights, str):
        return [options.weights]
    return [part.name] if part.name in catalog.stores else []


def needed(name: str, catalog: Catalog) -> dict[str, Any]:
    """What is known of weights without reading them. Raises WeightsError for a name that nobody registered."""
    if is_path(name):
        return {
            "name": name,
            "licence": "of your file",
            "commercial_use": True,
            "here": Path(name).expanduser().exists(),
        }
    store = find(name, catalog)
    facts = {"name": name, "licence": store.licence, "commercial_use": store.commercial_use, "sha256": store.sha256}
    return facts | {
        "size": store.size,
        "here": is_present(store),
        "missing": "" if is_present(store) else how_to_get([store]),
    }


def used_part(part: Part, catalog: Catalog) -> UsedPart:
    """A part with the licence its plugin states."""
    return terms(catalog.get(part.kind, part.name), weights_of(part, catalog), catalog)


def terms(entry: Entry, weights: Sequence[str], catalog: Catalog) -> UsedPart:
    """What may be done with a part and the weights it needs."""
    forbid = [] if entry.commercial_use else [entry.licence]
    for name in weights:
        store = catalog.stores.get(name)
        if entry.commercial_use and store is not None and not store.commercial_use:
            forbid.append(f"weights '{name}': {store.licence}")
    needs = ", ".join(weights) or None
    return UsedPart(entry.kind, entry.name, entry.dist, entry.licence, not forbid, needs, "; ".join(forbid))


def default_terms(entry: Entry, catalog: Catalog) -> UsedPart:
    """The same for a part with its default options; one that has none (it wants a file, say) names no weights."""
    try:
        names = weights_of(Part(entry.kind, entry.name, entry.options()), catalog)
    except (ValidationError, OdekitError):
        names = []
    return terms(entry, names, catalog)
