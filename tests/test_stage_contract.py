"""What happens when a plugin's stage breaks its contract or fails, and which licence its parts are listed with."""

import json
import types

import numpy as np
import pytest

import odekit
from odekit.cli.run import ProgressBar
from odekit.core.image import Image
from odekit.core.options import Options
from odekit.errors import ConfigError, InputError, PluginError
from odekit.parts.installed import catalog
from odekit.plugins.catalog import NOT_DECLARED
from odekit.plugins.scaffold.write import write_plugin
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions
from odekit.testing import catalog_with


class BadOptions(Options):
    """Options of the stage `bad`."""

    part = "bad"
    returned: str = "image"


class BadStage:
    """Returns what its option names."""

    def __init__(self, options, tools):
        self.returned = options.returned

    def run(self, batch, context):
        if self.returned == "error":
            raise ValueError("a bug in the stage")
        if self.returned == "note":
            context.note(0, value=object())
            return batch
        return {"nothing": None, "none": [], "numbers": [1] * len(batch), "image": batch}[self.returned]


def bad_catalog(**more):
    plugin = types.ModuleType("bad_plugin")
    plugin.odekit_parts = odekit.hookimpl(lambda catalog: catalog.stage("bad", BadStage, BadOptions, **more))
    return catalog_with("bad-plugin", plugin)


def bad_chain(returned):
    return odekit.Chain([{"bad": {"returned": returned}}], parts=bad_catalog())


def gray(side=16):
    return Image(np.full((3, side, side), 0.5, dtype=np.float32))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("nothing", "the stage 'bad' returned NoneType, not a list of images"),
        ("none", "the stage 'bad' returned 0 images for 2"),
        ("numbers", "the stage 'bad' returned a list with int, not only images"),
    ],
)
def test_a_stage_that_breaks_its_contract_is_named_in_one_line(returned, message):
    with pytest.raises(PluginError, match=message):
        bad_chain(returned).run([gray(), gray()])


def run_on_file(returned, tmp_path):
    odekit.write(gray(), tmp_path / "face.png")
    runner = Runner(bad_chain(returned), RunOptions(tmp_path / "out", workers=0), ProgressBar(quiet=True))
    summary = runner.run([tmp_path / "face.png"])
    return summary.failed[0]["error"]


def test_an_unexpected_error_states_where_it_was_raised(tmp_path):
    message = run_on_file("error", tmp_path)
    assert "ValueError: a bug in the stage (stage 'bad', tests/test_stage_contract.py:" in message


def test_no_picture_is_left_if_its_record_cannot_be_written(tmp_path):
    assert "not JSON serializable" in run_on_file("note", tmp_path)
    assert not (tmp_path / "out" / "face.png").exists()
    assert json.loads((tmp_path / "out" / "failures.json").read_text())


def test_a_part_without_a_licence_is_not_listed_as_free():
    entry = bad_catalog().get("stage", "bad")
    assert (entry.licence, entry.commercial_use) == (NOT_DECLARED, False)


def test_a_declared_licence_is_kept():
    entry = bad_catalog(licence="BSD-3-Clause").get("stage", "bad")
    assert (entry.licence, entry.commercial_use) == ("BSD-3-Clause", True)


def test_the_licence_of_a_part_is_that_of_its_distribution():
    entry = catalog().get("inverter", "sdedit")
    assert (entry.dist, entry.licence, entry.commercial_use) == ("odekit-sdedit", "MIT", True)


@pytest.mark.parametrize("name", ["odekit", "numpy"])
def test_a_new_plugin_cannot_replace_an_installed_package(name, tmp_path):
    with pytest.raises(ConfigError, match=f"'{name}' is installed already"):
        write_plugin(name, tmp_path, catalog())


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ("absent.png", "does not exist"),
        (["absent.png"], "picture 0: absent.png: does not exist"),
        ([object()], "picture 0: a picture is"),
    ],
)
def test_a_chain_runs_on_pictures_only(images, said):
    with pytest.raises(InputError, match=said):
        bad_chain("image").run(images)


@pytest.mark.parametrize("items", ["odedit-fast", None])
def test_a_chain_is_a_list_of_stages(items):
    with pytest.raises(ConfigError, match=r"Chain\.load"):
        odekit.Chain(items)


@pytest.mark.parametrize("batch_size", ["x", 2.5, 0])
def test_a_batch_size_is_a_positive_whole_number_or_auto(batch_size):
    with pytest.raises(ConfigError, match="a whole number of at least 1, or 'auto'"):
        bad_chain("image").run([gray()], batch_size=batch_size)
