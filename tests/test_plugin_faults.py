"""Plugins that exit, print, raise in a hook or take built-in names: each is named, and everything else works."""

import errno
import json
import os
import signal
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import EXACT, ROOT, picture

import odekit
from odekit import hookimpl
from odekit.cli.progress import ProgressBar
from odekit.core.image import Image
from odekit.core.options import Options
from odekit.errors import ConfigError, OdekitWarning, PluginError
from odekit.parts import builtin
from odekit.parts.inverters.ode import Ode
from odekit.plugins.discovery import build
from odekit.runs.runner import Runner
from odekit.runs.stored_chain import with_defaults
from odekit.runs.summary import RunOptions


def plugin(**hooks):
    made = types.ModuleType("a_plugin")
    for name, hook in hooks.items():
        setattr(made, name, hookimpl(hook))
    return made


def built(*plugins):
    return build([("odekit", builtin), *plugins])[0]


class Point:
    """An entry point whose import ends in `error`."""

    name = "mine"

    def __init__(self, error):
        self.error = error

    def load(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit("no licence found"), "SystemExit: no licence found"),
        (SystemExit(3), "SystemExit: 3"),
        (SyntaxError("invalid syntax\nmore"), "SyntaxError: invalid syntax"),
        (RecursionError(), "RecursionError"),
        (KeyboardInterrupt(), "KeyboardInterrupt, although nobody interrupted it"),
        (GeneratorExit("a generator"), "GeneratorExit: a generator, although nobody interrupted it"),
    ],
)
def test_a_plugin_that_ends_the_program_at_import_is_named_and_left_out(error, reason):
    catalog = built(("alpha", Point(error)))
    assert catalog.broken == {"alpha": reason}
    assert odekit.Chain.load("odedit-plus", parts=catalog).plan().calls_per_face == 0


class Interrupted(Point):
    """An entry point during whose import the user presses Ctrl-C."""

    def load(self):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_during_the_import_of_a_plugin_is_not_its_fault():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        built(("alpha", Interrupted(None)))
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_plugin_that_fails_while_it_registers_leaves_nothing_behind(tmp_path):
    def register(catalog):
        catalog.part("inverter", "ode", Fails, TakenOptions)
        catalog.part("upsampler", "mine", Fails)
        catalog.weights("mine", licence="MIT", commercial_use=True)
        catalog.chain("mine", tmp_path / "mine.yaml")
        raise ValueError("no such table")

    def listen(stage, before, after, context):
        raise AssertionError("a plugin that was left out is called")

    catalog = built(("alpha", plugin(odekit_parts=register, odekit_stage_done=listen)))
    assert catalog.broken == {"alpha": "ValueError: no such table"}
    plain = built()
    parts = [[(entry.kind, entry.name, entry.dist) for entry in each.all()] for each in (catalog, plain)]
    assert parts[0] == parts[1] and catalog.weights == plain.weights and catalog.chains == plain.chains
    assert catalog.names("upsampler") == plain.names("upsampler") and catalog.chain_owners == plain.chain_owners
    chain = odekit.Chain([{"upsample": "resize"}], parts=catalog)
    assert chain.run([Image.from_uint8(picture(0))])[0].error is None


def test_the_failure_of_one_plugin_takes_back_nothing_of_others():
    def fail(catalog):
        catalog.upsampler("broken", Fails)
        raise ValueError("no such table")

    first = plugin(odekit_parts=lambda catalog: catalog.upsampler("mine", Fails))
    catalog = built(("alpha", first), ("beta", plugin(odekit_parts=fail)))
    assert {"mine"} == set(catalog.names("upsampler")) - set(built().names("upsampler"))


def test_the_failing_hook_of_one_plugin_is_named_once_and_those_of_others_are_called():
    called = []

    def listen(stage, before, after, context):
        called.append(stage)

    def fail(stage, before, after, context):
        raise ValueError("no such table")

    def leave(stage, before, after, context):
        sys.exit(1)

    catalog = built(
        ("first", plugin(odekit_stage_done=listen)), ("alpha", plugin(odekit_stage_done=fail)),
        ("beta", plugin(odekit_stage_done=leave)), ("last", plugin(odekit_stage_done=listen)),
    )  # fmt: skip
    chain = odekit.Chain([odekit.Upsample("resize"), odekit.Save()], parts=catalog)
    with pytest.warns(OdekitWarning) as told:
        results = chain.run([Image.from_uint8(picture(0))])
    assert results[0].error is None and called == ["upsample", "upsample", "save", "save"]
    texts = sorted(str(warning.message) for warning in told)
    assert len(texts) == 2
    assert "odekit_stage_done of the plugin alpha failed (ValueError: no such table)" in texts[0]
    assert "odekit_stage_done of the plugin beta failed (SystemExit: 1)" in texts[1]


def raising(error):
    def make(*arguments):
        raise error

    return make


@pytest.mark.parametrize("error", [ZeroDivisionError("division by zero"), SystemExit("bye")])
def test_a_part_that_cannot_be_created_is_named_with_its_plugin(error):
    catalog = built(("alpha", plugin(odekit_parts=lambda catalog: catalog.upsampler("mine", raising(error)))))
    with pytest.raises(PluginError, match=rf"the upsampler 'mine' of alpha cannot be created \({type(error).__name__}"):
        odekit.Chain([{"upsample": "mine"}], parts=catalog).run([Image.from_uint8(picture(0))])


def test_a_module_of_a_part_that_ends_the_program_is_named(tmp_path, monkeypatch):
    (tmp_path / "leaving_module.py").write_text("import sys\nsys.exit('needs a licence')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalog = built(("alpha", plugin(odekit_parts=lambda catalog: catalog.solver("mine", "leaving_module:Solver"))))
    with pytest.raises(PluginError, match=r"'mine' of alpha cannot be loaded .*SystemExit: needs a licence"):
        catalog.get("solver", "mine").load()


def test_a_stage_that_ends_the_program_fails_for_its_picture_only():
    class Picky:
        def __init__(self, options, tools):
            pass

        def run(self, batch, context):
            if any(image.width == 9 for image in batch):
                sys.exit()
            return list(batch)

    catalog = built(("alpha", plugin(odekit_parts=lambda catalog: catalog.stage("picky", Picky, Options))))
    images = [Image.from_uint8(picture(0, s, s)) for s in (8, 9, 10)]
    results = odekit.Chain(["picky"], parts=catalog).run(images)
    assert [result.error is None for result in results] == [True, False, True]
    assert "the stage 'picky' ended the program" in str(results[1].error)


def staged(run):
    """A catalogue with the stage `mine` of the plugin alpha, which calls `run(batch)`."""

    class Mine:
        def __init__(self, options, tools):
            pass

        def run(self, batch, context):
            run(batch)
            return list(batch)

    return built(("alpha", plugin(odekit_parts=lambda catalog: catalog.stage("mine", Mine, Options))))


def small_at(error):
    """Raises `error` for pictures that are 9 pixels wide."""

    def run(batch):
        if any(image.width == 9 for image in batch):
            raise error

    return run


def test_a_stage_that_raises_an_interrupt_of_its_own_fails_for_its_picture_only():
    images = [Image.from_uint8(picture(0, s, s)) for s in (8, 9, 10)]
    chain = odekit.Chain(["mine"], parts=staged(small_at(KeyboardInterrupt())))
    results = chain.run(images)
    assert [result.error is None for result in results] == [True, False, True]
    assert "the stage 'mine' raised KeyboardInterrupt, although nobody" in str(results[1].error)


def test_ctrl_c_inside_a_stage_interrupts():
    chain = odekit.Chain(["mine"], parts=staged(lambda batch: signal.raise_signal(signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        chain.run([Image.from_uint8(picture(0))])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE])
def test_a_stage_whose_machine_is_exhausted_ends_the_run_with_its_plugin_named(number, tmp_path):
    paths = [tmp_path / f"{side}.png" for side in (8, 9, 10)]
    for path in paths:
        odekit.write(Image.from_uint8(picture(0, int(path.stem), int(path.stem))), path)
    chain = odekit.Chain(["mine"], parts=staged(small_at(OSError(number, os.strerror(number)))))
    summary = Runner(chain, RunOptions(tmp_path / "out", batch_size=1), ProgressBar()).run(paths)
    assert summary.stopped == f"the stage 'mine' of the plugin alpha: {os.strerror(number)}"
    assert summary.failed == [] and [Path(name).name for name in summary.restored] == ["8.png"]


def test_any_other_error_of_the_system_concerns_one_picture():
    images = [Image.from_uint8(picture(0, s, s)) for s in (8, 9)]
    results = odekit.Chain(["mine"], parts=staged(small_at(FileNotFoundError(2, "no table")))).run(images)
    assert [result.error is None for result in results] == [True, False]


class TakenOptions(Options):
    part = "ode"


class Fails:
    """A part with a built-in part's name; never to be created."""

    def __init__(self, *arguments):
        raise AssertionError("the plugin's part was taken")


def take_names(catalog):
    for kind, names in TAKEN.items():
        for name in names:
            catalog.part(kind, name, Fails, TakenOptions)


TAKEN = {
    "prior": ["face64", "mixture"],
    "inverter": ["ode"],
    "solver": ["ddim", "dpmpp-2m"],
    "enhancer": ["langevin", "none"],
    "upsampler": ["resize", "face-guided", "face-x4"],
    "detector": ["builtin"],
    "mask": ["ellipse"],
    "metric": ["face-distance"],
    "stage": ["restore", "upsample", "denoise", "faces", "mend", "save"],
}


@pytest.fixture
def clashing():
    """A catalogue in which a plugin has registered the names of many built-in parts."""
    return built(("alpha", plugin(odekit_parts=take_names)))


@pytest.mark.parametrize("name", sorted(built().chains))
def test_built_in_names_mean_the_built_in_parts_in_every_shipped_chain(clashing, name):
    chain, expected = odekit.Chain.load(name, parts=clashing), odekit.Chain.load(name, parts=built())
    assert chain.tree() == expected.tree() and chain.plan() == expected.plan()
    assert {part.dist for part in chain.plan().parts} == {"odekit"}


def test_a_shipped_chain_runs_beside_a_plugin_that_takes_its_names(clashing):
    settings = ["priors.face={use: 'odekit:mixture', side: 8}", "restore.inverter.steps=3"]
    chain = odekit.Chain.load("odedit-paper", settings, parts=clashing)
    expected = odekit.Chain.load("odedit-paper", settings, parts=built())
    image = Image.from_uint8(picture(0))
    result = chain.run([image], device="cpu", precision="float32", batch_size=1)[0]
    assert result.error is None
    (wanted,) = expected.run([image], device="cpu", precision="float32", batch_size=1)
    assert np.array_equal(result.image.pixels, wanted.image.pixels)


def test_a_stored_chain_is_read_again_beside_such_a_plugin(clashing):
    tree = odekit.Chain.load("photo", parts=built()).tree()
    assert with_defaults(tree, clashing) == tree


@pytest.mark.parametrize(
    ("settings", "kind", "name"),
    [(["restore.inverter.solver=ddim"], "solver", "ddim"), (["restore.enhancer=none"], "enhancer", "none")],
)
def test_a_name_that_a_user_sets_in_a_shipped_chain_is_ambiguous(clashing, settings, kind, name):
    said = f"two distributions offer the {kind} '{name}': odekit and alpha; write 'odekit:{name}' or 'alpha:{name}'"
    with pytest.raises(ConfigError, match=said):
        odekit.Chain.load("odedit", settings, parts=clashing)
    chosen = [setting.replace("=", "=odekit:") for setting in settings]
    own = odekit.Chain.load("odedit", chosen, parts=clashing)
    assert own == odekit.Chain.load("odedit", settings, parts=built())


def test_a_name_in_a_users_chain_is_ambiguous_and_what_it_leaves_out_is_not(clashing, tmp_path):
    (tmp_path / "mine.yaml").write_text(EXACT)
    with pytest.raises(ConfigError, match=r"mine\.yaml:3:10: .*'odekit:mixture' or 'alpha:mixture'"):
        odekit.Chain.load(tmp_path / "mine.yaml", parts=clashing)
    (tmp_path / "mine.yaml").write_text("odekit: 1\nchain:\n  - odekit:restore: {inverter: {steps: 12}}\n")
    chain = odekit.Chain.load(tmp_path / "mine.yaml", parts=clashing)
    assert {part.dist for part in chain.plan().parts} == {"odekit"}


def test_options_of_python_mean_the_part_that_they_belong_to(clashing):
    chain = odekit.Chain([odekit.Restore(inverter=Ode(steps=12))], parts=clashing)
    assert clashing.entry_of(chain.spec.items[0].options.inverter).dist == "odekit"
    foreign = odekit.Chain([odekit.Restore(inverter=TakenOptions())], parts=clashing)
    assert foreign.spec.items[0].options.inverter.name == "alpha:ode"
    assert clashing.entry_of(foreign.spec.items[0].options.inverter).dist == "alpha"


PRINTS = """\
import os
from odekit.plugins import hookimpl

print("at import")
os.write(1, b"past python\\n")


@hookimpl
def odekit_parts(catalog):
    print("while registering")


@hookimpl
def odekit_stage_done(stage, before, after, context):
    print("after a stage")
    os.system("echo from another process")
"""


@pytest.fixture(scope="module")
def printing(tmp_path_factory):
    """The environment of a process in which a plugin that prints is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "printing_plugin.py").write_text(PRINTS)
    about = site / "printing_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: printing-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[odekit]\nprinting = printing_plugin\n")
    path = os.pathsep.join([str(site), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "ODEKIT_PLUGINS": "printing-plugin"}


def run(env, *command):
    return subprocess.run([sys.executable, "-m", "odekit", *map(str, command)], capture_output=True, env=env)


def test_what_a_plugin_prints_does_not_break_json(printing, exact, tmp_path):
    odekit.write(Image.from_uint8(picture(0)), tmp_path / "face.png", format="png")
    done = run(printing, "run", exact, tmp_path / "face.png", "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restored"] == [str(tmp_path / "out" / "face.png")]
    for said in (b"at import", b"past python", b"while registering", b"after a stage", b"from another process"):
        assert said in done.stderr


def test_what_a_plugin_prints_does_not_enter_a_picture_on_standard_output(printing, exact, tmp_path):
    odekit.write(Image.from_uint8(picture(0)), tmp_path / "face.png", format="png")
    done = run(printing, "run", exact, tmp_path / "face.png", "-o", "-")
    assert done.returncode == 0, done.stderr
    (tmp_path / "result.png").write_bytes(done.stdout)
    assert odekit.read(tmp_path / "result.png").width == 8
    assert b"after a stage" in done.stderr


def test_the_names_that_a_shell_completes_are_not_mixed_with_prints(printing):
    from_shell = {"_ODEKIT_COMPLETE": "complete_bash", "COMP_WORDS": "odekit check odedit-", "COMP_CWORD": "2"}
    program = "import sys; sys.argv[0] = 'odekit'; from odekit.cli import app; app(prog_name='odekit')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=printing | from_shell, text=True)
    assert done.stdout.split() == sorted(name for name in built().chains if name.startswith("odedit-"))


def test_stdout_is_back_after_a_command(cli, capsys):
    with warnings.catch_warnings():
        listed = cli("plugins", "--json", "--kind", "solver")
    assert json.loads(listed.out)["parts"]
    print("mine")
    assert capsys.readouterr().out == "mine\n"
