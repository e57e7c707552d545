"""The project's environment as `make install` makes it: every plugin of this repository is there and whole."""

import importlib.metadata
import json
import re

import pytest
from conftest import ROOT
from projects import APART, FOLDERS, TOGETHER, about

from odekit.parts import installed
from odekit.plugins import catalog
from odekit.plugins.discovery import discover_commands


def project(folder):
    return about(folder)["project"]


def requirements(folder):
    """The file of a project with an environment of its own."""
    return ROOT / f"requirements-{folder.name.removeprefix('odekit-')}.txt"


def wanted(text):
    """Names of distributions in a requirements file."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return {re.split(r"[=<>~! \[]", line)[0].lower().replace("_", "-") for line in lines if line}


def test_there_are_plugins():
    assert {folder.name for folder in TOGETHER} >= set(catalog.OWN_PARTS.values())


def test_odekit_plugins_lists_every_plugin_of_the_project_and_none_failed(cli):
    listed = json.loads(cli("plugins", "--json").out)
    assert listed["failed"] == {}
    known = {row["distribution"] for row in listed["parts"]} | {dist for dist, _ in discover_commands()}
    assert {folder.name for folder in TOGETHER} <= known


@pytest.mark.parametrize(("kind", "name"), catalog.OWN_PARTS, ids="-".join)
def test_a_promised_part_comes_from_the_distribution_that_is_named(kind, name):
    assert installed.catalog().get(kind, name).dist == catalog.OWN_PARTS[kind, name]


@pytest.mark.parametrize("folder", TOGETHER, ids=lambda folder: folder.name)
def test_a_plugin_is_installed_with_what_it_names(folder):
    about = project(folder)
    assert about["name"] == folder.name
    assert importlib.metadata.version(folder.name) == about["version"]
    for line in about["dependencies"]:
        name = re.split(r"[=<>~! \[;]", line)[0]
        if name != "odekit" and "sys_platform" not in line:
            importlib.metadata.version(name)


@pytest.mark.parametrize("folder", [*TOGETHER, *APART], ids=lambda folder: folder.name)
def test_what_a_plugin_needs_is_in_the_requirements(folder):
    """So that `make install` and `make test-NAME`, which install plugins without looking up their needs, give whole ones."""
    files = [requirements(folder).name] if folder in APART else ["requirements.txt", "requirements-nodeps.txt"]
    here = wanted("\n".join((ROOT / file).read_text() for file in files))
    needs = wanted("\n".join(project(folder)["dependencies"])) - {"odekit"}
    needs = {name for name in needs if not name.startswith("odekit-")}
    assert needs <= here, f"add to {files[0]}: {', '.join(sorted(needs - here))}"


@pytest.mark.parametrize("folder", APART, ids=lambda folder: folder.name)
def test_an_environment_apart_has_the_torch_of_the_common_one(folder):
    """So that results are the same."""
    own, common = (
        [line for line in file.read_text().splitlines() if line.startswith("torch")]
        for file in (requirements(folder), ROOT / "requirements.txt")
    )
    assert own[:2] == common[:2]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_plugin_is_typed_documented_and_says_its_licence(folder):
    (package,) = folder.glob("odekit_*")
    assert (package / "py.typed").is_file()
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "pip install" in text
    assert re.search(r"licen[cs]e", text, re.IGNORECASE)


def test_one_opencv_is_installed():
    """Two builds overwrite each other's files."""
    builds = ["opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"]
    found = {d.metadata["Name"] for d in importlib.metadata.distributions()} & set(builds)
    assert found == {"opencv-python-headless"}


def test_what_is_wanted_without_its_dependencies_is_there():
    text = (ROOT / "requirements-nodeps.txt").read_text()
    for name, version in re.findall(r"^([\w-]+)==([\d.]+)$", text, re.MULTILINE):
        assert importlib.metadata.version(name) == version
