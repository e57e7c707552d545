"""What upsamplers around other people's networks share: precision, framing of faces, and whose weights a file holds."""

import hashlib
import json
import warnings

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from torch import nn

from odekit.core.image import Image
from odekit.core.interfaces import UpsamplerSpec
from odekit.core.noise import ImageNoise, noise_generator
from odekit.errors import InputError, OdekitWarning, WeightsError
from odekit.parts.upsamplers.aligned import AlignedUpsampler
from odekit.parts.upsamplers.guarded import Guarded
from odekit.plugins.weights.fit import fit_system
from odekit.plugins.weights.lookup import weights_file
from odekit.plugins.weights.systems import system_of
from odekit.testing import StandaloneTools, check_upsampler

KEYS = ROOT / "tests" / "data" / "keys"


# --- precision


def times_1000(precision):
    """A network that multiplies by a thousand, in a precision."""
    layer = nn.Conv2d(1, 1, 1, bias=False)
    layer.weight.data.fill_(1000)
    return layer.to(getattr(torch, precision))


def run(guarded, *values):
    rows = torch.tensor(values)[:, None, None, None]
    return guarded.run(lambda network: network(rows.to(network.weight.dtype))).flatten().tolist()


def test_only_the_picture_that_overflows_is_computed_again_in_float32_and_reported_once():
    guarded = Guarded("the network", times_1000, "float16", safe=("float16",))
    with warnings.catch_warnings(record=True) as caught:
        assert run(guarded, 1.0003, 70.0) == [1000.0, 70_000.0]  # 1.0003 is 1 in float16; 70,000 is beyond it
        assert run(guarded, 80.0, 1.0003) == [80_000.0, 1000.0]
    (only,) = caught
    assert only.category is OdekitWarning
    assert "the network overflowed in float16; such pictures are computed in float32" in str(only.message)


def test_an_unsafe_precision_is_replaced_and_reported():
    with pytest.warns(OdekitWarning, match="not safe in float16; it runs in float32"):
        guarded = Guarded("the network", times_1000, "float16", safe=("bfloat16",))
    assert run(guarded, 70.0) == [70_000.0]


def test_what_is_not_finite_in_float32_is_an_error():
    guarded = Guarded("the network", times_1000, "float32", safe=())
    with pytest.raises(InputError, match="NaN or infinite values in float32"):
        run(guarded, 1.0, 1e36)


# --- faces


class Darker(AlignedUpsampler):
    """Halves model space, keeps what it was given, and adds its noise to the first pixel."""

    def __init__(self, batch_size=1, side=32):
        super().__init__("the network", side, batch_size, UpsamplerSpec(side=side, aligned_faces_only=True), "cpu")
        self.seen = []

    def restore(self, faces, count, noise):
        assert faces.shape == (self.batch_size, 3, self.side, self.side) and len(noise) == self.batch_size
        self.seen.append(faces.clone())
        out = faces[:count] / 2
        out[:, 0, 0, 0] += torch.tensor([float(n.normal((1,))[0]) for n in noise[:count]]) / 100
        return out


def noise(images):
    return [ImageNoise(noise_generator(0, image.origin, "here")) for image in images]


def test_a_network_may_have_another_output_than_input_side():
    class Pooled(Darker):
        def __init__(self):
            spec = UpsamplerSpec(side=16, aligned_faces_only=True)
            AlignedUpsampler.__init__(self, "the network", 32, 1, spec, "cpu", output_side=16)
            self.seen = []

        def restore(self, faces, count, noise):
            return nn.functional.avg_pool2d(super().restore(faces, count, noise), 2)

    check_upsampler(Pooled)
    wide = Image(np.full((3, 32, 64), 0.5, np.float32))
    with pytest.warns(OdekitWarning, match="aligned square faces"):
        (out,) = Pooled().upsample([wide], noise([wide]))
    assert (out.height, out.width) == (8, 16)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_it_keeps_what_upsamplers_promise(batch_size):
    check_upsampler(lambda: Darker(batch_size))


def test_the_network_sees_rgb_between_minus_one_and_one():
    upsampler = Darker()
    red = Image(np.stack([np.full((32, 32), v, np.float32) for v in (1.0, 0.5, 0.0)]))
    (out,) = upsampler.upsample([red], noise([red]))
    assert upsampler.seen[0][0, :, 5, 5].tolist() == [1, 0, -1]
    assert out.pixels[:, 5, 5].tolist() == [0.75, 0.5, 0.25]


def test_faces_of_any_size_share_calls_and_every_one_has_its_own_noise():
    faces = [Image.from_uint8(picture(i, side, side)) for i, side in enumerate((20, 64, 33))]
    upsampler = Darker(batch_size=2)
    together = upsampler.upsample(faces, noise(faces))
    assert [len(x) for x in upsampler.seen] == [2, 2]
    for face, out in zip(faces, together, strict=True):
        (alone,) = Darker(batch_size=2).upsample([face], noise([face]))
        assert np.array_equal(alone.pixels, out.pixels)
        assert (out.height, out.width) == (32, 32)


def test_faces_grow_bilinearly_as_in_the_official_programs():
    """Against the formula: linear between pixel centres, the edge repeated."""
    ramp = np.linspace(0, 1, 16, dtype=np.float32)
    upsampler = Darker()
    face = Image(np.broadcast_to(ramp, (3, 16, 16)).copy())
    upsampler.upsample([face], noise([face]))
    at = np.clip((np.arange(32) + 0.5) / 2 - 0.5, 0, 15)
    assert np.allclose((upsampler.seen[0][0, 0, 7].numpy() + 1) / 2, np.interp(at, np.arange(16), ramp), atol=1e-6)


def test_alpha_is_carried():
    alpha = np.zeros((16, 16), np.float32)
    alpha[:, 8:] = 1
    face = Image(Image.from_uint8(picture(0, 16, 16)).pixels, alpha)
    (out,) = Darker().upsample([face], noise([face]))
    assert out.alpha.shape == (32, 32)
    assert out.alpha[:, 2].max() < 0.01 and out.alpha[:, -3].min() > 0.99


def test_a_picture_that_is_not_square_is_reported_once_and_keeps_its_shape():
    wide = [
        Image(
            np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (3, 32, 64)).copy(), np.ones((32, 64), np.float32)
        )
    ] * 2
    upsampler = Darker()
    with pytest.warns(OdekitWarning, match="aligned square faces, not 64x32.*'faces'") as caught:
        out = upsampler.upsample(wide, noise(wide))
    assert len(caught) == 1
    assert (out[0].height, out[0].width) == out[0].alpha.shape == (16, 32)
    there = (out[0].pixels[1, 8] - 0.25) * 2
    assert np.abs(there - np.linspace(0, 1, 32)).max() < 0.02, "not the picture itself that was cut out again"


def test_a_nearly_square_face_says_nothing():
    face = Image.from_uint8(picture(0, 40, 41))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (out,) = Darker().upsample([face], noise([face]))
    assert (out.height, out.width) == (32, 32)


def test_less_than_16_px_is_refused():
    face = Image.from_uint8(picture(0, 15, 40))
    with pytest.raises(InputError, match="40x15 px is too small for the network; it needs 16 px or more"):
        Darker().upsample([face], noise([face]))


def test_a_note_is_one_line_on_the_command_line(cli, tmp_path, monkeypatch):
    """Notes are shown without the path and code that warnings of Python come with."""
    from odekit.cli import plugins

    def noted(*_):
        warnings.warn("the\nnote", OdekitWarning, stacklevel=1)
        warnings.warn("the other", UserWarning, stacklevel=1)
        return []

    monkeypatch.setattr("odekit.plugins.catalog.Catalog.all", noted)
    done = cli("plugins")
    assert plugins and "odekit: note: the note\n" in done.err
    assert "odekit: note: the other" not in done.err


# --- whose weights


@pytest.mark.parametrize(
    ("layout", "system"),
    [
        ("codeformer", "CodeFormer"),
        ("gfpgan_v1clean_cm2", "GFPGAN"),
        ("stylegan2_1024", "StyleGAN2"),
        ("stylegan2_64", "StyleGAN2"),
        ("rrdbnet_x2", "Real-ESRGAN (RRDBNet)"),
        ("rrdbnet_x4", "Real-ESRGAN (RRDBNet)"),
        ("diffbir_bsrnet", "BSRNet or ESRGAN (RRDBNet, old names)"),
        ("diffbir_swinir_face", "SwinIR"),
        ("diffbir_scunet", "SCUNet"),
        ("diffbir_controlnet_sd21", "a ControlNet of DiffBIR"),
        ("diffbir_unet_sd21", "a Stable Diffusion UNet"),
        ("diffbir_vae_sd21", "a Stable Diffusion VAE"),
        ("facexlib_retinaface_resnet50", "RetinaFace"),
        ("facexlib_parsenet", "ParseNet"),
        ("adm_celeba64_120m", "a guided-diffusion prior"),
        ("ddim_celeba64", "a DDIM prior"),
    ],
)
def test_published_layouts_are_distinguished(layout, system):
    assert system_of(json.loads((KEYS / f"{layout}.json").read_text())) == system


def test_the_built_in_networks_are_recognised():
    from safetensors.torch import load_file

    assets = ROOT / "odekit" / "assets"
    assert system_of(load_file(assets / "face64" / "diffusion_pytorch_model.safetensors")) == "a diffusers UNet"
    assert system_of(load_file(assets / "face-x4" / "model.safetensors")) == "RealESRGAN Compact"
    assert system_of({"a": torch.zeros(1)}) is None


def test_weights_of_another_system_are_named_and_others_compared():
    network = nn.Linear(2, 1)
    foreign = dict.fromkeys(json.loads((KEYS / "codeformer.json").read_text()), torch.zeros(1))
    with pytest.raises(
        WeightsError, match=r"x\.pth: these are weights of CodeFormer, not of Line; give the file of Line"
    ):
        fit_system("Line", network, foreign, "x.pth")
    with pytest.raises(WeightsError, match=r"1 missing tensor \(first weight\)"):
        fit_system("Line", network, {"bias": torch.zeros(1)}, "x.pth")
    fit_system("Line", network, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, "x.pth")
    assert network.weight.tolist() == [[1, 1]]


def test_weights_are_a_path_or_a_name(tmp_path):
    file = tmp_path / "own.pth"
    with pytest.raises(WeightsError, match=r"own\.pth: there is no such weights file"):
        weights_file(str(file), StandaloneTools())
    file.touch()
    assert weights_file(str(file), StandaloneTools()) == file

    class Tools:
        used = {}

        def weights(self, name):
            return f"store/{name}"

    assert str(weights_file("codeformer", Tools())) == "store/codeformer"
    weights_file(str(file), Tools())
    assert Tools.used == {str(file): hashlib.sha256(b"").hexdigest()}, "the record says which file a path was"
    with pytest.raises(WeightsError, match="no such weights file"):
        weights_file("missing.safetensors", Tools())


def test_faces_shrink_by_averages():
    """A picture that shrinks is averaged, not sampled: a fine pattern becomes grey."""
    board = np.indices((64, 64)).sum(0) % 2
    face = Image(np.broadcast_to(board.astype(np.float32), (3, 64, 64)).copy())
    upsampler = Darker(side=16)
    upsampler.upsample([face], noise([face]))
    assert upsampler.seen[0].abs().max() < 0.1
