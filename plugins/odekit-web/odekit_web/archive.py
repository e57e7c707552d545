"""All results of a visit in one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import odekit
from odekit_web.messages import writing
from odekit_web.visit import Visit


def make_zip(visit: Visit) -> Path:
    """All results with their records in one archive.

    Raises:
        InputError: nothing was restored yet, or results have changed meanwhile.
        OutputError: the disk is full.
    """
    visit.change()
    before = visit.changes
    done = [(photo.result, photo.record) for photo in visit.photos if photo.result and photo.record]
    if not done:
        raise odekit.InputError("nothing is restored yet")
    with writing("the zip"):
        path, used = visit.place("restored", ".zip"), set[str]()
    try:
        with writing("the zip"), zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for result, record in done:
                name = free_name(result.name, used)
                archive.write(result, name)
                archive.write(record, f"{name}.json")
    except odekit.OutputError:
        path.unlink(missing_ok=True)
        if visit.changes == before:
            raise
    if visit.changes != before:
        path.unlink(missing_ok=True)
        raise odekit.InputError("results have changed meanwhile; make the zip again")
    visit.archive = path
    return path


def free_name(name: str, used: set[str]) -> str:
    """The name, or the name with a number if it is taken; it is then taken."""
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 2
    while name.lower() in used:
        name, number = f"{stem}-{number}{suffix}", number + 1
    used.add(name.lower())
    return name
