"""The images of an experiment: clean and damaged faces in a folder, written once and reused when a run resumes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from odekit.chains import document
from odekit.core.files import read_json, sha256, write_json
from odekit.core.image import Image
from odekit.errors import ConfigError
from odekit.evaluation.degrade import manifest
from odekit.evaluation.degrade.recipe import Recipe, select
from odekit.evaluation.experiments.faces import Faces, at_side, faces
from odekit.evaluation.pairing import Case, ordered
from odekit.images import io
from odekit.parts.corruptions.kinds import PAPER_KINDS

NAME = "bench.json"


@dataclass(frozen=True)
class Setting:
    """The faces of an experiment and their damage. Written to OUT/bench.json."""

    faces: str | None = None
    """Path of the clean faces; the test faces of a checkout where None."""
    split: str = "test"
    limit: int | None = None
    kinds: tuple[str, ...] = PAPER_KINDS
    """Each face gets one of them, in turn."""
    severity: int = 4
    options: str = ""
    """Options of the kind as YAML; only with a single kind."""
    seed: int = 0
    side: int = 64
    """Side of the damaged images."""
    reference_side: int | None = None
    """Side of the clean images that results are compared with; `side` where None."""

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"kinds": list(self.kinds)}

    def recipes(self) -> list[Recipe]:
        """The damage of the faces, in turn. Raises ConfigError for an unknown kind, with the nearest name."""
        if self.options and len(self.kinds) != 1:
            raise ConfigError("options belong to one kind of damage; name that alone")
        return [select(kind, self.severity, "auto", self.options).recipes[0] for kind in self.kinds]

    def describe(self, source: str, count: int) -> str:
        """The setting in one line."""
        kinds = self.kinds[0] if len(self.kinds) == 1 else f"{len(self.kinds)} kinds of damage in turn"
        chosen = document.parse_yaml(self.options, "options").data if self.options else {}
        options = f" ({', '.join(f'{key}={value}' for key, value in chosen.items())})" if chosen else ""
        large = self.reference_side or self.side
        reference = "" if large == self.side else f", compared with {large} px"
        faces = f"{count} {source}, {self.side} px{reference}"
        return f"{faces}; {kinds}{options} at severity {self.severity}; seed {self.seed}"


@dataclass(frozen=True)
class ExperimentData:
    """The images of an experiment on disk."""

    out: Path
    setting: Setting
    source: str
    cases: tuple[Case, ...]
    """With the damaged images, ordered by damage."""

    @property
    def clean(self) -> Path:
        """Folder of the clean images."""
        return self.out / "clean"

    @property
    def damaged(self) -> Path:
        """Folder of the damaged images."""
        return self.out / "damaged"


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds of `--kinds fog,jpeg` or `--kinds paper`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return PAPER_KINDS if names in (["paper"], []) else tuple(names)


def prepare_data(out: Path, setting: Setting, resume: bool = False, overwrite: bool = False) -> ExperimentData:
    """Write the clean and damaged images and the manifest; when resuming, only the missing ones.

    Raises:
        ConfigError: unknown damage, a folder that holds another experiment, or one that cannot be written.
        InputError: no faces.
    """
    recipes = setting.recipes()
    large = setting.reference_side or setting.side
    if large % setting.side:
        raise ConfigError(f"--reference-side {large} is not a multiple of --side {setting.side}")
    path = None if setting.faces is None else Path(setting.faces)
    clean = faces(path, setting.split, large, setting.limit)
    stored = read_json(out / NAME)
    if stored is not None and not overwrite:
        differ = [key for key, value in setting.tree().items() if stored.get(key) != value]
        if not resume:
            raise ConfigError(
                f"{out} holds an experiment; --resume continues, --overwrite starts again, or choose another -o"
            )
        if differ:
            raise ConfigError(f"{out} was written with another {' and '.join(differ)}; --overwrite starts again")
    try:
        write_json(out / NAME, setting.tree())
        cases = _write(out, setting, clean, recipes, overwrite)
    except OSError as error:
        raise ConfigError(f"the output folder {out} cannot be written: {error.strerror or error}") from error
    return ExperimentData(out, setting, clean.source, ordered(cases))


def _write(out: Path, setting: Setting, faces: Faces, recipes: Sequence[Recipe], overwrite: bool) -> list[Case]:
    """Write every face with its damage; existing files stay."""
    cases, lines = [], []
    for name, picture, recipe in zip(faces.names, faces.pictures, itertools.cycle(recipes), strict=False):
        clean, damaged = out / "clean" / f"{name}.png", out / "damaged" / f"{name}.png"
        if overwrite or not clean.is_file():
            io.write(Image.from_uint8(picture), clean, format="png")
        if overwrite or not damaged.is_file():
            small = Image.from_uint8(at_side(picture[None], setting.side)[0])
            io.write(recipe.apply(small, setting.seed), damaged, format="png")
        cases.append(Case(name, str(clean), {"damaged": str(damaged)}, {}, recipe.name, setting.severity))
        lines.append(
            manifest.Entry(
                f"clean/{name}.png",
                f"{name}.png",
                recipe.name,
                setting.severity,
                setting.seed,
                sha256(clean),
                sha256(damaged),
                recipe.tree(),
            )
        )
    (out / "damaged" / manifest.NAME).unlink(missing_ok=True)
    manifest.append(out / "damaged" / manifest.NAME, lines)
    return cases
