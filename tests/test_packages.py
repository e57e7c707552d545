"""What a chain needs and lacks is named before a run: packages of parts, and declared dependencies of distributions."""

import importlib.metadata
import importlib.util

import pytest

from odekit import Chain
from odekit.chains import packages
from odekit.chains.packages import missing_dependencies, require_packages, used_parts
from odekit.errors import PluginError


@pytest.fixture
def without(monkeypatch):
    """Hide modules and distributions by name."""
    found, declared = importlib.util.find_spec, importlib.metadata.distribution

    def hide(*names):
        def find_spec(name):
            return None if name in names else found(name)

        def distribution(name):
            if name in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return declared(name)

        monkeypatch.setattr(packages.importlib.util, "find_spec", find_spec)
        monkeypatch.setattr(packages, "distribution", distribution)

    return hide


def lacking(chain, *settings):
    loaded = Chain.load(chain, settings)
    with pytest.raises(PluginError) as caught:
        require_packages(loaded.spec, loaded.parts)
    return str(caught.value)


def test_all_missing_packages_are_named_with_their_parts_and_one_command(without):
    without("cv2", "skimage")
    assert lacking("photo") == (
        "the chain needs packages that are not installed: skimage (for the stage 'faces'), cv2 (for the detector "
        "'builtin'); pip install 'odekit[photos]'"
    )
    assert "cv2 (for the stage 'mend')" in lacking("old-photo")


def test_what_the_options_do_not_use_is_not_needed(without):
    without("cv2")
    for settings in (["faces.select.boxes=[[0, 0, 9, 9]]"], ["faces.align=none"]):
        loaded = Chain.load("photo", settings)
        require_packages(loaded.spec, loaded.parts)
        assert "builtin" not in [part.name for part in used_parts(loaded.spec)]
    assert "cv2" in lacking("photo", "mend.scratches=true", "faces.select.boxes=[[0, 0, 9, 9]]")


def test_a_declared_dependency_that_is_missing_is_named(without, monkeypatch, cli):
    without("scipy")
    assert missing_dependencies("odekit") == ["scipy"]
    assert lacking("odedit-plus").endswith("scipy (for odekit); pip install odekit")
    done = cli("check", "odedit-plus")
    assert done.code == 2 and "scipy" in done.err and done.err.count("\n") == 1


def test_a_build_under_another_name_counts_as_installed(without):
    without("pillow")
    assert missing_dependencies("odekit") == [], "its module PIL is there"


def test_a_distribution_without_metadata_declares_nothing():
    assert missing_dependencies("no-such-distribution") == []
