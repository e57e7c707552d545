"""What every corruption keeps, what it refuses, and that importing the package stays cheap."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
from degrade_faces import faces

from odekit.core.image import Image
from odekit.errors import ConfigError, InputError
from odekit.parts import corruptions
from odekit.parts.corruptions import tables
from odekit.parts.corruptions.damage import EXTRA_OPTIONS, SUMMARIES, BuiltinCorruption, options_model
from odekit.parts.corruptions.kinds import KINDS, PAPER_KINDS, corrupt, corrupt_chain, option_names

CHANGES = {
    "std": 0.5, "photons": 7.0, "fraction": 0.6, "sigma": 2.2, "radius": 5.0, "alias": 0.9, "shift": 3, "rounds": 4,
    "stop": 1.4, "step": 0.05, "loc": 0.45, "scale": 0.5, "zoom": 2.6, "threshold": 0.3, "mix": 0.4, "picture": 0.2,
    "frost": 0.9, "strength": 1.9, "decay": 1.2, "mud": 1, "add": 0.35, "factor": 0.7, "alpha": 9.0, "affine": 9.0,
    "quality": 3, "count": 9, "angle": 20.0, "colour": (1, 2, 3), "per_channel": True,
}  # fmt: skip
"""A value for every option that differs from the tables'."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_state_gives_the_same_damage_and_nothing_else_is_touched(kind):
    face = faces()[5].copy()
    face.setflags(write=False)
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = corrupt(face, kind, 4, rng(3)), corrupt(face, kind, 4, rng(3))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert first.dtype == np.uint8
    assert first.shape == face.shape
    assert first.flags.writeable
    assert (first != face).any()
    np.testing.assert_array_equal(face, faces()[5])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (7, 5, 3), (70, 33, 3)])
def test_any_size_goes_with_either_table(kind, shape):
    pixels = rng().integers(0, 256, shape, dtype=np.uint8)
    for table in ("64", "224"):
        for severity in (1, 5):
            assert corrupt(pixels, kind, severity, rng(), table).shape == shape


def test_the_table_follows_the_size_and_can_be_chosen():
    small, large = faces()[0], np.tile(faces()[0], (2, 1, 1))
    np.testing.assert_array_equal(corrupt(small, "jpeg", 4, rng()), corrupt(small, "jpeg", 4, rng(), "64"))
    np.testing.assert_array_equal(corrupt(large, "jpeg", 4, rng()), corrupt(large, "jpeg", 4, rng(), "224"))
    assert (corrupt(small, "jpeg", 4, rng(), "64") != corrupt(small, "jpeg", 4, rng(), "224")).any()
    with pytest.raises(ConfigError, match="unknown table '65'; did you mean '64'"):
        corrupt(small, "jpeg", 4, rng(), "65")


def test_every_row_of_both_tables_has_its_names():
    for table in (tables.SMALL_TABLE, tables.LARGE_TABLE):
        assert sorted(table) == sorted(KINDS) == sorted(tables.PARAMETER_NAMES)
        for kind, rows in table.items():
            assert [len(row) for row in rows] == [len(tables.PARAMETER_NAMES[kind])] * 5


def test_the_paper_has_twenty_kinds():
    assert len(PAPER_KINDS) == len(set(PAPER_KINDS)) == 20
    assert set(KINDS) - set(PAPER_KINDS) == {"zoom_blur", "defocus_blur", "scratches", "stains"}


@pytest.mark.parametrize(
    ("kind", "option"), [(kind, option) for kind in KINDS for option in option_names(kind) if option != "folder"]
)
def test_every_option_has_an_effect(kind, option):
    severity = 3  # water, for spatter
    kept = {"threshold": 0.4} if (kind, option) == ("spatter", "sigma") else {}
    start = corrupt(faces()[9], kind, severity, rng(), **kept)
    value = CHANGES[option]
    if (kind, option) == ("motion_blur", "radius"):
        value = 2.0  # beyond, the trail has faded
    if option == "per_channel" and kind == "mask_lines":
        value = False
    if option == "std" and kind == "mask_gaussian":
        value = 20.0
    if (kind, option) == ("spatter", "threshold"):
        value = 0.66
    changed = corrupt(faces()[9], kind, severity, rng(), **({option: value} | kept))
    assert (changed != start).any()


def test_frost_takes_the_users_pictures(tmp_path):
    with pytest.raises(ConfigError, match="holds no frost picture"):
        corrupt(faces()[0], "frost", 4, rng(), folder=str(tmp_path))
    PIL.Image.new("RGB", (500, 400), (0, 0, 200)).save(tmp_path / "blue.png")
    damaged = corrupt(np.zeros((64, 64, 3), np.uint8), "frost", 4, rng(), folder=str(tmp_path))
    np.testing.assert_array_equal(damaged, np.full((64, 64, 3), [0, 0, 100]))
    (tmp_path / "blue.png").write_bytes(b"none")
    with pytest.raises(InputError, match=r"blue\.png: frost picture cannot be read"):
        corrupt(faces()[0], "frost", 4, rng(), folder=str(tmp_path))


def test_a_chain_is_its_steps_in_order_from_one_generator():
    face, one = faces()[2], rng(5)
    wanted = corrupt(corrupt(face, "gaussian_noise", 2, one), "jpeg", 5, one)
    np.testing.assert_array_equal(corrupt_chain(face, [("gaussian_noise", 2), ("jpeg", 5)], rng(5)), wanted)
    assert (corrupt_chain(face, [("jpeg", 5), ("gaussian_noise", 2)], rng(5)) != wanted).any()
    with pytest.raises(ConfigError, match="unknown corruption 'jpg'; did you mean 'jpeg'"):
        corrupt_chain(face, [("fog", 2), ("jpg", 5)], rng(5))


@pytest.mark.parametrize("severity", [0, 6, -1, 2.5, "3", True, None])
def test_a_severity_is_1_to_5(severity):
    with pytest.raises(
        ConfigError, match=r"severity .* of 'fog' is not a whole number from 1 \(mild\) to 5 \(severe\)"
    ):
        corrupt(faces()[0], "fog", severity, rng())


@pytest.mark.parametrize(("options", "message"), [
    ({"fractoin": 0.5}, "'mask_lines' has no option 'fractoin'; did you mean 'fraction'"),
    ({"fraction": 1.5}, "fraction=1.5 of 'mask_lines' is not a number from 0 to 1"),
    ({"fraction": float("nan")}, "fraction=nan"),
    ({"fraction": "much"}, "fraction='much'"),
    ({"fraction": True}, "fraction=True"),
    ({"per_channel": 1}, "per_channel=1 of 'mask_lines' is not true or false"),
])  # fmt: skip
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        corrupt(faces()[0], "mask_lines", 4, rng(), **options)


@pytest.mark.parametrize("pixels", [
    np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), "x",
])  # fmt: skip
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(InputError, match="fog needs"):
        corrupt(pixels, "fog", 1, rng())


def test_the_option_models_say_what_the_functions_take():
    assert sorted(SUMMARIES) == sorted(KINDS)
    for kind in KINDS:
        model = options_model(kind)
        assert set(model.model_fields) == {"severity", "table", *option_names(kind)}
        assert model.part == kind
        assert set(option_names(kind)) == {*tables.PARAMETER_NAMES[kind], *EXTRA_OPTIONS.get(kind, {})}


def test_a_part_keeps_alpha_origin_and_metadata():
    image = Image.from_uint8(faces()[0])
    alpha = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    image = Image(image.pixels, alpha, image.meta)
    damage = BuiltinCorruption("fog", options_model("fog")(severity=2))
    damaged = damage.corrupt(image, rng())
    np.testing.assert_array_equal(damaged.to_uint8(), corrupt(faces()[0], "fog", 2, rng()))
    np.testing.assert_array_equal(damaged.alpha, alpha)
    assert (damaged.origin, damaged.meta) == (image.origin, image.meta)


def test_importing_loads_neither_scipy_nor_scikit_image_nor_torch():
    code = (
        "import sys, odekit.parts.corruptions, odekit.parts.corruptions.damage, odekit.cli.degrade; "
        "print([name for name in ('scipy', 'skimage', 'torch', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_explained():
    for name in corruptions.__all__:
        member = getattr(corruptions, name)
        assert inspect.getdoc(member) if inspect.isfunction(member) else member is not None
