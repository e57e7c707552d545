"""`face-x4`: the built-in upsampler, its precision and batches, and weights of one's own."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT, picture
from safetensors.torch import save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn.functional import avg_pool2d

import odekit
from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.errors import InputError, WeightsError
from odekit.images.resize import resized
from odekit.parts.installed import catalog
from odekit.parts.upsamplers.compact import Compact
from odekit.parts.upsamplers.face_x4 import FaceX4, FaceX4Upsampler
from odekit.plugins.weights.lookup import verified_path
from odekit.testing import check_upsampler

CLEAN = sorted((ROOT / "examples" / "clean").glob("*.png"))


def make(precision="float32", **options):
    return FaceX4Upsampler(FaceX4(**options), PartTools(catalog(), "cpu", precision))


def images(n, side=16):
    return [Image.from_uint8(picture(i, side, side)) for i in range(n)]


def pixels(upsampler, pictures):
    return [image.pixels for image in upsampler.upsample(pictures, [])]


@pytest.fixture
def own(tmp_path):
    """A folder as `odekit train upsampler` writes it: scale 2, every output 0.25 above the nearest neighbour."""
    network = Compact(features=4, convs=1, scale=2)
    network.body[-1].bias.data.fill_(0.25)
    save_file({k: v.half() for k, v in network.state_dict().items()}, tmp_path / "model.safetensors")
    about = {"kind": "compact", "scale": 2, "features": 4, "convs": 1, "dtype": "float16"}
    (tmp_path / "odekit.json").write_text(json.dumps(about))
    return tmp_path


# --- what it does


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_keeps_what_upsamplers_promise(precision):
    check_upsampler(lambda: make(precision))
    check_upsampler(lambda: make(precision, batch=2))


def test_its_spec_says_what_it_is():
    spec = make().spec
    assert (spec.scale, spec.side, spec.aligned_faces_only) == (4, None, True)
    assert catalog().get("upsampler", "face-x4").licence == "MIT"
    assert catalog().weights["face-x4"].licence == "MIT"


def test_the_examples_enlarged_from_16_px_are_nearer_to_the_originals_than_lanczos():
    """A scale it never saw in training (16 -> 64 px), so that the test needs no large picture."""
    gains = []
    for path in CLEAN:
        clean = odekit.read(path)
        small = Image(avg_pool2d(torch.from_numpy(clean.pixels)[None], 4)[0].numpy())
        (ours,) = make().upsample([small], [])
        lanczos = resized(small, 64, 64, "lanczos")
        psnr, ssim = (
            [f(clean.pixels, image.pixels, data_range=1.0, **more) for image in (ours, lanczos)]
            for f, more in ((peak_signal_noise_ratio, {}), (structural_similarity, {"channel_axis": 0}))
        )
        gains.append((psnr[0] - psnr[1], ssim[0] - ssim[1]))
    assert np.mean(gains, axis=0)[0] > 0.5
    assert np.mean(gains, axis=0)[1] > 0.01


def test_any_side_works_and_one_call_may_mix_them():
    mixed = [Image.from_uint8(picture(0, 9, 14)), *images(2), Image.from_uint8(picture(3, 9, 14))]
    out = make().upsample(mixed, [])
    assert [(o.height, o.width) for o in out] == [(36, 56), (64, 64), (64, 64), (36, 56)]
    assert np.array_equal(out[3].pixels, make().upsample(mixed[3:], [])[0].pixels)


@pytest.mark.parametrize("batch", [1, 3])
def test_bytes_depend_neither_on_batch_mates_nor_on_order(batch):
    upsampler, pictures = make(batch=batch), images(5)
    together = pixels(upsampler, pictures)
    turned = pixels(upsampler, pictures[::-1])[::-1]
    assert all(np.array_equal(a, b) for a, b in zip(together, turned, strict=True))
    assert np.array_equal(together[4], pixels(upsampler, pictures[4:])[0])


def test_batch_is_the_number_of_rows_in_a_call():
    seen = []
    for batch in (None, 3):
        upsampler = make(batch=batch, mirror=False)
        upsampler.network.body[0].register_forward_hook(lambda _, x, __: seen.append(len(x[0])))
        upsampler.upsample(images(4), [])
    assert seen == [1, 1, 1, 1, 3, 3]


def test_half_precision_is_used_and_costs_less_than_a_step_of_8_bits():
    faces = [odekit.read(path) for path in CLEAN[:2]]
    whole, half = (pixels(make(p), faces) for p in ("float32", "bfloat16"))
    difference = np.abs(np.stack(whole) - np.stack(half))
    assert 0 < difference.mean() < 0.5 / 255


def test_it_is_the_network_of_the_file():
    """Against the state dict run through plain convolutions in the order of the names."""
    from safetensors.torch import load_file

    tensors = {k: v.float() for k, v in load_file(verified_path("face-x4", catalog())).items()}
    x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    out = x
    for place in range(len([k for k in tensors if k.endswith("weight")])):
        weight = tensors[f"body.{place}.weight"]
        if weight.ndim == 4:
            out = torch.nn.functional.conv2d(out, weight, tensors[f"body.{place}.bias"], padding=1)
        else:
            out = torch.where(out > 0, out, weight.view(1, -1, 1, 1) * out)
    wanted = torch.nn.functional.pixel_shuffle(out, 4) + x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    (ours,) = make(mirror=False).upsample([Image(x[0].numpy())], [])
    np.testing.assert_allclose(ours.pixels, wanted[0].clamp(0, 1), atol=2e-6)


def test_with_mirror_a_mirrored_face_gives_the_mirrored_result():
    face = odekit.read(CLEAN[0])
    turned = face.with_pixels(face.pixels[:, :, ::-1].copy())
    for mirror in (True, False):
        straight, back = (
            p[..., ::s] for p, s in zip(pixels(make(mirror=mirror), [face, turned]), (1, -1), strict=True)
        )
        assert (np.abs(straight - back).max() < 1e-5) == mirror
    once, other = (pixels(make(mirror=False), [f])[0] for f in (face, turned))
    both = (once.astype(np.float64) + other[..., ::-1]) / 2
    inside = (once > 0) & (once < 1) & (other[..., ::-1] > 0) & (other[..., ::-1] < 1)
    np.testing.assert_allclose(pixels(make(), [face])[0][inside], both[inside], atol=1e-5)


def test_alpha_is_enlarged_and_metadata_kept():
    image = images(1)[0]
    alpha = np.zeros((16, 16), dtype=np.float32)
    alpha[4:12, 4:12] = 1
    (out,) = make().upsample([Image(image.pixels, alpha=alpha, meta=image.meta, face=3)], [])
    assert out.alpha.shape == (64, 64)
    assert out.alpha[32, 32] == pytest.approx(1, abs=0.02) and out.alpha[2, 2] == pytest.approx(0, abs=0.02)
    assert (out.origin, out.face, out.meta) == (image.origin, 3, image.meta)


def test_odedit_plus_gives_256_px(cli, tmp_path):
    quick = ["restore.inverter.steps=2", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=1"]
    done = cli("run", "odedit-plus", CLEAN[0], "-o", tmp_path, *(w for s in quick for w in ("--set", s)))
    assert done.code == 0, done.err
    assert odekit.read(tmp_path / CLEAN[0].name).width == 256


# --- weights


def test_weights_of_ones_own_are_used_by_path(own):
    upsampler = make(weights=str(own))
    assert upsampler.spec.scale == 2
    (out,) = upsampler.upsample([Image(np.full((3, 5, 6), 0.5, np.float32))], [])
    np.testing.assert_allclose(out.pixels, np.full((3, 10, 12), 0.75), atol=1e-6)


def test_values_that_are_not_finite_are_refused(own):
    upsampler = make("float16", weights=str(own))
    upsampler.network.body[-1].bias.data.fill_(float("inf"))
    with pytest.raises(InputError, match="--precision float32"):
        upsampler.upsample(images(1), [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": 5}, "another shape"),
        ({"kind": "unet"}, "not an upsampler of odekit .kind"),
        ({"extra": 1}, "not an upsampler of odekit .extra"),
    ],
)
def test_folders_that_say_something_else_are_refused(own, change, message):
    about = json.loads((own / "odekit.json").read_text())
    (own / "odekit.json").write_text(json.dumps(about | change))
    with pytest.raises(WeightsError, match=message):
        make(weights=str(own))


def test_absent_weights_are_reported():
    with pytest.raises(WeightsError, match="no such weights folder"):
        make(weights="./nowhere")
    with pytest.raises(WeightsError, match="did you mean 'face-x4'"):
        make(weights="face-x2")


def test_the_file_is_small_and_its_options_load_no_torch():
    assert verified_path("face-x4", catalog()).stat().st_size <= 5e6
    program = "import odekit.parts.upsamplers.face_x4, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
