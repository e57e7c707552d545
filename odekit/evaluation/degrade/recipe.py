"""The damage that `--kind` selects: one kind, a chain of several, one at random, or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from odekit.chains.document import Document, parse_yaml
from odekit.chains.resolve import Resolver
from odekit.core.abilities import HasSeverity
from odekit.core.files import read_text
from odekit.core.image import Image
from odekit.core.noise import noise_generator
from odekit.core.options import Part
from odekit.core.spelling import nearest
from odekit.errors import ConfigError
from odekit.parts import installed
from odekit.parts.corruptions import register
from odekit.parts.corruptions.kinds import KINDS, PAPER_KINDS, SEVERITIES, TABLES
from odekit.plugins.catalog import BUILT_IN, Catalog, PluginCatalog

Steps: TypeAlias = "Sequence[tuple[str, int]]"
"""A chain from Python: (kind, severity) in the order they are applied."""
RANDOM_KINDS: dict[str, tuple[str, ...]] = {"random": KINDS, "paper": PAPER_KINDS}
"""Values of `--kind` that select one kind at random for each image, and their kinds."""


@dataclass(frozen=True)
class Recipe:
    """One kind, or several in order."""

    name: str
    parts: tuple[Part, ...]

    def tree(self) -> list[dict[str, Any]]:
        """The steps as plain data with the options that are set."""
        return [{key: value for key, value in part.tree().items() if value is not None} for part in self.parts]

    def apply(self, image: Image, seed: int) -> Image:
        """The damaged image. Its noise depends only on seed, image, kind, severity and place in the recipe."""
        catalog = corruptions()
        for number, part in enumerate(self.parts):
            options: object = part.options
            place = f"degrade:{part.name}:{options.severity if isinstance(options, HasSeverity) else 0}"
            rng = noise_generator(seed, image.origin, place, image.face, number)
            image = catalog.entry_of(part).load()(part.options).corrupt(image, rng)
        return image

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as plain data, because the option models are created lazily."""
        return rebuild, (self.name, self.tree())


def rebuild(name: str, tree: list[dict[str, Any]], owner: str = BUILT_IN) -> Recipe:
    """A recipe from its name and its `tree`; `owner`: see `Document`, empty if a user wrote the names."""
    resolver = Resolver(corruptions(), Document({}, "", {}, owner=owner))
    return Recipe(name, tuple(resolver.part("corruption", step, ()) for step in tree))


@dataclass(frozen=True)
class Selection:
    """The recipes of a run: one for every image, each of them (`all`), or one drawn for each image (`draw`)."""

    recipes: tuple[Recipe, ...]
    mode: Literal["one", "all", "draw"] = "one"

    def of(self, image: Image, seed: int) -> tuple[Recipe, ...]:
        """The recipes for this image."""
        if self.mode != "draw":
            return self.recipes
        number = noise_generator(seed, image.origin, "degrade:random", image.face).integers(len(self.recipes))
        return (self.recipes[int(number)],)


def corruptions() -> Catalog:
    """The catalogue of this process, with the built-in kinds of damage."""
    catalog = installed.catalog()
    if all(entry.dist != "odekit" for entry in catalog.entries.get(("corruption", KINDS[0]), [])):
        register(PluginCatalog(catalog, "odekit"))
    return catalog


def damage(image: Image, steps: str | Steps, seed: int = 0, severity: int = 4, table: str = "auto") -> Image:
    """An image damaged by one kind (at `severity`) or by a chain of (kind, severity).

    Raises:
        ConfigError: unknown kind or table, severity out of range.
    """
    listed = [(steps, severity)] if isinstance(steps, str) else list(steps)
    parts = tuple(part for kind, level in listed for part in _named(kind, level, table).parts)
    return Recipe("+".join(kind for kind, _ in listed), parts).apply(image, seed)


def select(kind: str, severity: int, table: str = "auto", settings: str = "") -> Selection:
    """The damage that `--kind` selects.

    Args:
        kind: a corruption of the catalogue, `random` (one of all built-in kinds for each image), `paper` (one of the
            paper's 20), `all` (each of the built-in kinds), or the path of a YAML file with a list of kinds.
        severity: 1 to 5; the YAML may override it.
        table: `auto`, `64` or `224`.
        settings: options of a single kind as YAML, such as "{fraction: 0.5}".

    Raises:
        ConfigError: an unknown name or a value out of range, with the nearest name or with file:line:column.
    """
    if settings and (kind in RANDOM_KINDS or kind == "all" or kind.endswith((".yaml", ".yml"))):
        raise ConfigError(f"--set changes the options of one kind, not of '{kind}'; name a kind or write them in YAML")
    if kind == "all":
        return Selection(tuple(_named(name, severity, table, owner=BUILT_IN) for name in KINDS), "all")
    if kind in RANDOM_KINDS:
        return Selection(tuple(_named(name, severity, table, owner=BUILT_IN) for name in RANDOM_KINDS[kind]), "draw")
    if kind.endswith((".yaml", ".yml")):
        return Selection((_from_yaml(Path(kind), severity, table),))
    return Selection((_named(kind, severity, table, parse_yaml(settings, "--set").data if settings else {}),))


def _named(kind: str, severity: int, table: str, options: Any = None, owner: str = "") -> Recipe:
    names = [*corruptions().names("corruption"), *RANDOM_KINDS, "all"]
    if ("corruption", kind.rpartition(":")[2]) not in corruptions().entries:
        raise ConfigError(f"unknown corruption '{kind}'{nearest(kind, names)}")
    return _checked(rebuild(kind, [_filled({"use": kind} | (options or {}), severity, table)], owner), "")


def _from_yaml(path: Path, severity: int, table: str) -> Recipe:
    try:
        document = parse_yaml(read_text(path), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); name a YAML file with a list of kinds") from error
    if not isinstance(document.data, list) or not document.data:
        raise ConfigError(f"{path}: a chain of damage is a list of kinds, such as '- {{use: jpeg, severity: 3}}'")
    resolver = Resolver(corruptions(), document)
    parts = []
    for number, raw in enumerate(document.data):
        filled = _filled({"use": raw} if isinstance(raw, str) else raw, severity, table)
        parts.append(resolver.part("corruption", filled, (number,)))
        _checked(Recipe("", (parts[-1],)), document.where((number,)) + ": ")
    return Recipe("+".join(part.name for part in parts), tuple(parts))


def _filled(raw: Any, severity: int, table: str) -> Any:
    """The mapping of a part with severity and table, where the part has these options and does not set them."""
    if severity not in SEVERITIES or isinstance(severity, bool):
        raise ConfigError(f"severity {severity!r} is not a whole number from 1 (mild) to 5 (severe)")
    if table not in TABLES:
        raise ConfigError(f"unknown table '{table}'{nearest(table, TABLES)}")
    name = raw.get("use") if isinstance(raw, dict) else None
    if not isinstance(name, str) or ("corruption", name.rpartition(":")[2]) not in corruptions().entries:
        return raw
    fields = corruptions().get("corruption", name, (BUILT_IN,)).options.model_fields
    return {key: value for key, value in (("severity", severity), ("table", table)) if key in fields} | raw


def _checked(recipe: Recipe, where: str) -> Recipe:
    """The recipe, after its parts were created once, so that wrong options are errors before any image is read."""
    for part in recipe.parts:
        try:
            corruptions().entry_of(part).load()(part.options)
        except ConfigError as error:
            raise ConfigError(f"{where}{error}") from error
    return recipe
