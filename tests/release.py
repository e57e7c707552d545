"""Builds and checks what is published: `make dist`. With `--versions`, what other versions of Python would install.

Wheel and sdist of odekit and of every plugin are built into dist/, checked by twine, and tried in environments that hold
nothing but what they declare: the command line answers, lists every plugin, and restores a face.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from declared import make_environment
from projects import DISTRIBUTIONS

ROOT = Path(__file__).parent.parent
FEW = ["--set", "restore.inverter.steps=2", "--set", "restore.enhancer=none", "--precision", "float32"]
OTHER_VERSIONS = ("3.10", "3.12", "3.13")
"""Versions of Python that are supported, beside the one that runs the tests."""


def call(*command: object, **options: object) -> str:
    """Run a command; ends the program with its output if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def build(project: Path, out: Path) -> list[Path]:
    """Wheel and sdist of a project; the wheel is built from the sdist, as a registry's users may."""
    before = set(out.glob("*"))
    call(sys.executable, "-m", "build", "--no-isolation", "-o", out, project)
    return sorted(set(out.glob("*")) - before)


def check_contents(files: list[Path]) -> None:
    """Every sdist has README and licence fields; every wheel has its package and entry points."""
    for file in files:
        if file.suffix == ".whl":
            names = zipfile.ZipFile(file).namelist()
        else:
            with tarfile.open(file) as archive:
                names = archive.getnames()
        assert any(name.endswith(("METADATA", "PKG-INFO")) for name in names), file
        if file.suffix == ".whl" and not file.name.startswith("odekit-"):
            assert any(name.endswith("entry_points.txt") for name in names), file


def try_core(wheel: Path, folder: Path) -> None:
    """The command line of a wheel, with its declared dependencies alone."""
    python = make_environment(folder, wheel)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"ODEKIT_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    assert "odekit 0" in call(python, "-m", "odekit", "--version", cwd=folder, env=env)
    assert json.loads(call(python, "-m", "odekit", "doctor", "--json", cwd=folder, env=env))["ok"]
    face = ROOT / "examples" / "damaged" / "pif_01092.png"
    call(python, "-m", "odekit", "run", "odedit", face, "-o", folder / "out", *FEW, cwd=folder, env=env)
    assert (folder / "out" / "pif_01092.png").is_file()


def try_plugin(wheel: Path, core: Path, folder: Path) -> None:
    """A plugin's wheel beside odekit's: its parts or commands are listed under its name."""
    folder.mkdir(parents=True)
    for archive in (core, wheel):
        zipfile.ZipFile(archive).extractall(folder / "site")
    dist = wheel.name.partition("-")[0].replace("_", "-")
    env = os.environ | {"PYTHONPATH": str(folder / "site"), "ODEKIT_PLUGINS": dist, "ODEKIT_HOME": str(folder / "home")}
    listed = json.loads(call(sys.executable, "-m", "odekit", "plugins", "--json", cwd=folder, env=env))
    assert not listed["failed"], listed["failed"]
    if not any(part["distribution"] == dist for part in listed["parts"]):
        shown = call(sys.executable, "-m", "odekit", "--help", cwd=folder, env=env)
        assert f"From {dist}." in shown, f"{dist} lists no part and no command"


def check_library_use() -> None:
    """Check that nothing in the source came into the language or its library after the oldest supported Python."""
    vermin = (beside_python("vermin"), "-t=3.10-", "--no-tips", "--violations", "--eval-annotations")
    call(
        *vermin,
        "--no-parse-comments",
        "odekit",
        *(next(project.glob("odekit_*")) for project in DISTRIBUTIONS),
        cwd=ROOT,
    )


def beside_python(program: str) -> Path:
    """The program of this environment."""
    return Path(sys.executable).with_name(program)


def resolve(wheels: list[Path], version: str) -> None:
    """Check that a version of Python finds wheels of everything, and that the source has no later syntax."""
    names = [f"{wheel}[all]" if wheel.name.startswith("odekit-") else str(wheel) for wheel in wheels]
    if version == "3.13":  # basicsr cannot be built there, and says so in its plugin's metadata
        names = [name for name in names if "odekit_basicsr" not in name]
    call(
        sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "-q",
        "--python-version", version, "--target", ROOT / "build" / "none", *names,
    )  # fmt: skip
    target = f"py{version.replace('.', '')}"
    call(
        beside_python("ruff"), "check", "--isolated", "--select", "E9,F", "--ignore", "F", "--target-version", target,
        "odekit", "plugins", cwd=ROOT,
    )  # fmt: skip


def main() -> None:
    """See the docstring of the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--versions", action="store_true", help="resolve for other versions of Python, by the registry")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise SystemExit(f"{out} is not empty; remove it first, so that nothing old is published")
    files = [file for project in (ROOT, *DISTRIBUTIONS) for file in build(project, out)]
    print(f"built {len(files)} files in {out}")
    call(sys.executable, "-m", "twine", "check", "--strict", *files)
    check_contents(files)
    print("twine check: passed")
    import tempfile

    wheels = [file for file in files if file.suffix == ".whl"]
    core = next(file for file in wheels if file.name.startswith("odekit-"))
    with tempfile.TemporaryDirectory() as temporary:
        try_core(core, Path(temporary) / "core")
        print("odekit: runs with its declared dependencies")
        for wheel in wheels:
            if wheel != core:
                try_plugin(wheel, core, Path(temporary) / wheel.stem)
        print(f"plugins: {len(wheels) - 1} are found")
    if options.versions:
        check_library_use()
        print("Python 3.10: no later names of the standard library")
    for version in OTHER_VERSIONS if options.versions else ():
        resolve(wheels, version)
        print(f"Python {version}: wheels of all dependencies exist, no later syntax")


if __name__ == "__main__":
    main()
