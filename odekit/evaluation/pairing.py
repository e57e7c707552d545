"""Pairs restored, damaged and clean images by their names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from odekit.errors import ConfigError, InputError
from odekit.evaluation.degrade import manifest
from odekit.images import io
from odekit.runs.inputs import collect_jobs

STAGES = "stages"
"""The subfolder of `odekit run --keep-stages`, whose images are not results."""
NO_ERRORS: Mapping[str, str] = {}
"""Shared by all cases without errors; there may be hundreds of thousands."""


@dataclass(frozen=True, slots=True)
class Case:
    """One clean image, its damaged and restored images. Paths are strings, which take a third of a `Path`'s memory."""

    name: str
    reference: str
    pictures: Mapping[str, str] = field(default_factory=dict)
    """By method."""
    errors: Mapping[str, str] = field(default_factory=lambda: NO_ERRORS)
    """By method: the reason why there is no image."""
    kind: str = ""
    severity: int | None = None


class ManifestEntry(NamedTuple):
    """The fields of a manifest's line that pairing needs; whole lines would take too much memory."""

    input: str
    kind: str
    severity: int


@dataclass(frozen=True)
class Pairing:
    """Cases in order of their damage, and lines about images that could not be paired."""

    cases: tuple[Case, ...]
    problems: tuple[str, ...]


def pair(restored: Path, reference: Path, damaged: Path | None = None, listed: Path | None = None) -> Pairing:
    """Pair restored and clean images by the path below the folder, without the suffix.

    Other names are looked up in the manifest of `odekit degrade`, which lists the clean image of each damaged one. A
    clean image may have several restored ones (`--kind all`).

    Args:
        restored: a folder, or one image.
        reference: a folder, or one image.
        damaged: a folder, or one image; the inputs of the restored ones.
        listed: the manifest; by default that of `damaged` or of `restored`.

    Raises:
        ConfigError: no images, two of one name, or no common name.
        InputError: a manifest that cannot be read.
    """
    results, clean = pictures(restored), pictures(reference)
    if restored.is_file() and reference.is_file():
        results = {next(iter(clean)): str(restored)}
    before = {} if damaged is None else pictures(damaged)
    entries = read_manifest(listed, [folder for folder in (damaged, restored) if folder is not None])
    cases, problems, used = [], [], set()
    for name, path in results.items():
        entry = entries.get(name)
        source = name if name in clean else _clean_name(entry, clean)
        if source is None:
            problems.append(f"{path}: no picture of {reference} has the same name; left out")
            continue
        used.add(source)
        case = Case(name, clean[source], {"restored": path})
        cases.append(case if entry is None else replace(case, kind=entry.kind, severity=entry.severity))
    for name, entry in entries.items():  # damaged pictures whose restored ones are missing
        source = name if name in clean else _clean_name(entry, clean)
        if source is not None and name not in results:
            used.add(source)
            cases.append(Case(name, clean[source], {}, _missing(restored), entry.kind, entry.severity))
    cases += [Case(name, clean[name], {}, _missing(restored)) for name in clean if name not in used]
    if not any(case.pictures for case in cases):
        raise ConfigError(f"no picture of {restored} has the name of one of {reference}; files pair by their names")
    if damaged is not None:
        cases = [_with_damaged(case, before, damaged) for case in cases]
    problems += [f"{case.name}: {error}" for case in cases for error in case.errors.values()]
    return Pairing(ordered(cases), tuple(problems))


def ordered(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases sorted by damage, severity and name."""
    return tuple(sorted(cases, key=lambda case: (case.kind, case.severity or 0, case.name)))


def pictures(path: Path) -> dict[str, str]:
    """Paths of the images of a folder by name, sorted; of a file, that file.

    Raises:
        ConfigError: none, or two that differ only in their suffixes.
    """
    paths: dict[str, str] = {}
    for job in collect_jobs([path], path / STAGES, io.IMAGE_SUFFIXES):
        name = stem(PurePosixPath(job.target.as_posix()))
        if name in paths:
            raise ConfigError(f"{paths[name]} and {job.file} share the name '{name}'; keep one of them")
        paths[name] = job.file
    return paths


def stem(path: PurePosixPath) -> str:
    """A relative path without its suffixes: face.jpg.png, a file with a wrong suffix, is face."""
    while path.suffix.lower() in io.IMAGE_SUFFIXES:
        path = path.with_suffix("")
    return path.as_posix()


def read_manifest(listed: Path | None, folders: Sequence[Path]) -> dict[str, ManifestEntry]:
    """The lines of a manifest by the name of the damaged image; by default of the first folder with a manifest.

    Raises:
        InputError: a named manifest is absent, or a line is invalid.
    """
    candidates = [listed / manifest.NAME if listed.is_dir() else listed] if listed else []
    candidates += [] if listed else [folder / manifest.NAME for folder in folders]
    for path in candidates:
        if listed or path.is_file():
            try:
                return {
                    stem(PurePosixPath(entry.output)): ManifestEntry(
                        entry.input, sys.intern(entry.kind), entry.severity
                    )
                    for entry in manifest.read(path)
                }
            except (OSError, ValueError, TypeError) as error:
                raise InputError(f"{path}: not a manifest of odekit degrade ({error})") from error
    return {}


def _clean_name(entry: ManifestEntry | None, clean: Mapping[str, str]) -> str | None:
    """The clean image of a damaged one: the longest end of its path that is a name."""
    if entry is None:
        return None
    parts = stem(PurePosixPath(Path(entry.input).as_posix())).split("/")
    names = ("/".join(parts[i:]) for i in range(len(parts)))
    return next((name for name in names if name in clean), None)


def _missing(folder: Path) -> dict[str, str]:
    return {"restored": f"missing: no such picture in {folder}"}


def _with_damaged(case: Case, before: Mapping[str, str], folder: Path) -> Case:
    if case.name in before:
        return replace(case, pictures={"damaged": before[case.name], **case.pictures})
    return replace(case, errors={"damaged": f"missing: no such picture in {folder}", **case.errors})
