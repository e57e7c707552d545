"""What is published: metadata, links of the registry page, extras, containers. `make dist` builds and tries it."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from declared import make_environment
from projects import DISTRIBUTIONS
from ruamel.yaml import YAML
from test_environment import project

import odekit
from odekit.chains.diagnosis import EXTRAS, Finding, extra_requirements, is_broken
from odekit.core.abilities import NeedsPackages
from odekit.parts.installed import catalog

CORE = project(ROOT)
REPOSITORY = CORE["urls"]["Repository"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, ROOT], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_the_registry_page_has_absolute_links_to_files_that_exist():
    sys.path.insert(0, str(ROOT))
    from hatch_build import absolute

    page = absolute((ROOT / "README.md").read_text(), REPOSITORY)
    targets = re.findall(r"\]\(([^)#]+)", page)
    assert len(targets) > 15 and all(target.startswith("https://") for target in targets)
    raw = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main/"
    for target in targets:
        for start in (f"{REPOSITORY}/blob/main/", raw):
            if target.startswith(start):
                assert (ROOT / target.removeprefix(start)).exists(), target
    assert f"]({raw}docs/before-after.png)" in page


@pytest.mark.long
def test_the_wheel_has_this_page(wheel):
    import zipfile

    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert f"]({REPOSITORY}/blob/main/docs/plugins.md)" in metadata and "](docs/" not in metadata


@pytest.mark.parametrize("folder", [ROOT, *DISTRIBUTIONS], ids=lambda folder: folder.name)
def test_every_project_has_urls_authors_and_a_licence(folder):
    about = project(folder)
    assert about["urls"]["Repository"] == REPOSITORY and about["urls"]["Issues"] and about["authors"]
    assert about["license"] == "MIT" and about["description"]
    if folder != ROOT:
        assert any(line.startswith("odekit>=") for line in about["dependencies"])
        for target in re.findall(r"\]\(([^)#]+)", (folder / "README.md").read_text()):
            assert target.startswith("https://"), "a registry shows the README without the repository"
            if target.startswith(f"{REPOSITORY}/blob/main/"):
                assert (ROOT / target.removeprefix(f"{REPOSITORY}/blob/main/")).exists(), target


def test_no_classifier_names_a_version_of_python_that_was_never_run():
    named = set(re.findall(r"Python :: (3\.\d+)", " ".join(CORE["classifiers"])))
    assert named == {"3.11"}
    assert CORE["requires-python"] == ">=3.10"


def test_the_versions_agree_and_the_citation_is_complete():
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == CORE["version"] == odekit.__version__
    assert citation["cff-version"] == "1.2.0" and citation["repository-code"] == REPOSITORY
    for reference in citation["references"]:
        assert reference["title"] and reference["authors"] and reference["url"].startswith("https://arxiv.org/abs/")
    numbers = set(re.findall(r"arXiv:(\d+\.\d+)", (ROOT / "README.md").read_text()))
    assert numbers <= {reference["url"].rpartition("/")[2] for reference in citation["references"]}


def test_all_is_the_sum_of_the_extras():
    extras = CORE["optional-dependencies"]
    assert set(extras["all"]) == {line for name in EXTRAS for line in extras[name]}


PACKAGES = {"cv2": "opencv-python-headless", "skimage": "scikit-image", "torch_fidelity": "torch-fidelity"}


def packages_of(entry):
    """What a part with default options asks for."""
    try:
        options = odekit.Upsample("resize") if entry.name == "upsample" else entry.options()
    except odekit.OdekitError:
        return []
    return options.packages() if isinstance(options, NeedsPackages) else []


def missing_extras(wheel, folder, extras):
    python = make_environment(folder / "env", wheel, extras)
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env |= {"ODEKIT_HOME": str(folder / "home")}
    done = subprocess.run(
        [python, "-m", "odekit", "doctor", "--json"], capture_output=True, text=True, cwd=folder, env=env
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["findings"]
    return {row["name"] for row in rows if row["topic"] == "extra" and row["state"] == "missing"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_imports_that_an_extra_is_for_are_among_its_distributions(extra):
    """Every package that parts of this extra ask for (`Options.packages`) is named in it."""
    declared = " ".join(CORE["optional-dependencies"][extra])
    for entry in catalog().all():
        if entry.dist == "odekit" and f"odekit[{extra}]" in str(packages_of(entry)):
            for package in packages_of(entry):
                assert PACKAGES.get(package.module, package.module) in declared, (entry.name, package)


@pytest.mark.long
@pytest.mark.parametrize("extra", [*EXTRAS, "all"])
def test_every_extra_alone_is_complete(wheel, tmp_path, extra):
    missing = missing_extras(wheel, tmp_path, (extra,))
    assert extra not in missing and (extra != "all" or not missing)


# odekit doctor


def test_doctor_is_a_table_of_what_is_there(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "store"))
    done = cli("doctor")
    assert done.code == 0, done.err
    for word in (
        "torch",
        "odekit-sdedit",
        "photos",
        "odedit-plus",
        "cpu",
        "float32",
        str(tmp_path / "store"),
        "ODEKIT_OFFLINE",
    ):
        assert word in done.out
    rows = json.loads(cli("doctor", "--json").out)["findings"]
    states = {row["name"]: row["state"] for row in rows if row["topic"] == "chain"}
    assert states["odedit-plus"] == "ok" and states["gfpgan"] == "missing"
    (gfpgan,) = (row for row in rows if row["name"] == "gfpgan")
    assert "odekit weights pull gfpgan-1.4" in gfpgan["advice"]


def test_doctor_names_what_is_missing_and_for_what(monkeypatch):
    from odekit.chains import diagnosis

    monkeypatch.setattr(diagnosis, "_version", lambda name: "missing" if name == "matplotlib" else "1")
    rows = {row.name: row for row in diagnosis.diagnose(catalog()) if row.topic == "extra"}
    assert rows["train"].state == rows["metrics"].state == "missing" and rows["photos"].state == "ok"
    assert (
        "matplotlib, for odekit train" in rows["train"].advice and "pip install 'odekit[train]'" in rows["train"].advice
    )


def test_a_plugin_that_fails_is_a_fault_and_an_extra_is_not():
    assert is_broken([Finding("plugin", "odekit-x", "failed", "no luck")])
    assert not is_broken([Finding("extra", "train", "missing"), Finding("chain", "gfpgan", "missing")])
    assert set(extra_requirements("heif")) == {"pi-heif"}


# Containers


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_containers_copy_what_a_build_needs_and_nothing_of_the_web(name):
    lines = (ROOT / name).read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == kept and all((ROOT / path).exists() for path in copied)
    assert {"pyproject.toml", "hatch_build.py", "odekit", "configs"} <= copied
    assert not any(word in line for line in lines for word in ("curl", "wget", "git clone", "apt-get"))


@pytest.mark.long
def test_what_a_container_copies_is_enough_for_a_build(wheel, tmp_path):
    """The build step of the Dockerfiles, without docker: the same wheel comes out of the copied files alone."""
    import shutil
    import zipfile

    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    done = subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path / "out", tmp_path], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (tmp_path / "out").glob("*.whl")
    assert set(zipfile.ZipFile(built).namelist()) == set(zipfile.ZipFile(wheel).namelist())
