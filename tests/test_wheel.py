"""The wheel works where only the dependencies are installed: chains by name, weights, templates."""

import os
import subprocess
import sys
import zipfile

import PIL.Image
import pytest
from conftest import ROOT, picture


def run(*command, cwd, env=None):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, cwd=cwd, env=os.environ | (env or {})
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, ROOT, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("odekit-*.whl")
    return path


def test_the_wheel_holds_chains_weights_templates_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [
        "configs/odedit.yaml",
        "assets/face64/diffusion_pytorch_model.safetensors",
        "assets/face64/README.md",
        "assets/face-x4/model.safetensors",
        "assets/face-x4/README.md",
        "assets/mend/model.safetensors",
        "plugins/scaffold/templates/plugin/solver.py.tmpl",
        "runs/report/viewer/run.html",
        "runs/report/viewer/run.css",
        "runs/report/viewer/run.js",
        "plugins/__init__.pyi",
        "py.typed",
    ]
    assert {f"odekit/{name}" for name in wanted} <= names
    assert not [name for name in names if name.startswith(("tests/", "plugins/", "docs/"))]


def test_the_installed_wheel_restores_a_face_by_the_name_of_a_chain(wheel, tmp_path):
    site = tmp_path / "site"
    done = run(
        sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    PIL.Image.fromarray(picture(0, 64, 64)).save(tmp_path / "face.png")
    # In isolation from the checkout: -P keeps the working folder out, and the wheel's site comes first.
    program = (
        "import sys; sys.modules.update(torchvision=None, cv2=None); import odekit; "
        f"assert odekit.__file__.startswith({str(site)!r}), odekit.__file__; from odekit.cli import main; main()"
    )
    quick = [
        "--set",
        "restore.inverter.steps=2",
        "--set",
        "restore.enhancer.levels=[0]",
        "--set",
        "restore.enhancer.iterations=1",
    ]
    done = run(
        sys.executable,
        "-c",
        program,
        "run",
        "odedit",
        "face.png",
        "-o",
        "out",
        *quick,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stderr
    assert PIL.Image.open(tmp_path / "out" / "face.png").size == (64, 64)
    made = run(sys.executable, "-c", program, "new-plugin", "odekit-mine", cwd=tmp_path, env={"PYTHONPATH": str(site)})
    assert made.returncode == 0, made.stderr
