"""`check_plugin`: everything that a plugin registers can be imported, created and planned."""

from __future__ import annotations

import contextlib
from importlib.metadata import PackageNotFoundError, distribution

from pydantic import ValidationError

from odekit.chains.chain import Chain
from odekit.chains.tools import KINDS_WITHOUT_TOOLS, PartTools
from odekit.core.options import Part
from odekit.errors import OdekitError, WeightsError
from odekit.parts.installed import catalog
from odekit.plugins.catalog import NOT_DECLARED, Catalog, Entry
from odekit.plugins.discovery import COMMANDS, entry_points
from odekit.plugins.entry import resolve


def check_plugin(dist: str, parts: Catalog | None = None) -> dict[str, int]:
    """Check an installed plugin as a whole: for its own tests, beside the checks of its parts.

    Every factory and command can be imported; option models have the name of their part, and parts with defaults can be
    created (weights that are not on this machine aside); chains can be read and planned; the licence is declared.

    Args:
        dist: name of the distribution, such as "odekit-mine".
        parts: the catalogue; the installed one if None.

    Returns:
        The number of parts, chains, weights and commands.

    Raises:
        AssertionError: the first fault, in one line.
    """
    found = parts or catalog()
    installed = is_installed(dist)
    assert installed or parts is not None, f"{dist} is not installed; pip install -e ."
    assert dist not in found.broken, f"{dist} cannot be registered: {found.broken[dist]}"
    entries = [entry for entry in found.all() if entry.dist == dist]
    chains = {name: path for name, path in found.chains.items() if found.chain_owners.get(path.resolve()) == dist}
    weights = [name for name, one in found.weights.items() if one.dist == dist]
    commands = [point for owner, point in entry_points(COMMANDS) if owner == dist]
    assert entries or chains or weights or commands, (
        f"{dist} registers nothing; does its pyproject.toml have [project.entry-points.odekit]? If so, install it anew"
    )
    for entry in entries:
        check_entry(entry, found)
        assert entry.licence != NOT_DECLARED or not installed, (
            f"the {entry.kind} '{entry.name}' of {dist} has no licence: add license = \"...\" to pyproject.toml, or "
            "licence= to its registration"
        )
    for name in chains:
        try:
            Chain.load(name, parts=found).plan()
        except OdekitError as error:
            raise AssertionError(f"the chain '{name}' of {dist}: {error}") from error
    for point in commands:
        try:
            point.load()
        except Exception as error:
            raise AssertionError(f"the command '{point.name}' of {dist} cannot be imported: {error}") from error
    return {"parts": len(entries), "chains": len(chains), "weights": len(weights), "commands": len(commands)}


def is_installed(dist: str) -> bool:
    """Whether a distribution is installed, also as an editable one."""
    try:
        distribution(dist)
    except PackageNotFoundError:
        return False
    return True


def check_entry(entry: Entry, parts: Catalog) -> None:
    """Check one registered part."""
    label = f"the {entry.kind} '{entry.name}' of {entry.dist}"
    try:
        factory = entry.load()
        if entry.spec is not None:
            resolve(entry.spec, f"the spec of {label}")
    except OdekitError as error:
        raise AssertionError(str(error)) from error
    assert callable(factory), f"the factory of {label} is {factory!r}, which cannot be called"
    model = entry.options
    assert model.part in ("", entry.name), (
        f"{model.__name__}.part is '{model.part}', and {label} has another name; set part = \"{entry.name}\""
    )
    try:
        options = model()
    except (ValidationError, OdekitError):  # it needs an option, such as a file
        return
    if entry.kind in ("prior", "stage", "inverter"):  # they need a chain or a prior; its chains are planned
        return
    with contextlib.suppress(WeightsError):
        try:
            PartTools(parts, "cpu", "float32").make(Part(entry.kind, parts.unique_name(entry), options))
        except WeightsError:
            raise
        except Exception as error:
            arguments = "options" if entry.kind in KINDS_WITHOUT_TOOLS else "options, tools"
            raise AssertionError(f"{label} cannot be created by factory({arguments}): {error}") from error
