"""The images of an experiment: clean and damaged faces in a folder, written once and reused when a run resumes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from odekit.images import celeba, io
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
    levels: Mapping[str, str] = field(default_factory=dict)
    """Name -> options of the single kind, as YAML: every face is damaged at each of these levels."""
    crop: int | str = celeba.USUAL_CROP
    """Of CelebA's pictures, see `odekit.images.celeba.read`."""

    def tree(self) -> dict[str, Any]:
        """Plain data."""
        tree = asdict(self) | {"kinds": list(self.kinds), "levels": dict(self.levels)}
        usual = {"levels": {}, "crop": celeba.USUAL_CROP}  # not in the files of earlier versions
        return {key: value for key, value in tree.items() if key not in usual or value != usual[key]}

    def recipes(self) -> list[Recipe]:
        """The damage of the faces, in turn, or at each level.

        Raises:
            ConfigError: an unknown kind, with the nearest name, or wrong options.
        """
        if (self.options or self.levels) and len(self.kinds) != 1:
            raise ConfigError("options belong to one kind of damage; name that alone")
        if self.levels:
            levels = self.levels.items()
            return [
                replace(select(self.kinds[0], self.severity, "auto", options).recipes[0], name=name)
                for name, options in levels
            ]
        return [select(kind, self.severity, "auto", self.options).recipes[0] for kind in self.kinds]

    def describe(self, source: str, count: int) -> str:
        """The setting in one line."""
        kinds = self.kinds[0] if len(self.kinds) == 1 else f"{len(self.kinds)} kinds of damage in turn"
        if self.levels:
            every = f"{count // len(self.levels)} {source}, {self.side} px"
            return f"{every}; {kinds}, each {', '.join(self.levels)}; seed {self.seed}"
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
    clean = faces(path, setting.split, large, setting.limit, setting.crop)
    stored = read_json(out / NAME)
    if stored is not None and not overwrite:
        tree = setting.tree()
        differ = [key for key in dict.fromkeys((*tree, "crop")) if stored.get(key) != tree.get(key)]
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
    """Write every face with its damage, or at each level of it; existing files stay."""
    cases, lines = [], []
    pictures = list(zip(faces.names, faces.pictures, strict=True))
    pairs = itertools.product(pictures, recipes) if setting.levels else zip(pictures, itertools.cycle(recipes))
    for (face, picture), recipe in pairs:
        name = f"{face}-{recipe.name}" if setting.levels else face
        clean, damaged = out / "clean" / f"{face}.png", out / "damaged" / f"{name}.png"
        if overwrite or not clean.is_file():
            io.write(Image.from_uint8(picture), clean, format="png")
        if overwrite or not damaged.is_file():
            small = Image.from_uint8(at_side(picture[None], setting.side)[0])
            io.write(recipe.apply(small, setting.seed), damaged, format="png")
        severity = None if setting.levels else setting.severity
        cases.append(Case(name, str(clean), {"damaged": str(damaged)}, {}, recipe.name, severity))
        lines.append(
            manifest.Entry(
                f"clean/{face}.png",
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
