"""Plugins: an example plugin used from YAML, a generated project, clashes, failures, discovery."""

import importlib
import json
import os
import subprocess
import sys
import types

import numpy as np
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
from odekit.testing import catalog_with, check_inverter, check_solver, check_upsampler


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
    return {"PYTHONPATH": os.pathsep.join([str(target), str(ROOT), os.environ.get("PYTHONPATH", "")])}


def run(*command, extra=None, cwd=None):
    return subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, env=os.environ | (extra or {}), cwd=cwd
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that the example plugin is installed into."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="module")
def example_plugin(site):
    return install(ROOT / "tests" / "third_party" / "example-plugin", site)


@pytest.fixture
def example_catalog(site, example_plugin, monkeypatch):
    """A catalogue in this process with the built-in parts and those of the example plugin."""
    monkeypatch.syspath_prepend(str(site))
    return catalog_with("example-plugin", importlib.import_module("example_parts"))


def test_the_solver_and_upsampler_of_a_plugin_are_used_from_yaml(example_plugin, tmp_path):
    chain = tmp_path / "chain.yaml"
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
        extra=example_plugin,
    )
    assert done.returncode == 0, done.stderr
    assert odekit.read(tmp_path / "out" / "face.png").width == 24
    # Twice 10 steps of 2 calls, and 8 Langevin updates.
    assert json.loads(done.stdout)["calls_per_image"] == 48
    measured = run(
        sys.executable, "-c", program, "check", "--conformance", "solver:ralston", "--set", "at=0.75", "--json",
        extra=example_plugin,
    )  # fmt: skip
    figures = json.loads(measured.stdout)["figures"]
    assert figures["order going up"] == pytest.approx(2, abs=0.1) and figures["network calls per step"] == 2
    listed = run(sys.executable, "-c", program, "plugins", "--json", extra=example_plugin)
    rows = {(row["kind"], row["name"]): row for row in json.loads(listed.stdout)["parts"]}
    assert rows["solver", "ralston"]["distribution"] == "example-plugin"
    assert rows["upsampler", "nearest"]["licence"] == "BSD-3-Clause"


def test_the_parts_of_a_plugin_pass_the_conformance_kit(example_catalog):
    from example_parts.parts import Nearest, Ralston

    check_solver(Ralston)
    check_upsampler(Nearest)


MIRROR = """\
odekit: 1
priors: {face: {use: mixture, side: 8}, other: {use: gaussian, side: 8}}
chain:
  - mirror:
      each:
        - restore: {prior: face, inverter: {steps: 10}, enhancer: none, aligned: trust}
        - estimate: {prior: other, timestep: 50}
"""


def test_a_plugin_stage_holds_a_sub_chain_and_another_names_a_prior(example_catalog, tmp_path):
    (tmp_path / "mirror.yaml").write_text(MIRROR)
    chain = odekit.Chain.load(tmp_path / "mirror.yaml", parts=example_catalog)
    plan = chain.plan()
    assert [(s.place, s.name, s.calls) for s in plan.stages] == [
        ("0", "mirror", 0), ("0.each.0", "restore", 40), ("0.each.1", "estimate", 2),
    ]  # fmt: skip
    assert {(part.kind, part.name) for part in plan.parts} >= {("prior", "mixture"), ("prior", "gaussian")}
    images = [Image.from_uint8(picture(seed)) for seed in range(3)]
    images.append(Image.from_uint8(picture(3, 8, 16)))  # refused: no aligned face
    results = chain.run(images, device="cpu", precision="float32", batch_size=4)
    assert [result.error is None for result in results] == [True, True, True, False]
    assert "8 is not an aligned square face" in str(results[3].error)
    record = results[0].record["stages"][0]
    assert record["calls"] == plan.calls == 42
    assert [(s["place"], s["calls"]) for s in record["each"]] == [
        ("0.each.0", 20), ("0.each.1", 1), ("0.mirrored.0", 20), ("0.mirrored.1", 1),
    ]  # fmt: skip
    (one,) = chain.run(images[:1], device="cpu", precision="float32", batch_size=4)
    assert np.array_equal(one.image.pixels, results[0].image.pixels), "no picture depends on the rest of its batch"


def test_a_mirrored_chain_of_no_noise_is_the_mean_of_both_ways(example_catalog):
    restore = odekit.Restore(inverter={"steps": 4}, enhancer="none", aligned="trust")
    priors = {"face": {"use": "mixture", "side": 8}}
    image = Image.from_uint8(picture(0))
    turned = image.with_pixels(np.ascontiguousarray(image.pixels[:, :, ::-1]))
    plain = odekit.Chain([restore], priors=priors, parts=example_catalog).run([image, turned], batch_size=2)
    both = odekit.Chain([{"mirror": {"each": [restore]}}], priors=priors, parts=example_catalog).run(
        [image], batch_size=2
    )
    wanted = (plain[0].image.pixels + plain[1].image.pixels[:, :, ::-1]) / 2
    assert np.array_equal(both[0].image.pixels, wanted)


def test_a_plugin_stage_runs_inside_faces_and_shares_the_networks(example_catalog, tmp_path):
    face = "{use: mixture, side: 64}"
    (tmp_path / "photo.yaml").write_text(
        f"""\
odekit: 1
priors: {{face: {face}}}
chain:
  - faces:
      select: {{boxes: [[20, 20, 100, 100]]}}
      align: {{side: 64}}
      each:
        - mirror: {{each: [{{restore: {{inverter: {{steps: 3}}, enhancer: none}}}}, {{estimate: {{timestep: 5}}}}]}}
"""
    )
    chain = odekit.Chain.load(tmp_path / "photo.yaml", parts=example_catalog)
    plan = chain.plan()
    assert [(s.place, s.name, s.calls, s.per) for s in plan.stages] == [
        ("0", "faces", 0, "image"), ("0.each.0", "mirror", 0, "face"), ("0.each.0.each.0", "restore", 12, "face"),
        ("0.each.0.each.1", "estimate", 2, "face"),
    ]  # fmt: skip
    assert plan.calls_per_face == 14
    session = chain.open(images=1, device="cpu", precision="float32", batch_size=2)
    (result,) = session.run([Image.from_uint8(picture(0, 128, 160))])
    assert result.image.width == 160 and list(session.networks) == ["face"]
    record = result.record["stages"][0]
    assert record["calls"] == 14
    assert record["faces"][0]["stages"][0]["each"][0]["place"] == "0.each.0.each.0"


def test_explain_shows_the_sub_chain_of_a_plugin(example_plugin, tmp_path):
    (tmp_path / "mirror.yaml").write_text(MIRROR)
    program = "from odekit.cli import main; main()"
    done = run(sys.executable, "-c", program, "explain", tmp_path / "mirror.yaml", extra=example_plugin)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "0 │ mirror │ 'each' on the picture and on its mirror image, averaged │ 0" in lines
    assert "0.each.1 │ estimate │ estimate(prior=other, timestep=50) │ 2" in lines
    assert lines[-1] == "42 network calls per image"


def test_a_prior_that_a_plugin_stage_names_must_exist(example_catalog, tmp_path):
    (tmp_path / "mirror.yaml").write_text(MIRROR.replace("prior: other", "prior: othr"))
    with pytest.raises(ConfigError, match=r"mirror\.yaml:7:22: .*no prior is named 'othr'; did you mean 'other'"):
        odekit.Chain.load(tmp_path / "mirror.yaml", parts=example_catalog)


def test_smaller_batches_after_out_of_memory_reach_the_prior_of_a_plugin(example_catalog):
    priors = {"face": {"use": "mixture", "side": 8}}
    chain = odekit.Chain(["estimate"], priors=priors, parts=example_catalog)
    session = chain.open(images=4, device="cpu", precision="float32", batch_size=4)
    session.batch_size = 2
    session.run([Image.from_uint8(picture(0))])
    assert session.views[0].capacity == 2


def test_the_command_of_a_plugin_is_listed_and_runs(example_plugin, tmp_path):
    odekit.write(Image.from_uint8(picture(0, 8, 12)), tmp_path / "face.png", format="png")
    program = "from odekit.cli import main; main()"
    listed = run(sys.executable, "-c", program, "--help", extra=example_plugin | {"COLUMNS": "100"}).stdout
    assert "Commands of plugins" in listed and "From example-plugin." in listed
    done = run(sys.executable, "-c", program, "sizes", tmp_path / "face.png", "--json", extra=example_plugin)
    assert json.loads(done.stdout) == {str(tmp_path / "face.png"): [12, 8]}, done.stderr
    help_text = run(sys.executable, "-c", program, "sizes", "--help", extra=example_plugin).stdout
    assert "odekit sizes" in help_text.replace("-c sizes", "odekit sizes") and "Print width and height" in help_text
    failed = run(sys.executable, "-c", program, "sizes", tmp_path / "absent.png", extra=example_plugin)
    assert failed.returncode == 2 and failed.stderr.startswith("odekit: ") and failed.stderr.count("\n") == 1


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
    assert "is not a valid project name" in cli("new-plugin", "--folder", tmp_path, "--", name).err


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


def test_two_plugins_with_one_name_are_both_listed_and_distinguished():
    catalog, _ = build([("odekit", builtin), ("alpha", solver_named("mine")), ("beta", solver_named("mine"))])
    with pytest.raises(
        ConfigError,
        match="two distributions offer the solver 'mine': alpha and beta; write 'alpha:mine' or 'beta:mine'",
    ):
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


def test_the_hook_is_called_after_every_stage(monkeypatch):
    help_text = []

    class Listener:
        @hookimpl
        def odekit_stage_done(self, stage, before, after, context):
            help_text.append((stage, len(before), len(after), context.place))

    catalog, manager = build([("odekit", builtin), ("listener", Listener())])
    monkeypatch.setattr("odekit.parts.installed.installed_parts", lambda: (catalog, manager))
    chain = odekit.Chain([odekit.Upsample("resize"), odekit.Save()])
    chain.run([Image.from_uint8(picture(0))])
    assert help_text == [("upsample", 1, 1, "0"), ("save", 1, 1, "1")]


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
        from odekit.chains.tools import PartTools

        tools = PartTools(installed.catalog(), "cpu", "float32", prior)
        return tools.make(odekit.Chain([odekit.Restore(inverter=odekit.Ode(steps=12))]).spec.items[0].options.inverter)

    assert entry.dist == "odekit"
    check_inverter(make)
