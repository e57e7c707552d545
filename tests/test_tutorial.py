"""The tutorial of docs/plugins.md, followed word for word: a solver from a notebook cell to a published project."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
from conftest import ROOT, picture

from odekit.parts.installed import catalog

PAGE = (ROOT / "docs" / "plugins.md").read_text()
TUTORIAL = PAGE.partition("## Tutorial")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SHELL = [text for language, text in BLOCKS if language == "sh"]
CELLS, (SOLVER_FILE,) = PYTHON[:-1], PYTHON[-1:]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the notebook, with a face and a few more."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "faces").mkdir()
    for number in range(2):
        PIL.Image.open(sorted((ROOT / "examples" / "clean").glob("*.png"))[number]).save(
            folder / "faces" / f"{number}.png"
        )
    PIL.Image.fromarray(picture(1, 64, 64)).save(folder / "face.png")
    return folder


def quick(cell):
    """The same cell with a prior of 8 pixels, which takes milliseconds."""
    return cell.replace(
        '"restore.inverter.steps=10"]', '"restore.inverter.steps=4", "priors.face=mixture", "restore.enhancer=none"]'
    )


def test_the_cells_of_the_notebook_run(place, monkeypatch):
    monkeypatch.chdir(place)
    before = {key: list(entries) for key, entries in catalog().entries.items()}
    # A notebook keeps the source of its cells; a file does the same.
    notebook = place / "notebook.py"
    notebook.write_text("\n\n".join(quick(cell) for cell in CELLS))
    names = {"__name__": "__main__", "__file__": str(notebook)}
    try:
        for cell in CELLS:
            exec(compile(quick(cell), str(notebook), "exec"), names)
        exec(compile(CELLS[0], str(notebook), "exec"), names)  # runs twice
    finally:
        catalog().entries = before
    result = names["result"]
    assert result.record["calls"] == 16 and result._repr_png_().startswith(b"\x89PNG")
    assert result.record["depends"]["parts"]["solver midpoint"]["dist"] == "session"


def test_the_project_of_the_page_conforms_and_is_clean(cli, tmp_path, monkeypatch):
    """The steps that make the project, without installing and building it."""
    make, rename = SHELL[0], SHELL[1]
    words = shlex.split(make.splitlines()[0])
    assert cli(*words[1:], "-o", tmp_path).code == 0
    project = tmp_path / "odekit-midpoint"
    (project / "odekit_midpoint" / "solver.py").write_text(SOLVER_FILE)
    for line in rename.splitlines()[:2]:
        assert line.startswith("sed -i")
        subprocess.run(["bash", "-c", line], cwd=project, check=True)
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *arguments, "odekit_midpoint", "tests"], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
    monkeypatch.syspath_prepend(project)
    import odekit_midpoint
    from odekit_midpoint.solver import Midpoint

    from odekit import testing

    parts = testing.catalog_with("odekit-midpoint", odekit_midpoint)
    assert testing.check_plugin("odekit-midpoint", parts)["parts"] == 1
    assert (
        parts.get("solver", "midpoint").load() is Midpoint
        and parts.get("solver", "midpoint").summary == "explicit midpoint"
    )
    assert "check_solver(Midpoint)" in (project / "tests" / "test_odekit_midpoint.py").read_text()
    assert round(testing.observed_order(Midpoint, False)) == 2


@pytest.fixture(scope="module")
def shell(place):
    """Follow the commands of the page in order; returns what each block printed."""
    folder, site = place, place / "site"
    python = shlex.quote(sys.executable)
    head = (
        f'odekit() {{ {python} -m odekit "$@"; }}; pytest() {{ {python} -m pytest -q -p no:cacheprovider "$@"; }}\n'
        f'python() {{ {python} "$@" --no-isolation; }}; twine() {{ {python} -m twine "$@"; }}\n'
        f'pip() {{ {python} -m pip "$@" -q --no-build-isolation --no-index --target {shlex.quote(str(site))}; }}\nset -e\n'
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    environment["ODEKIT_HOME"] = str(place / "home")
    printed = []
    for block in SHELL:
        text = block.replace("pip install --no-deps -e .", "pip install --no-deps .")
        done = subprocess.run(["bash", "-c", head + text], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout + done.stderr)
        if "cd odekit-midpoint" in block:
            folder = place / "odekit-midpoint"
            (folder / "odekit_midpoint" / "solver.py").write_text(SOLVER_FILE)
            (sweep,) = (text for language, text in BLOCKS if language == "yaml")
            (folder / "compare.yaml").write_text(sweep)
    return printed


@pytest.mark.long
def test_the_project_passes_its_tests_is_known_to_commands_and_builds(shell, place):
    _, tested, known, _, built = shell
    assert "2 passed" in tested
    assert "explicit midpoint" in known and "every check passed" in known and "order going up" in known
    record = json.loads((place / "odekit-midpoint" / "out" / "face.png.json").read_text())
    assert record["depends"]["parts"]["solver midpoint"] == {
        "dist": "odekit-midpoint",
        "version": "0.1.0",
        "results": None,
    }
    assert "midpoint" in (place / "odekit-midpoint" / "compare" / "sweep.md").read_text()
    assert built.count("PASSED") == 2 and len(list((place / "odekit-midpoint" / "dist").iterdir())) == 2


@pytest.mark.long
def test_the_changed_project_is_still_clean(shell, place):
    project = place / "odekit-midpoint"
    ruff = Path(sys.executable).with_name("ruff")
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *arguments, project / "odekit_midpoint", project / "tests"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout
