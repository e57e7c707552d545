"""The project's environment as `make install` makes it: every plugin of this repository is there and whole."""

import importlib.metadata
import json
import re
import sys

import pytest
from conftest import ROOT

from odekit.parts import installed
from odekit.plugins import catalog

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def wanted(text):
    """Names of distributions in a requirements file."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    return {re.split(r"[=<>~! \[]", line)[0].lower().replace("_", "-") for line in lines if line}


def test_there_are_plugins():
    assert {folder.name for folder in PLUGINS} >= set(catalog.OWN_PARTS.values())


def test_odekit_plugins_lists_every_plugin_of_the_project_and_none_failed(cli):
    listed = json.loads(cli("plugins", "--json").out)
    assert listed["failed"] == {}
    assert {folder.name for folder in PLUGINS} <= {row["distribution"] for row in listed["parts"]}


@pytest.mark.parametrize(("kind", "name"), catalog.OWN_PARTS, ids="-".join)
def test_a_promised_part_comes_from_the_distribution_that_is_named(kind, name):
    assert installed.catalog().get(kind, name).dist == catalog.OWN_PARTS[kind, name]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_is_installed_with_what_it_names(folder):
    about = project(folder)
    assert about["name"] == folder.name
    assert importlib.metadata.version(folder.name) == about["version"]
    for line in about["dependencies"]:
        name = re.split(r"[=<>~! \[;]", line)[0]
        if name != "odekit" and "sys_platform" not in line:
            importlib.metadata.version(name)


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_what_a_plugin_needs_is_in_the_requirements(folder):
    """So that `make install`, which installs plugins without looking up their needs, gives a working one."""
    here = wanted((ROOT / "requirements.txt").read_text()) | wanted((ROOT / "requirements-nodeps.txt").read_text())
    needs = wanted("\n".join(project(folder)["dependencies"])) - {"odekit"}
    needs = {name for name in needs if not name.startswith("odekit-")}
    assert needs <= here, f"add to requirements.txt: {', '.join(sorted(needs - here))}"


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
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
