"""The wheel works where only the dependencies are installed: chains by name, weights, templates."""

import json
import os
import subprocess
import sys
import zipfile

import PIL.Image
import pytest
from conftest import ROOT, picture
from declared import make_environment

import odekit
from odekit.core.image import Metadata


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
        "plugins/scaffold/templates/solver/part.py.tmpl",
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
        "--precision",
        "float32",
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


FEW = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]
"""Settings that make a chain with fixed strength quick."""
ALIGNED = {
    "odedit": FEW, "odedit-exact": FEW, "odedit-paper": FEW, "odedit-auto": [], "odedit-plus": [], "blind": [],
    "odedit-fast": ["restore.inverter.steps=4"],
    "code": ["restore.inverter.steps=6", "restore.enhancer.levels=[1]", "restore.enhancer.iterations=4"],
}  # fmt: skip
"""The shipped chains of aligned faces."""
PROGRAM = """\
import json, sys
import odekit

assert odekit.__file__.startswith(sys.prefix), odekit.__file__
picture = odekit.read(sys.argv[1])
errors = {}
for name, settings in json.loads(sys.argv[2]).items():
    chain = odekit.Chain.load(name, settings)
    large = picture.with_pixels(picture.pixels.repeat(4, 1).repeat(4, 2))  # is checked for faces in it
    for image in [picture, large] if name == "odedit-plus" else [picture]:
        error = chain.run([image], device="cpu", precision="float32", batch_size=1)[0].error
        if error is not None:
            errors[name] = f"{type(error).__name__}: {error}"
print(json.dumps(errors))
"""


def in_environment(python, *command, cwd):
    """Run a Python in which nothing but its own packages is found."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ODEKIT_PLUGINS"))}
    env |= {"PATH": f"{python.parent}{os.pathsep}{env['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([str(c) for c in (python, *command)], capture_output=True, text=True, cwd=cwd, env=env)


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and the dependencies that it declares, no extra."""
    return make_environment(tmp_path_factory.mktemp("core") / "env", wheel)


@pytest.fixture(scope="module")
def with_photos(wheel, tmp_path_factory):
    """The Python of an environment with the wheel and the extra `photos`."""
    return make_environment(tmp_path_factory.mktemp("photos") / "env", wheel, ("photos",))


def test_the_environment_holds_what_is_declared_and_nothing_else(core, with_photos, tmp_path):
    names = ["scipy", "diffusers", "cv2", "skimage", "pytest", "spandrel", "matplotlib"]
    program = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    assert in_environment(core, "-c", program, cwd=tmp_path).stdout.strip() == "['scipy', 'diffusers']"
    found = in_environment(with_photos, "-c", program, cwd=tmp_path).stdout.strip()
    assert found == "['scipy', 'diffusers', 'cv2', 'skimage']"


def test_chains_of_aligned_faces_run_with_the_declared_dependencies(core, tmp_path):
    face = ROOT / "examples" / "damaged" / "pif_01096.png"
    done = in_environment(core, "-c", PROGRAM, face, json.dumps(ALIGNED), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
    listed = in_environment(core, "-m", "odekit", "plugins", "--json", cwd=tmp_path)
    shipped = {*json.loads(listed.stdout)["chains"]}
    assert shipped == {*ALIGNED, "photo", "old-photo"}, "every shipped chain is tried here or below"


def test_the_command_line_reads_and_writes_every_core_format_with_the_declared_dependencies(core, tmp_path):
    names = ["a.png", "b.jpg", "c.webp", "d.tif", "e.bmp"]
    for name in names:
        PIL.Image.fromarray(picture(0, 64, 64)).save(tmp_path / name)
    deep = Metadata(bits=16)  # which Pillow does not write
    for name, kind in (("f.png", "png"), ("g.tif", "tiff")):
        odekit.write(odekit.Image.from_uint8(picture(1, 64, 64), deep), tmp_path / name, format=kind)
        names.append(name)
    settings = [text for setting in FEW for text in ("--set", setting)]
    done = in_environment(
        core, "-m", "odekit", "run", "odedit", *names, "-o", "out", "--report", "--json", "--precision", "float32",
        *settings, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["restored"]) == 7 and (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(("chain", "package"), [("photo", "cv2"), ("old-photo", "skimage")])
def test_chains_of_photographs_name_the_extra_that_they_need(core, tmp_path, chain, package):
    photo = ROOT / "examples" / "photos" / "portrait.jpg"
    for command in (["check", chain], ["run", chain, photo, "-o", "out", "--precision", "float32"]):
        done = in_environment(core, "-m", "odekit", *command, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        *progress, line = done.stderr.splitlines()
        assert "pip install 'odekit[photos]'" in line and f"{package} (for the " in line
        assert set(progress) <= {"odekit: starting"}


def test_chains_of_photographs_run_with_the_extra(with_photos, tmp_path):
    photo = PIL.Image.open(ROOT / "examples" / "photos" / "portrait.jpg")
    photo.thumbnail((360, 360))
    photo.save(tmp_path / "photo.jpg")
    for chain in ("photo", "old-photo"):
        assert in_environment(with_photos, "-m", "odekit", "check", chain, cwd=tmp_path).returncode == 0
        done = in_environment(
            with_photos, "-m", "odekit", "run", chain, "photo.jpg", "-o", chain, "--require-face", "--json",
            "--precision", "float32", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["restored"]
