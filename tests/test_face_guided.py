"""`face-guided`: the built-in upsampler that sees the original, and the decision to leave a face as it was."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from aligned_faces import damaged_face, sharp_face
from safetensors.torch import save_file

from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.core.psnr import psnr_of
from odekit.errors import ConfigError, WeightsError
from odekit.images.resize import area_resize_image
from odekit.parts.installed import catalog
from odekit.parts.upsamplers.change_measures import octave_powers
from odekit.parts.upsamplers.compact import Compact
from odekit.parts.upsamplers.face_guided import FaceGuided, FaceGuidedUpsampler
from odekit.parts.upsamplers.guided_network import GuidedNet, from_unguided, without_pattern
from odekit.parts.upsamplers.own_detail import add_own_detail
from odekit.parts.upsamplers.worth import load_worth
from odekit.testing import check_upsampler


def make(**options):
    return FaceGuidedUpsampler(FaceGuided(**options), PartTools(catalog(), "cpu", "float32"))


def one(upsampler, face, small=None):
    return upsampler.upsample([small or area_resize_image(face, 64, 64)], [None], originals=[face])[0]


def psnr(a, b):
    return psnr_of(float(((a.pixels - b.pixels).astype(np.float64) ** 2).mean()))


def test_it_keeps_what_upsamplers_promise():
    check_upsampler(make)
    check_upsampler(lambda: make(side=128))


# --- the network


def test_a_new_network_returns_mostly_the_original_and_without_trust_only_the_restored_face():
    network, small, original = GuidedNet(8, 1, 4), torch.rand(1, 3, 8, 8), torch.rand(1, 3, 32, 32)
    large = torch.nn.functional.interpolate(small, scale_factor=4, mode="bicubic")
    gate = torch.sigmoid(torch.tensor(3.0))
    torch.testing.assert_close(network(small, original), large + gate * (original - large))
    torch.testing.assert_close(network(small, original, 0.0), large)


def test_it_can_start_from_a_network_that_saw_the_restored_face_only():
    unguided, network = Compact(8, 1, 4), GuidedNet(8, 1, 4)
    with torch.no_grad():
        for tensor in unguided.parameters():
            tensor.copy_(torch.randn(tensor.shape) * 0.1)
    from_unguided(unguided.state_dict(), network)
    small = torch.rand(2, 3, 8, 8)
    _, detail = network.parts(small, torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(detail, without_pattern(unguided.detail(small), 4))


def test_a_new_context_changes_nothing_and_then_sees_the_whole_face():
    torch.manual_seed(0)
    plain, network = GuidedNet(8, 2, 4), GuidedNet(8, 2, 4, context=6)
    with torch.no_grad():
        for tensor in plain.parameters():
            tensor.copy_(torch.randn(tensor.shape) * 0.2)
    network.load_state_dict({**network.state_dict(), **plain.state_dict()})
    small, original = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(network(small, original), plain(small, original))

    torch.nn.init.normal_(network.context.last.weight)
    other = original.clone()
    other[..., :4, :4] = 1 - other[..., :4, :4]
    changed = (network(small, original) - network(small, other)).abs().amax((0, 1))
    assert changed[120:, 120:].max() > 0  # the opposite corner
    assert torch.equal(plain(small, original)[..., 120:, 120:], plain(small, other)[..., 120:, 120:])


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"body.0.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "odekit.json").write_text(json.dumps({"kind": "compact", "scale": 4, "features": 8, "convs": 1}))
    with pytest.raises(WeightsError, match="guided upsampler"):
        make(weights=str(tmp_path))


# --- what it does to faces


@pytest.mark.parametrize(("side", "expected"), [(64, 256), (256, 256), (300, 300), (512, 512), (700, 512)])
def test_a_result_is_as_large_as_its_original_but_256_at_least_and_512_at_most(side, expected):
    assert one(make(), sharp_face(side)).pixels.shape == (3, expected, expected)


def test_a_clean_face_comes_back_nearly_as_it_was():
    face = sharp_face(256)
    assert psnr(one(make(), face), face) > 36


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_damaged_faces_come_closer_to_the_truth(severity):
    truth, damaged = sharp_face(256), damaged_face(severity)
    result = one(make(), damaged)
    assert psnr(result, truth) > psnr(damaged, truth) - (1 if severity == 1 else 0)
    octave = [octave_powers(face.pixels.mean(0).astype(np.float64))[0] for face in (damaged, result, truth)]
    assert abs(np.log(octave[1] / octave[2])) < abs(np.log(octave[0] / octave[2]))


def test_with_less_trust_the_original_matters_less():
    restored, other = area_resize_image(sharp_face(256), 64, 64), sharp_face(256, "astronaut")
    blind, partial, full = (one(make(trust=trust), other, restored) for trust in (0.0, 0.5, 1.0))
    own = one(make(trust=0.0), sharp_face(256), restored)
    np.testing.assert_array_equal(blind.pixels, own.pixels)
    assert psnr(partial, other) < psnr(full, other)


def test_detail_finer_than_the_network_is_kept_where_the_network_changed_nothing():
    seen = np.full((3, 256, 256), 0.5, np.float32)
    original = np.tile(np.array([[0.4, 0.6], [0.6, 0.4]], np.float32), (3, 256, 256))
    result = seen.copy()
    result[:, :, 128:] += 0.2
    out = add_own_detail(result, seen, original, 512)
    np.testing.assert_allclose(out[:, :, :200], original[:, :, :200], atol=1e-3)
    np.testing.assert_allclose(out[:, :, 300:], 0.7, atol=1e-3)


# --- when it acts


@pytest.mark.parametrize("name", ["portrait", "astronaut"])
@pytest.mark.parametrize("side", [256, 512])
def test_a_good_face_comes_back_bit_for_bit(side, name):
    native = {"portrait": 381, "astronaut": 187}[name]
    face = Image(sharp_face(side, name).pixels, native=native)
    (result,) = Chain.load("odedit-plus").run([face])
    np.testing.assert_array_equal(result.image.pixels, face.pixels)
    entry = result.record["stages"][-1]
    assert entry["detail"]["kept_original"] and not entry["detail"]["act"]


@pytest.mark.parametrize("severity", [2, 3, 5])
def test_bad_faces_are_treated_and_the_record_says_why(severity):
    (result,) = Chain.load("odedit-plus").run([damaged_face(severity)])
    detail = result.record["stages"][-1]["detail"]
    assert detail["act"] and detail["expected_gain"] > load_worth().large_threshold and detail["measured_side"] == 256
    assert psnr(result.image, sharp_face(256)) > psnr(damaged_face(severity), sharp_face(256)) - 0.5


@pytest.fixture
def computed(monkeypatch):
    """How many results the network computes."""
    count = []
    compute = FaceGuidedUpsampler._one
    monkeypatch.setattr(FaceGuidedUpsampler, "_one", lambda *given: (count.append(1), compute(*given))[1])
    return count


@pytest.fixture
def chain(tmp_path):
    """`odedit-plus` with options, and foresight that spares every face that is expected to gain too little."""
    tree = load_worth().tree()
    tree["foresight"]["threshold"] = 0.0
    (tmp_path / "act.json").write_text(json.dumps(tree))
    return lambda *options: Chain.load("odedit-plus", [f"upsample.calibration={tmp_path}/act.json", *options])


def test_a_good_face_costs_no_network_call_of_the_upsampler(computed, chain):
    """Its result would not be used: that is seen from the face alone."""
    faces = [Image(sharp_face(512, "astronaut").pixels, native=187), damaged_face(4), sharp_face(256)]
    good, bad, alone = chain().run(faces)
    assert len(computed) == 1
    for result, face in ((good, faces[0]), (alone, faces[2])):
        assert result.image.pixels is face.pixels
        detail = result.record["stages"][-1]["detail"]
        assert detail["foreseen"] and detail["kept_original"] and not detail["act"]
    assert bad.record["stages"][-1]["detail"]["act"]


@pytest.mark.parametrize(("options", "calls"), [(["upsample.act=always"], 1), (["upsample.act=never"], 0), (["upsample.side=384"], 1)])  # fmt: skip
def test_the_options_say_whether_a_result_is_computed(computed, chain, options, calls):
    chain(*options).run([sharp_face(256)])
    assert len(computed) == calls


def test_a_face_that_was_decided_or_changed_before_is_not_spared(computed, chain):
    face = sharp_face(256)
    (result,) = chain().run([replace(face, decided={"detail": True})])
    assert len(computed) == 1 and "foreseen" not in result.record["stages"][-1]["detail"]
    chain().adjusted("light").run([face])
    assert len(computed) == 2


def test_a_small_good_face_goes_through_the_upsampler():
    (result,) = Chain.load("odedit-plus").run([sharp_face(64)])
    assert result.image.pixels.shape == (3, 256, 256)
    assert not result.record["stages"][-1]["detail"]["kept_original"]


def test_the_strength_is_the_users_where_one_is_given():
    face, bad = sharp_face(256), damaged_face(3)
    (none,) = Chain.load("odedit-plus").adjusted("none").run([bad])
    np.testing.assert_array_equal(none.image.pixels, bad.pixels)
    results = [Chain.load("odedit-plus").adjusted(word).run([face])[0] for word in ("light", "medium", "heavy")]
    decisions = [result.record["stages"][1]["strength"][0]["strength"] for result in results]
    assert decisions == ["light", "medium", "heavy"]
    kept = [psnr(result.image, face) for result in results]
    assert kept == sorted(kept, reverse=True) and kept[0] < 60


def test_a_strength_needs_a_chain_that_has_strengths():
    with pytest.raises(ConfigError, match="treats every face alike"):
        Chain.load("odedit-paper").adjusted("heavy")
    with pytest.raises(ConfigError, match="choose auto, none, light, medium, heavy"):
        Chain.load("photo").adjusted("strong")
    photo = Chain.load("photo").adjusted("medium").tree()["chain"]
    each = next(item["faces"] for item in photo if "faces" in item)["each"]
    assert each[0]["restore"]["enhancer"]["strength"] == "medium" and each[1]["upsample"]["act"] == "always"


def test_the_side_of_results_can_be_chosen():
    assert Chain.load("odedit-plus").adjusted(side=384).run([sharp_face(256)])[0].image.width == 384
    with pytest.raises(ConfigError, match="no upsampler of this chain"):
        Chain.load("odedit").adjusted(side=384)


# --- damage that the restoration removes does not come back


def test_noise_that_the_restoration_removed_is_not_brought_back_by_the_original():
    truth = sharp_face(64)
    noise = 0.2 * np.random.default_rng(1).standard_normal(truth.pixels.shape)
    noisy = Image(np.clip(truth.pixels + noise, 0, 1).astype(np.float32))
    small, large = Chain.load("odedit-auto").run([noisy])[0].image, Chain.load("odedit-plus").run([noisy])[0].image
    assert psnr(area_resize_image(large, 64, 64), truth) > psnr(small, truth) - 1 > psnr(noisy, truth) + 2


def test_strong_noise_on_a_large_face_is_taken_off():
    truth = sharp_face(256)
    noise = 0.2 * np.random.default_rng(1).standard_normal(truth.pixels.shape)
    noisy = Image(np.clip(truth.pixels + noise, 0, 1).astype(np.float32))
    (result,) = Chain.load("odedit-plus").run([noisy])
    assert result.record["stages"][0]["denoised"] and psnr(result.image, truth) > psnr(noisy, truth) + 8


def test_the_period_of_the_pixel_shuffle_is_taken_off_the_detail_and_other_detail_stays():
    place = torch.arange(256.0)
    inner = slice(40, -40)
    for period, left in ((4, 0.0), (8, 1.0), (2.9, 1.0)):
        wave = torch.cos(2 * torch.pi * place / period)
        for detail in (wave.expand(1, 3, 256, 256), wave[:, None].expand(1, 3, 256, 256)):
            out = without_pattern(detail, 4)[..., inner, inner]
            assert torch.allclose(out, left * detail[..., inner, inner], atol=0.02), period
    flat = torch.full((1, 3, 64, 64), 0.3)
    assert torch.allclose(without_pattern(flat, 4), flat, atol=1e-3)
    assert without_pattern(flat, 1) is flat
