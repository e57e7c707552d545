"""Module paths used before version 0.2: each works and warns once, for older plugins."""

import importlib
import subprocess
import sys

import pytest

import odekit
from odekit import testing
from odekit.core.aliases import MOVED, RENAMED
from odekit.plugins.discovery import build

NAMES = {
    "builtin": "odekit_parts",
    "interfaces": "Prior Field Carry Solver Latent Inverter Pins Enhancer Adaptive Fitted Watch UpsamplerSpec Upsampler"
    " Face FaceDetector FaceMask Corruption Metric Tools StageContext Stage State",
    "options": "Options Uses Part option_tree plain nested inner_models PriorRef SolverRef InverterRef EnhancerRef UpsamplerRef",
    "image": "Pixels Metadata Image quantise fingerprint",
    "rng": "Noise stream ImageNoise Replay Silence sent over BatchNoise WholeNoise Rng",
    "schedule": "NoiseSchedule signal sigma",
    "grids": "GridName Levels make_grid",
    "arithmetic": "arithmetic switched set_switches",
    "registry": "Catalog PluginCatalog Entry Weights Factory resolve KINDS OURS OUR_CHAINS nearest meant discover build loaded catalog",
    "hookspecs": "hookspec hookimpl odekit_parts odekit_stage_done",
    "safeload": "PICKLED WRAPPERS sha256 load_tensors unwrap check_finite fit check_layout",
    "goldens": "DERIVED RULES Layout Arrays Golden name_of leaves fill statistics deviation",
    "io": "FORMATS SUFFIXES encode endings place read read_with_digest with_ending write",
    "engine": "Batches Engine",
    "work": "Read read_input Output Finished write_result stays_inside",
    "session": "WINDOW Toolbox Session SubChain",
    "chain": "Result Chain find_chain restore",
    "upsamplers.aligned": "LEAST SQUARE AlignedUpsampler is_square bilinear",
    "upsamplers.compact": "Compact",
    "upsamplers.face_x4": "WEIGHTS FaceX4 Shape FaceX4Upsampler locate read_shape",
    "upsamplers.files": "SUFFIXES weights_file",
    "upsamplers.guarded": "Guarded finite_rows",
    "upsamplers.recognise": "SYSTEMS system_of fit_system other_system",
    "upsamplers.resize": "Filter Resize ResizeUpsampler resized resample area_resized",
}
"""The public names of each old module as of commit af37dcc; `registry.Claim` and `interfaces.Facts` are gone for good."""


@pytest.fixture(autouse=True)
def forgotten():
    """Every test imports the old modules anew."""
    yield
    for name in [name for name in sys.modules if name.removeprefix("odekit.") in MOVED and name != "odekit"]:
        del sys.modules[name]
        vars(odekit).pop(name.removeprefix("odekit."), None)


@pytest.mark.parametrize("old", sorted(NAMES))
def test_an_old_path_warns_once_where_it_is_imported_and_has_its_names(old):
    with pytest.warns(FutureWarning, match=f"'odekit.{old}' has moved: write 'from {MOVED[old][0]} import") as seen:
        module = importlib.import_module(f"odekit.{old}")
    assert len(seen) == 1
    for name in NAMES[old].split():
        assert getattr(module, name) is not None
    assert importlib.import_module(f"odekit.{old}") is module


def test_all_moved_paths_are_tried_and_the_real_modules_stay():
    assert set(NAMES) | {"upsamplers"} == set(MOVED)
    assert len({old.split(".")[0] for old in MOVED}) == 18
    code = "import odekit.errors, odekit.core.noise, odekit.chains.session, odekit.parts.upsamplers.aligned"
    done = subprocess.run([sys.executable, "-W", "error::FutureWarning", "-c", code], check=False)
    assert done.returncode == 0


OLD_PLUGIN = """
from odekit import io
from odekit.arithmetic import arithmetic
from odekit.interfaces import Tools, UpsamplerSpec
from odekit.io import place, read, write
from odekit.registry import PluginCatalog, build, catalog
from odekit.rng import BatchNoise, Silence
from odekit.safeload import fit, load_tensors, sha256
from odekit.upsamplers.aligned import AlignedUpsampler
from odekit.upsamplers.files import weights_file
from odekit.upsamplers.recognise import fit_system
from odekit.upsamplers.resize import resized
import odekit.grids
from odekit.schedule import *
assert NoiseSchedule and odekit.grids.make_grid
import odekit.plugins as new
assert (arithmetic, Silence, sha256, resized) == (new.precision, new.ZeroNoise, new.sha256, new.resized)
assert (read, io.write) == (odekit.read, odekit.write)
assert catalog().get("solver", "ddim").dist == "odekit"
"""


def test_lines_of_an_old_plugin_run_and_each_module_warns_on_its_line(tmp_path):
    (tmp_path / "plugin.py").write_text(OLD_PLUGIN)
    done = subprocess.run(
        [sys.executable, "-W", "always", tmp_path / "plugin.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "FutureWarning" in line]
    assert len(said) == 12 and all(str(tmp_path / "plugin.py") in line for line in said)


@pytest.mark.parametrize("old", sorted(testing.RENAMED))
def test_an_old_name_of_the_conformance_kit_warns_once(old):
    vars(testing).pop(old, None)
    with pytest.warns(FutureWarning, match=f"'odekit.testing.{old}' is now '{testing.RENAMED[old]}'") as warned:
        current = [getattr(testing, old) for _ in range(2)]
    assert current == 2 * [getattr(testing, testing.RENAMED[old])] and len(warned) == 1
    vars(testing).pop(old)


def test_the_tests_of_an_older_generated_plugin_find_the_built_in_parts():
    with pytest.warns(FutureWarning, match="'odekit.builtin' has moved"):
        from odekit import builtin
    parts, _ = build([("odekit", builtin)])
    assert parts.get("solver", "ddim").dist == "odekit"


def test_a_name_that_is_gone_says_where_to_look():
    with pytest.warns(FutureWarning), pytest.raises(ImportError, match="Claim"):
        from odekit.registry import Claim  # noqa: F401
    with pytest.raises(AttributeError, match=r"has no attribute 'Claim'; import from 'odekit\.plugins'"):
        importlib.import_module("odekit.registry").Claim  # noqa: B018


def test_renamed_names_have_one_old_home():
    for old in RENAMED:
        modules = [module for module, names in NAMES.items() if old in names.split()]
        homes = {m: [importlib.import_module(f"odekit.{home}") for home in MOVED[m][1].split()] for m in modules}
        renamed_in = [m for m in modules if not any(old in vars(home) for home in homes[m])]
        assert len(renamed_in) == 1, old


def test_other_paths_stay_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("odekit.nothing")
