"""An environment with exactly what a wheel declares: links to installed distributions, found through metadata alone."""

from __future__ import annotations

import importlib.metadata
import venv
import zipfile
from collections import Counter
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def make_environment(folder: Path, wheel: Path, extras: tuple[str, ...] = ()) -> Path:
    """Make a virtual environment with a wheel and its declared dependencies, and return its Python.

    Nothing is downloaded: the distributions of this environment are linked.

    Args:
        folder: of the environment; it must not exist.
        wheel: to be unpacked into it.
        extras: of the wheel.

    Raises:
        AssertionError: this environment lacks a dependency of the wheel, or has a version that the wheel does not allow.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (about,) = site.glob("*.dist-info")
    link(closure(Distribution.at(about), extras), site)
    return folder / "bin" / "python"


def closure(root: Distribution, extras: tuple[str, ...]) -> list[Distribution]:
    """The distributions that `root` and its dependencies declare, without `root`."""
    found: dict[str, Distribution] = {}
    todo: list[tuple[Distribution, tuple[str, ...], bool]] = [(root, extras, True)]
    seen = set()
    while todo:
        dist, wanted, direct = todo.pop()
        for line in dist.requires or ():
            need = Requirement(line)
            if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            try:
                installed = importlib.metadata.distribution(need.name)
            except importlib.metadata.PackageNotFoundError:
                assert not direct, f"the wheel needs {line}, which is not installed here"
                continue
            if direct:
                assert need.specifier.contains(installed.version, prereleases=True), f"{line}: {installed.version}"
            key = (canonicalize_name(need.name), tuple(sorted(need.extras)))
            if key not in seen:
                seen.add(key)
                found[key[0]] = installed
                todo.append((installed, tuple(need.extras), False))
    return list(found.values())


def link(dists: list[Distribution], site: Path) -> None:
    """Link the files of distributions into a folder of packages.

    A top folder that belongs to one distribution is linked whole; of a shared one, such as `nvidia`, each distribution's
    own content.
    """
    everywhere = Counter(top for dist in importlib.metadata.distributions() for top in tops(dist))
    for dist in dists:
        names = tops(dist)
        shared = {name for name in names if everywhere[name] > 1}
        for name in names - shared:
            if not (site / name).exists():
                (site / name).symlink_to(dist.locate_file(name))
        for file in dist.files or ():
            if file.parts[0] in shared and "__pycache__" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                if not (site / file).exists():
                    (site / file).symlink_to(dist.locate_file(file))


def tops(dist: Distribution) -> set[str]:
    """The first parts of the paths of a distribution's files, without scripts and caches."""
    return {file.parts[0] for file in dist.files or () if file.parts[0] not in ("..", "__pycache__")}
