"""Real-ESRGAN and other spandrel networks: numbers, colours, scales, precision, memory, and files that do not fit."""

import json
import warnings

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from odekit_realesrgan import memory
from odekit_realesrgan.network import from_tensors
from odekit_realesrgan.options import Realesrgan, Spandrel
from odekit_realesrgan.rrdb import layout
from odekit_realesrgan.upsampler import realesrgan, spandrel
from small_rrdb import nearest, random

import odekit
from odekit.core.image import Image
from odekit.errors import InputError, OdekitWarning, OptionError, WeightsError
from odekit.images.resize import resample
from odekit.parts.installed import catalog
from odekit.parts.upsamplers.face_x4 import FaceX4, FaceX4Upsampler
from odekit.testing import StandaloneTools, check_readme, check_upsampler

DATA = ROOT / "tests" / "data"
FACE_X4 = ROOT / "odekit" / "assets" / "face-x4" / "model.safetensors"


@pytest.fixture
def save(tmp_path):
    def to_file(content, name="own.pth"):
        torch.save(content, tmp_path / name)
        return str(tmp_path / name)

    return to_file


def make(weights, precision="float32", **options):
    return realesrgan(Realesrgan(weights=weights, **options), StandaloneTools(precision))


def general(weights, precision="float32", **options):
    return spandrel(Spandrel(weights=weights, **options), StandaloneTools(precision))


def images(n, side=24):
    return [Image.from_uint8(picture(i, side, side)) for i in range(n)]


def one(upsampler, image):
    return upsampler.upsample([image], [])[0].pixels


# --- the network


@pytest.mark.parametrize("scale", [2, 4])
def test_the_layout_is_the_published_one(scale):
    published = json.loads((DATA / "keys" / f"rrdbnet_x{scale}.json").read_text())
    assert {name: list(shape) for name, shape in layout(3 if scale == 4 else 12).items()} == published


@pytest.mark.parametrize(("inputs", "scale"), [(3, 4), (12, 2)])
def test_colours_and_range_go_through_untouched(save, inputs, scale):
    """Weights that repeat pixels: any exchange of channels or another range would change the picture."""
    image = Image.from_uint8(picture(3, 32, 24))
    weights = save(nearest(inputs))
    if scale == 2:  # the fold takes the upper left of each four pixels
        image = Image(image.pixels[:, ::2, ::2].repeat(2, 1).repeat(2, 2))
    expected = image.pixels.repeat(scale, 1).repeat(scale, 2)
    assert np.abs(one(make(weights, scale=scale), image) - expected).max() < 1e-6
    assert np.abs(one(make(weights, scale=scale, tile=64, overlap=8), image) - expected).max() < 1e-6


# --- options


def test_weights_follow_the_scale():
    assert [Realesrgan(scale=s).weights for s in (1, 2, 3, 4)] == [
        "realesrgan-x2plus", "realesrgan-x2plus", "realesrgan-x4plus", "realesrgan-x4plus"
    ]  # fmt: skip
    assert Realesrgan().weights == "realesrgan-x4plus"
    assert Realesrgan(scale=2, weights="realesrgan-x4plus").weights == "realesrgan-x4plus"
    chain = odekit.Chain.load("realesrgan", ["upsample.scale=2"])
    assert [weights["name"] for weights in chain.plan().weights] == ["realesrgan-x2plus"]


@pytest.mark.parametrize("scale", [1.5, 3])
def test_other_scales_are_resized_from_the_networks_own(save, scale):
    image, weights = images(1)[0], save(random())
    own = one(make(weights, scale=4), image)
    out = one(make(weights, scale=scale), image)
    side = round(24 * scale)
    assert out.shape == (3, side, side)
    assert np.array_equal(out, np.stack([resample(plane, side, side, "lanczos") for plane in own]))
    assert make(weights, scale=scale).spec.scale == scale
    assert general(weights).spec.scale == 4
    assert one(general(weights, scale=scale), image).shape == out.shape


def test_invalid_options_are_errors():
    for options, message in (
        ({"tile": 40}, "tile is 40: must be 64 or more, or 0 for no tiles"),
        ({"tile": 128, "overlap": 65}, r"overlap is 65: must be at most half of tile \(64\)"),
        ({"scale": 0}, "greater than 0"),
    ):
        with pytest.raises(OptionError, match=message):
            Realesrgan(**options)
    assert Realesrgan(tile=0, overlap=1000).tile == 0


def test_batch_is_the_number_of_tiles_in_a_call_also_of_several_pictures(save):
    upsampler, seen = make(save(random()), batch=3), []
    upsampler.guarded.network.model.register_forward_pre_hook(lambda _, x: seen.append(len(x[0])))
    together = upsampler.upsample(images(4), [])
    assert seen == [3, 3]
    assert np.array_equal(together[3].pixels, one(upsampler, images(4)[3]))


def test_it_passes_the_upsampler_checks(save):
    check_upsampler(lambda: make(save(random())))
    check_upsampler(lambda: make(save(random(12)), scale=2, batch=2), side=27)


def test_alpha_is_carried(save):
    image = Image(images(1)[0].pixels, np.linspace(0, 1, 24 * 24, dtype=np.float32).reshape(24, 24))
    (out,) = make(save(random()), scale=2).upsample([image], [])
    assert np.array_equal(out.alpha, resample(image.alpha, 48, 48, "lanczos"))


def test_less_than_16_px_is_refused(save):
    with pytest.raises(InputError, match="300x15 px is too small for Real-ESRGAN; it needs 16 px or more"):
        make(save(random())).upsample([Image.from_uint8(picture(0, 15, 300))], [])


def test_nothing_is_drawn_from_a_global_generator(save):
    state = torch.get_rng_state()
    one(make(save(random())), images(1)[0])
    assert torch.equal(torch.get_rng_state(), state)


# --- precision


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_is_used_and_near_float32(save, precision):
    weights = save({name: tensor * 0.5 for name, tensor in random().items()})
    half, image = make(weights, precision), images(1)[0]
    assert half.guarded.network.dtype == getattr(torch, precision)
    difference = np.abs(one(half, image) - one(make(weights), image))
    assert 0 < difference.max() < 0.02


def test_an_overflow_in_float16_is_seen_although_spandrel_clips(save):
    """A network that multiplies by 1e5 and divides again: beyond float16, which spandrel would clip to white."""
    tensors = nearest()
    tensors["conv_up1.weight"] *= 1e5
    tensors["conv_hr.weight"] *= 1e-5
    weights, image = save(tensors), images(1)[0]
    with pytest.warns(OdekitWarning, match="Real-ESRGAN overflowed in float16; such pictures are computed in float32"):
        out = one(make(weights, "float16"), image)
    assert np.abs(out - image.pixels.repeat(4, 1).repeat(4, 2)).max() < 1e-6


# --- memory


def test_the_memory_estimate_counts_the_largest_tensors():
    """RRDBNet x4 holds its input and output of 64 channels at 16 times the pixels at once: 2 x 64 x 16 x 4 bytes."""
    tensors = {name: torch.zeros(shape) for name, shape in layout(blocks=2).items()}
    assert memory.bytes_per_pixel(from_tensors(tensors, "x")) == memory.WORKSPACE_FACTOR * 2 * 64 * 16 * 4


def test_exceeding_memory_is_an_error_with_a_tile_that_fits(save, monkeypatch):
    upsampler = make(save(random(features=64)), tile=0)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2e9)
    with pytest.raises(
        InputError,
        match=r"needs about 3\.\d GB of memory for 1 x 600x400 px at once, 2\.0 GB are free; set 'tile: 256'",
    ):
        upsampler.upsample([Image.from_uint8(picture(0, 400, 600))], [])
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1e6)
    with pytest.raises(InputError, match="choose a smaller scale"):
        upsampler.upsample([Image.from_uint8(picture(0, 400, 600))], [])


def test_running_out_of_memory_is_an_error_with_advice(save, monkeypatch):
    upsampler = make(save(random()))

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(upsampler.guarded, "run", full)
    with pytest.raises(InputError, match="ran out of memory on tiles of 24x24 px, batch size 1; set a smaller 'tile'"):
        upsampler.upsample(images(1), [])


# --- any network that spandrel knows


def test_the_built_in_face_x4_loads_and_gives_the_cores_own_result():
    image = odekit.read(sorted((ROOT / "examples" / "clean").glob("*.png"))[0])
    upsampler = general(str(FACE_X4))
    assert upsampler.guarded.network.architecture.id == "Compact"
    assert upsampler.spec.scale == 4
    (own,) = FaceX4Upsampler(FaceX4(mirror=False), StandaloneTools()).upsample([image], [])
    assert np.abs(one(upsampler, image) - own.pixels).max() < 1e-5


def grey_compact():
    """A Compact network of one channel, scale 2, that repeats pixels and halves them."""
    tensors = {"body.0.weight": torch.zeros(4, 1, 3, 3), "body.0.bias": torch.zeros(4), "body.1.weight": torch.ones(4),
               "body.2.weight": torch.zeros(4, 4, 3, 3), "body.2.bias": torch.full((4,), -0.25)}  # fmt: skip
    tensors["body.0.weight"][:, 0, 1, 1] = 1
    for i in range(4):
        tensors["body.2.weight"][i, i, 1, 1] = -0.5
    tensors["body.2.bias"].zero_()
    return tensors


def test_a_grey_network_processes_the_channels_separately(save):
    image = images(1)[0]
    out = one(general(save(grey_compact())), image)
    assert np.abs(out - image.pixels.repeat(2, 1).repeat(2, 2) / 2).max() < 1e-6


def test_a_network_that_discourages_tiles_causes_a_warning(save, monkeypatch):
    from odekit_realesrgan import upsampler as upsampler_module
    from spandrel import ModelTiling

    def load(file, only):
        descriptor = from_tensors(random(), file)
        descriptor.tiling = tiling
        return descriptor

    monkeypatch.setattr(upsampler_module, "load", load)
    tiling = ModelTiling.DISCOURAGED
    with pytest.warns(OdekitWarning, match="seams between tiles may be visible; 'tile: 0' avoids them"):
        assert general(save({})).tile == 512
    tiling = ModelTiling.INTERNAL
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert general(save({})).tile == 0


# --- files that do not fit


def names_of(layout):
    return dict.fromkeys(json.loads((DATA / "keys" / f"{layout}.json").read_text()), torch.zeros(1))


def test_weights_that_do_not_fit_are_errors(save, tmp_path):
    tensors = random()
    less = {name: tensor for name, tensor in tensors.items() if name != "conv_hr.bias"}
    more, other = tensors | {"extra": torch.zeros(1)}, tensors | {"conv_hr.bias": torch.zeros(9)}
    for part in (make, general):
        for content, message in (
            (less, r"1 missing tensor \(first conv_hr\.bias\)"),
            (more, r"1 unknown tensor \(first extra\)"),
            (other, r"1 of another shape \(first conv_hr\.bias: \(9,\) where the network has \(8,\)\)"),
        ):
            with pytest.raises(WeightsError, match=message):
                part(save(content))
    cut = tmp_path / "cut.pth"
    save(tensors, "whole.pth")
    cut.write_bytes((tmp_path / "whole.pth").read_bytes()[:3000])
    with pytest.raises(WeightsError, match="truncated or no weights file"):
        make(str(cut))


def test_a_file_of_another_system_is_named(save):
    for layout_name, system in (
        ("codeformer", "CodeFormer"),
        ("gfpgan_v1clean_cm2", "GFPGAN"),
        ("diffbir_swinir_face", "SwinIR"),
    ):
        with pytest.raises(WeightsError, match=rf"these are weights of {system}, not of Real-ESRGAN \(RRDBNet\)"):
            make(save(names_of(layout_name)))
    with pytest.raises(WeightsError, match=r"weights of RealESRGAN Compact, not of Real-ESRGAN \(RRDBNet\)"):
        make(str(FACE_X4))
    with pytest.raises(
        WeightsError, match="these are weights of CodeFormer, which spandrel's upsamplers do not include"
    ):
        general(save(names_of("codeformer")))
    with pytest.raises(WeightsError, match="holds weights of a network that spandrel's upsamplers do not include"):
        general(save({"a": torch.zeros(1)}))
    with pytest.raises(WeightsError, match="looks like SwinIR, but tensors do not fit"):
        general(save(names_of("diffbir_swinir_face")))


def test_face_restoration_and_inpainting_networks_are_errors(save):
    from odekit_realesrgan.network import check
    from spandrel.architectures.GFPGAN import GFPGANArch
    from spandrel.architectures.LaMa import LaMaArch

    class Like:
        def __init__(self, **facts):
            self.__dict__ = facts

    with pytest.raises(WeightsError, match="LaMa is an inpainting network, not an upsampler"):
        check(Like(architecture=LaMaArch()), "x.pth")
    face = from_tensors(random(), "x")
    face._architecture, face._purpose = GFPGANArch(), "FaceSR"
    with pytest.raises(WeightsError, match="GFPGAN restores aligned faces; use the upsampler of its own plugin"):
        check(face, "x.pth")
    four = from_tensors(random(), "x")
    four.input_channels = 4
    with pytest.raises(WeightsError, match="ESRGAN maps 4 channels to 3; only 3 to 3 and 1 to 1 are supported"):
        check(four, "x.pth")


@pytest.mark.parametrize("wrap", [lambda t: {"params_ema": t}, lambda t: {"params": t}, lambda t: {"state_dict": t}])
def test_wrappers_and_prefixes_are_removed(save, wrap):
    plain = one(make(save(random())), images(1)[0])
    wrapped = save(wrap({f"module.{name}": tensor for name, tensor in random().items()}), "wrapped.pth")
    assert np.array_equal(one(make(wrapped), images(1)[0]), plain)
    assert np.array_equal(one(general(wrapped), images(1)[0]), plain)


# --- as a part


def test_its_weights_and_chain_are_registered():
    found = catalog()
    sizes = {name: found.weights[f"realesrgan-{name}"].size for name in ("x2plus", "x4plus")}
    assert sizes == {"x2plus": 67_061_725, "x4plus": 67_040_989}
    assert all(found.weights[f"realesrgan-{name}"].licence == "BSD-3-Clause" for name in sizes)
    assert odekit.Chain.load("realesrgan").plan().not_commercial == []


def test_commands_in_the_readme_name_chains_and_options_that_exist():
    check_readme(ROOT / "plugins" / "odekit-realesrgan" / "README.md")


def test_the_chain_runs_on_a_picture_of_any_shape(save):
    settings = [f"upsample.weights={save(random())}", "upsample.tile=64", "upsample.overlap=16"]
    (result,) = odekit.Chain.load("realesrgan", settings).run([Image.from_uint8(picture(0, 45, 100))])
    assert result.image.pixels.shape == (3, 180, 400)
