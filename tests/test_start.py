"""Start-up: what must stay free of torch, torchvision and OpenCV."""

import subprocess
import sys

import pytest
from conftest import EXACT, picture

FREE = ["import odekit", "from odekit.cli import main; main()"]


def loaded_modules(code, *args):
    watch = f"import sys, atexit\natexit.register(lambda: sys.stderr.write('MODULES ' + ' '.join(sorted(sys.modules))))\n{code}"
    done = subprocess.run([sys.executable, "-c", watch, *map(str, args)], capture_output=True, text=True, check=False)
    return done.returncode, set(done.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["plugins"], ["check", "odedit"], ["explain", "odedit"], ["explain", "sdedit"], ["weights", "list"]], ids=" ".join)  # fmt: skip
def test_commands_that_look_only_load_no_torch(args):
    code, modules = loaded_modules(FREE[1], *args)
    assert code == 0
    assert "odekit" in modules
    assert not modules & {"torch", "diffusers", "scipy", "skimage", "matplotlib"}


def test_importing_odekit_loads_neither_torch_nor_numpy():
    code, modules = loaded_modules(FREE[0])
    assert code == 0
    assert not modules & {"torch", "numpy", "pydantic", "PIL"}


def test_the_core_runs_without_torchvision_and_opencv(tmp_path):
    import PIL.Image

    (tmp_path / "exact.yaml").write_text(
        EXACT.replace("{face: {use: mixture, side: 8}}", "{face: face64}")
        .replace("steps: 10", "steps: 2")
        .replace("[0, 3]", "[0]")
    )
    PIL.Image.fromarray(picture(0, 64, 64)).save(tmp_path / "face.png")
    block = "import sys\nsys.modules.update(dict.fromkeys(['torchvision', 'cv2', 'transformers', 'accelerate']))\nfrom odekit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", block, "run", tmp_path / "exact.yaml", tmp_path / "face.png", "-o", tmp_path / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "face.png").exists()
