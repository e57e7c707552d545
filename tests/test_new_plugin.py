"""`odekit new-plugin`: every kind of part starts with a project that is clean, complete and works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, picture
from test_environment import project as metadata_of

import odekit
from odekit import testing
from odekit.plugins.scaffold.write import KINDS

RUFF = Path(sys.executable).with_name("ruff")
AUTHOR = 'Ada "the \\" Lovelace'


def make(cli, folder, name, *options):
    made = cli("new-plugin", name, "-o", folder, *options)
    assert made.code == 0, made.err
    return folder / name


@pytest.fixture
def all_kinds(cli, tmp_path):
    yield make(cli, tmp_path, "odekit-mine", "--kind", ",".join(KINDS), "--author", AUTHOR)
    for name in [name for name in sys.modules if name.partition(".")[0] == "odekit_mine"]:
        sys.modules.pop(name)  # the next test makes another project of this name


def test_everything_that_a_project_of_all_kinds_registers_can_be_made_and_used(all_kinds, monkeypatch):
    monkeypatch.syspath_prepend(all_kinds)
    import odekit_mine

    parts = testing.catalog_with("odekit-mine", odekit_mine)
    assert testing.check_plugin("odekit-mine", parts)["parts"] == len(KINDS)
    testing.check_readme(all_kinds / "README.md", parts)
    items = [{"restore": {"inverter": {"use": "mine-inverter", "steps": 3}, "enhancer": {"use": "mine-enhancer", "iterations": 1}}}, "mine-stage", {"upsample": "mine-upsampler"}]  # fmt: skip
    chain = odekit.Chain(items, priors={"face": {"use": "mine-prior", "side": 8}}, parts=parts)
    result = chain.run(picture(1))
    assert result.image.width == 16 and result.record["calls"] == chain.plan().calls == 4


@pytest.mark.long
def test_a_project_of_all_kinds_passes_its_own_tests(all_kinds):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(all_kinds), str(ROOT)])}
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], cwd=all_kinds, env=environment, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout


@pytest.mark.long
def test_a_project_of_all_kinds_has_types_that_mypy_accepts(all_kinds):
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=all_kinds, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_projects_are_clean_and_complete(cli, tmp_path, all_kinds):
    for kind in KINDS:
        make(cli, tmp_path, f"odekit-one-{kind}", "--kind", kind)
    for arguments in (["check", "--select", "E,F,W,I,UP,B"], ["format", "--check"]):
        done = subprocess.run([RUFF, *arguments, "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    for project in tmp_path.glob("odekit-*"):
        files = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
        assert {"pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"} <= files
        text = (project / "pyproject.toml").read_text()
        for entry in (
            "license = ",
            "authors = ",
            "classifiers = ",
            "[project.urls]",
            "odekit>=",
            "[project.entry-points.odekit]",
        ):
            assert entry in text
        readme = (project / "README.md").read_text()
        assert "twine upload" in readme and "![" not in readme, "how to publish, and no badges"
        assert "$" not in readme + text
        assert "odekit check --conformance " in readme and "mypy" in readme
    assert AUTHOR in (all_kinds / "LICENSE").read_text() and metadata_of(all_kinds)["authors"] == [{"name": AUTHOR}]


@pytest.mark.parametrize(
    ("name", "kinds", "said"),
    [
        ("class", "solver", "'class' is not a valid project name"),
        ("numpy", "solver", "a package 'numpy' is installed already"),
        ("odekit-sdedit", "solver", "'odekit_sdedit' is installed already"),
        ("odekit-ddim", "solver", "the solver 'ddim' exists, in odekit"),
        ("odekit-codeformer2", "solvr", "--kind solvr: there is no template of it; did you mean 'solver'"),
        ("odekit-bfr", "corruption", "--kind corruption: there is no template"),
    ],
)
def test_names_that_exist_are_refused(cli, tmp_path, name, kinds, said):
    made = cli("new-plugin", name, "-o", tmp_path, "--kind", kinds)
    assert made.code == 2 and said in made.err and not list(tmp_path.iterdir())


def test_explain_shows_the_stage_of_a_plugin(all_kinds):
    (all_kinds / "chain.yaml").write_text("odekit: 1\nchain: [mine-stage]\n")
    code = (
        "import odekit_mine, sys; from odekit.parts import installed; from odekit.testing import catalog_with\n"
        "parts = catalog_with('odekit-mine', odekit_mine); installed.installed_parts = lambda: (parts, None)\n"
        "sys.argv = ['odekit', 'explain', 'chain.yaml']; from odekit.cli import main; main()"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(all_kinds), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], cwd=all_kinds, env=environment, capture_output=True, text=True)
    assert "mine-stage" in done.stdout and "mirrored: denoise" in done.stdout, done.stderr
    assert any("stage" in line and "odekit-mine" in line for line in done.stdout.splitlines()), done.stdout
