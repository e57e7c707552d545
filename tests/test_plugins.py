"""Plugins: a stranger's project used from YAML, a generated project, clashes, failures, discovery."""

import json
import os
import subprocess
import sys
import types

import pytest
from conftest import EXACT, ROOT, picture

import odekit
from odekit import hookimpl
from odekit.core.image import Image
from odekit.core.options import Options
from odekit.errors import ConfigError, PluginError
from odekit.parts import builtin, installed
from odekit.plugins import discovery
from odekit.plugins.discovery import build
from odekit.testing import check_inverter, check_solver, check_upsampler


def install(project, target):
    """pip install a project into a folder, with nothing but what is here already."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        target,
        project,
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return {"PYTHONPATH": str(target)}


def run(*command, extra=None, cwd=None):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, env=os.environ | (extra or {}), cwd=cwd
    )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return install(ROOT / "tests" / "third_party" / "stranger-parts", tmp_path_factory.mktemp("site"))


def test_a_strangers_solver_and_upsampler_are_used_from_yaml(stranger, tmp_path):
    chain = tmp_path / "theirs.yaml"
    chain.write_text(
        EXACT.replace("steps: 10}", "steps: 10, solver: {use: ralston, at: 1.0}}")
        + "  - upsample: {use: nearest, scale: 3}\n"
    )
    odekit.write(Image.from_uint8(picture(0)), tmp_path / "face.png", format="png")
    program = "from odekit.cli import main; main()"
    done = run(
        sys.executable,
        "-c",
        program,
        "run",
        chain,
        tmp_path / "face.png",
        "-o",
        tmp_path / "out",
        "--json",
        extra=stranger,
    )
    assert done.returncode == 0, done.stderr
    assert odekit.read(tmp_path / "out" / "face.png").width == 24
    # Twice 10 steps of 2 calls, and 8 Langevin updates.
    assert json.loads(done.stdout)["calls_per_image"] == 48
    measured = run(sys.executable, "-m", "benchmarks", "order", "--solver", "ralston", "--json", extra=stranger)
    assert [goal["reached"] for goal in json.loads(measured.stdout)["goals"]] == [True, True, True], measured.stderr
    listed = run(sys.executable, "-c", program, "plugins", "--json", extra=stranger)
    rows = {(row["kind"], row["name"]): row for row in json.loads(listed.stdout)["parts"]}
    assert rows["solver", "ralston"]["distribution"] == "stranger-parts"
    assert rows["upsampler", "nearest"]["licence"] == "BSD-3-Clause"


def test_a_strangers_parts_pass_the_conformance_kit(stranger, monkeypatch):
    monkeypatch.syspath_prepend(stranger["PYTHONPATH"])
    from stranger_parts.parts import Nearest, Ralston

    check_solver(Ralston)
    check_upsampler(Nearest)


def test_a_generated_project_passes_its_own_tests(cli, tmp_path):
    made = cli("new-plugin", "odekit-mine", "-o", tmp_path)
    assert made.code == 0, made.err
    where = install(tmp_path / "odekit-mine", tmp_path / "site")
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        tmp_path / "odekit-mine" / "tests",
        extra=where,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("name", ["Bad", "../up", "a b", "", "-x"])
def test_a_project_needs_a_proper_name(cli, tmp_path, name):
    assert "is no name for a project" in cli("new-plugin", "--folder", tmp_path, "--", name).err


def test_an_existing_folder_is_not_overwritten(cli, tmp_path):
    cli("new-plugin", "odekit-mine", "-o", tmp_path)
    again = cli("new-plugin", "odekit-mine", "-o", tmp_path)
    assert again.code == 2
    assert "exists and is not empty" in again.err


def module(register):
    plugin = types.ModuleType("a_plugin")
    plugin.odekit_parts = hookimpl(register)
    return plugin


def solver_named(name):
    return module(lambda catalog: catalog.solver(name, "odekit.parts.solvers.ddim:Ddim", summary="x"))


def test_built_in_parts_come_through_the_same_hook():
    catalog, manager = build([("odekit", builtin)])
    assert manager.get_plugin("odekit:odekit") is builtin
    assert {"ode", "ddim", "langevin", "resize", "face64"} <= {entry.name for entry in catalog.all()}


def test_two_plugins_with_one_name_are_both_named_and_can_be_told_apart():
    catalog, _ = build([("odekit", builtin), ("alpha", solver_named("mine")), ("beta", solver_named("mine"))])
    with pytest.raises(ConfigError, match="two plugins offer the solver 'mine': alpha and beta; write 'beta:mine'"):
        catalog.get("solver", "mine")
    assert catalog.get("solver", "alpha:mine").dist == "alpha"
    chain = odekit.Chain([odekit.Restore(inverter={"solver": "beta:mine"})], parts=catalog)
    assert chain.spec.items[0].options.inverter.options.solver.name == "beta:mine"


def test_a_plugin_cannot_take_a_built_in_name_silently():
    catalog, _ = build([("odekit", builtin), ("alpha", solver_named("ddim"))])
    with pytest.raises(ConfigError, match="odekit and alpha"):
        catalog.get("solver", "ddim")


class Point:
    """An entry point that fails to import."""

    name = "broken"

    def load(self):
        raise ImportError("no module named 'left_pad'")


def test_a_plugin_that_fails_to_import_is_named_and_breaks_nothing():
    catalog, _ = build([("odekit", builtin), ("odekit-broken", Point()), ("alpha", solver_named("mine"))])
    assert catalog.broken == {"odekit-broken": "ImportError: no module named 'left_pad'"}
    assert catalog.get("solver", "mine").dist == "alpha"
    with pytest.raises(ConfigError, match="plugin odekit-broken failed: ImportError: no module named 'left_pad'"):
        catalog.get("solver", "from-broken")


def test_a_plugin_that_fails_while_registering_is_named():
    def register(catalog):
        catalog.solver("fine", "odekit.parts.solvers.ddim:Ddim")
        catalog.solvent("wrong", "x:y")

    catalog, _ = build([("odekit", builtin), ("alpha", module(register))])
    assert "a catalogue has no 'solvent'; did you mean 'solver'?" in catalog.broken["alpha"]


def test_a_factory_that_cannot_be_loaded_is_named():
    catalog, _ = build(
        [("odekit", builtin), ("alpha", module(lambda catalog: catalog.solver("gone", "no_such_module:Solver")))]
    )
    with pytest.raises(PluginError, match="solver 'gone' of alpha cannot be loaded from 'no_such_module:Solver'"):
        catalog.get("solver", "gone").load()


@pytest.mark.parametrize(
    "value, found",
    [("none", False), ("", False), ("odekit-sdedit", True), ("sdedit", True), ("other", False), (None, True)],
)
def test_an_environment_variable_limits_discovery(monkeypatch, value, found):
    monkeypatch.delenv("ODEKIT_PLUGINS", raising=False)
    if value is not None:
        monkeypatch.setenv("ODEKIT_PLUGINS", value)
    assert ("odekit-sdedit" in [dist for dist, _ in discovery.discover()]) is found


def test_whoever_implements_the_hook_is_told_of_every_stage(monkeypatch):
    told = []

    class Listener:
        @hookimpl
        def odekit_stage_done(self, stage, before, after, context):
            told.append((stage, len(before), len(after), context.place))

    catalog, manager = build([("odekit", builtin), ("listener", Listener())])
    monkeypatch.setattr("odekit.parts.installed.loaded", lambda: (catalog, manager))
    chain = odekit.Chain([odekit.Upsample("resize"), odekit.Save()])
    chain.run([Image.from_uint8(picture(0))])
    assert told == [("upsample", 1, 1, "0"), ("save", 1, 1, "1")]


def test_a_part_that_fails_on_one_picture_does_not_stop_the_others():
    class Picky:
        spec = None

        def __init__(self, options, tools):
            pass

        def upsample(self, images, rng):
            if any(image.width == 9 for image in images):
                raise RuntimeError("I do not like nine")
            return list(images)

    plugin = module(lambda catalog: catalog.upsampler("picky", Picky, Options))
    catalog, _ = build([("odekit", builtin), ("alpha", plugin)])
    results = odekit.Chain([odekit.Upsample("picky")], parts=catalog).run(
        [Image.from_uint8(picture(0, s, s)) for s in (8, 9, 10)]
    )
    assert [result.error is None for result in results] == [True, False, True]


def test_the_ode_inverter_takes_any_registered_inverters_rules():
    entry = installed.catalog().get("inverter", "ode")

    def make(prior):
        from odekit.chains.tools import Toolbox

        tools = Toolbox(installed.catalog(), "cpu", "float32", prior)
        return tools.make(odekit.Chain([odekit.Restore(inverter=odekit.Ode(steps=12))]).spec.items[0].options.inverter)

    assert entry.dist == "odekit"
    check_inverter(make)
