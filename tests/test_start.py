"""Start-up: what must stay free of torch, torchvision and OpenCV."""

import gc
import subprocess
import sys
import weakref

import pytest
from conftest import EXACT, picture

from benchmarks.first_call import WHOLE, first_call
from benchmarks.first_call_process import PARTS
from odekit.cli import startup
from odekit.cli.startup import pause_gc, resume_gc

FREE = ["import odekit", "from odekit.cli import main; main()"]


def loaded_modules(code, *args):
    watch = f"import sys, atexit\natexit.register(lambda: sys.stderr.write('MODULES ' + ' '.join(sorted(sys.modules))))\n{code}"
    done = subprocess.run([sys.executable, "-c", watch, *map(str, args)], capture_output=True, text=True, check=False)
    return done.returncode, set(done.stderr.rpartition("MODULES ")[2].split())


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["plugins"], ["check", "odedit"], ["explain", "odedit"], ["explain", "sdedit"], ["weights", "list"]], ids=" ".join)  # fmt: skip
def test_commands_without_networks_do_not_import_torch(args):
    code, modules = loaded_modules(FREE[1], *args)
    assert code == 0
    assert "odekit" in modules
    assert not modules & {"torch", "diffusers", "scipy", "skimage", "matplotlib"}


def test_importing_odekit_loads_neither_torch_nor_numpy():
    code, modules = loaded_modules(FREE[0])
    assert code == 0
    assert not modules & {"torch", "numpy", "pydantic", "PIL"}


def test_a_run_on_the_built_in_prior_loads_torch_and_no_other_large_library(tmp_path):
    """The diffusers library alone would take twice as long to import as torch."""
    import PIL.Image

    PIL.Image.fromarray(picture(0, 64, 64)).save(tmp_path / "face.png")
    settings = ["--set", "restore.inverter.steps=2", "--set", "restore.enhancer=none"]
    code, modules = loaded_modules(FREE[1], "run", "odedit", tmp_path / "face.png", "-o", tmp_path / "out", *settings)
    assert code == 0 and "torch" in modules
    slow = {
        "diffusers",
        "transformers",
        "peft",
        "torch._dynamo",
        "torchvision",
        "scipy",
        "skimage",
        "matplotlib",
        "cv2",
    }
    assert not modules & slow


@pytest.fixture
def starting(monkeypatch):
    """This process has run no command yet."""
    monkeypatch.setattr(startup, "_frozen", False)
    yield
    gc.unfreeze()


def test_garbage_is_not_looked_for_while_a_run_starts_and_is_afterwards(starting):
    assert gc.isenabled()
    with pause_gc(False):
        assert gc.isenabled()
    with pause_gc():
        assert not gc.isenabled()
        resume_gc()
        assert gc.isenabled()


def test_garbage_is_looked_for_after_a_start_that_fails(starting):
    with pytest.raises(ValueError, match="the run fails"), pause_gc():
        raise ValueError("the run fails")
    assert gc.isenabled()


def test_whoever_wants_no_collection_keeps_none(starting):
    gc.disable()
    try:
        with pause_gc():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_second_command_of_a_process_does_not_keep_the_garbage_of_the_first(starting):
    class Cycle:
        def __init__(self):
            self.itself = self

    with pause_gc():
        pass
    garbage = weakref.ref(Cycle())
    with pause_gc():
        assert gc.isenabled()
    gc.collect()
    assert garbage() is None


def test_the_start_is_measured_part_by_part_until_the_first_network_call():
    table = first_call("odedit-fast", runs=1)
    rows = {row["part"]: row for row in table.rows}
    assert tuple(rows) == (*PARTS, WHOLE)
    for clock in ("processor", "wall"):
        assert rows[WHOLE][clock] == pytest.approx(sum(rows[part][clock] for part in PARTS))
    assert rows["torch"]["processor"] > rows["pictures"]["processor"]
    assert table.goals[0].value == rows[WHOLE]["processor"]


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
