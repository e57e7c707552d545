"""Running chains in Python: results, records, noise and bytes."""

import dataclasses

import numpy as np
import pytest
from conftest import EXACT, picture

import odekit
from odekit import Chain
from odekit.chains import document
from odekit.chains.identity import IdentityCheck
from odekit.chains.tools import PartTools
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import ConfigError, DeviceError, InputError
from odekit.parts.installed import catalog
from odekit.parts.metrics.face_distance import FaceDistanceMetric
from odekit.parts.stages.restore import fit


def exact(*settings):
    return Chain.from_document(document.parse_yaml(EXACT, "exact.yaml"), settings)


def images(n=7):
    return [Image.from_uint8(picture(i)) for i in range(n)]


def pixels(results):
    return [result.image.pixels for result in results]


def test_every_image_gets_one_result_in_order():
    results = exact().run(images(3))
    assert [r.source.origin for r in results] == [i.origin for i in images(3)]
    assert all(r.image.pixels.shape == (3, 8, 8) for r in results)


def test_the_record_says_the_calls_that_really_happened():
    (result,) = exact().run(images(1))
    assert result.record["stages"][0]["calls"] == 28 == exact().plan().calls
    (result,) = exact("restore.repeats=3").run(images(1))
    assert result.record["stages"][0]["calls"] == 84


@pytest.mark.parametrize("size", [8, 3])
def test_alone_among_others_or_in_another_order_the_bytes_are_the_same(size):
    """At equal batch size the result of a picture does not depend on the rest of the batch."""
    all_seven = pixels(exact().run(images(), batch_size=size))
    alone = pixels(exact().run(images()[4:5], batch_size=size))
    turned = pixels(exact().run(images()[::-1], batch_size=size))[::-1]
    assert np.array_equal(all_seven[4], alone[0])
    assert all(np.array_equal(a, b) for a, b in zip(all_seven, turned, strict=True))


def test_the_seed_and_the_place_in_the_chain_key_the_noise():
    first, again, other = (pixels(exact().run(images(1), seed=s))[0] for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    doubled = Chain([*exact().tree()["chain"]] * 2, priors={"face": {"use": "mixture", "side": 8}})
    once, twice = Chain(exact().tree()["chain"], priors={"face": {"use": "mixture", "side": 8}}), doubled
    after_first = pixels(once.run(images(1)))[0]
    again_from_there = pixels(once.run([dataclasses.replace(images(1)[0], pixels=after_first)]))[0]
    assert not np.array_equal(pixels(twice.run(images(1)))[0], again_from_there)


def test_an_8_bit_picture_and_its_16_bit_copy_get_the_same_noise():
    eight = images(1)[0]
    sixteen = Image((eight.pixels.astype(np.float64) * 65535).round().astype(np.float32) / np.float32(65535))
    assert eight.origin == sixteen.origin


def test_the_key_of_the_noise_never_changes():
    """A changed value here would silently change every published picture."""
    from odekit.core.noise import ImageNoise, noise_generator

    draws = ImageNoise(noise_generator(3, "abc", "0", 1, 2)).normal((2, 2))
    assert draws.dtype == np.float32
    np.testing.assert_allclose(
        draws, [[-0.5574758648872375, -0.4202309250831604], [0.7889425754547119, -0.43224450945854187]], rtol=1e-6
    )


def test_pictures_of_any_size_come_out_at_the_priors_side():
    mixed = [Image.from_uint8(picture(i, s, s)) for i, s in enumerate((4, 8, 20, 129))]
    assert {r.image.pixels.shape for r in exact().run(mixed)} == {(3, 8, 8)}


def test_area_resizing_is_the_mean_over_blocks():
    big = Image.from_uint8(picture(5, 32, 32))
    small = fit(big, (3, 8, 8)).pixels
    np.testing.assert_allclose(small, big.pixels.reshape(3, 8, 4, 8, 4).mean(axis=(2, 4)), atol=1e-6)


@pytest.mark.parametrize("height, width, fits", [(100, 95, True), (100, 94, False), (8, 8, True), (512, 640, False)])
def test_aligned_faces_are_square_within_five_per_cent(height, width, fits):
    (result,) = exact().run([Image.from_uint8(picture(0, height, width))])
    assert (result.error is None) is fits
    if not fits:
        assert (
            str(result.error)
            == f"{width}x{height} is not an aligned square face; for a whole photograph use 'odekit run photo'"
        )


def test_a_picture_that_is_refused_does_not_stop_the_others():
    batch = [images(2)[0], Image.from_uint8(picture(0, 8, 30)), images(2)[1]]
    results = exact().run(batch)
    assert [r.error is None for r in results] == [True, False, True]
    assert np.array_equal(results[2].image.pixels, pixels(exact().run(images(2)[1:], batch_size=3))[0])
    with pytest.raises(InputError):
        results[1].image  # noqa: B018


def test_alpha_follows_the_size():
    image = dataclasses.replace(Image.from_uint8(picture(0, 16, 16)), alpha=np.full((16, 16), 0.5, np.float32))
    (result,) = exact().run([image])
    assert result.image.alpha.shape == (8, 8)
    np.testing.assert_allclose(result.image.alpha, 0.5, atol=1e-6)


def test_upsampling_multiplies_the_side():
    chain = Chain(
        [*exact().tree()["chain"], odekit.Upsample("resize", scale=3)], priors={"face": {"use": "mixture", "side": 8}}
    )
    assert chain.run(images(1))[0].image.pixels.shape == (3, 24, 24)


def test_kept_pixels_of_a_mask_come_back_as_they_were(tmp_path):
    mask = np.zeros((3, 8, 8), np.float32)
    mask[:, :, :3] = 1
    odekit.write(Image(mask), tmp_path / "mask.png", format="png")
    source = images(1)[0]
    out = pixels(exact(f"restore.mask={tmp_path / 'mask.png'}").run([source]))[0]
    np.testing.assert_allclose(out[:, :, :3], source.pixels[:, :, :3], atol=1e-6)
    assert np.abs(out[:, :, 3:] - source.pixels[:, :, 3:]).max() > 0.01


def test_stages_are_kept_when_asked_for():
    assert exact().run(images(1))[0].stages == []
    (result,) = exact().run(images(1), keep_stages=True)
    assert [name for name, _ in result.stages] == ["input", "latent", "restore"]


def test_a_call_counter_is_notified_of_every_network_call():
    told = []
    exact().run(images(3), on_calls=told.append, batch_size=2)
    assert sum(told) == 2 * 28


def test_no_images_give_no_results():
    assert exact().run([]) == []


@pytest.mark.parametrize("batch_size", [-1, -8])
def test_a_batch_has_at_least_one_slot(batch_size):
    with pytest.raises(ConfigError, match="at least 1"):
        exact().run(images(1), batch_size=batch_size)


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(DeviceError, match=device):
        exact().run(images(1), device=device)


def test_an_unknown_precision_is_named():
    with pytest.raises(DeviceError, match="float33"):
        exact().run(images(1), precision="float33")


def test_nan_in_one_image_is_reported_and_the_others_go_on(monkeypatch):
    from odekit.parts.priors.exact import MixturePrior

    honest = MixturePrior.eps

    def broken(self, x, t):
        out = honest(self, x, t)
        out[1] = float("nan")
        return out

    monkeypatch.setattr(MixturePrior, "eps", broken)
    results = exact().run(images(3))
    assert [r.error is None for r in results] == [True, False, True]
    assert "the latent became NaN or infinite at level 0 of 10 during inversion" in str(results[1].error)


def test_restore_is_one_line():
    face = Image.from_uint8(picture(1, 64, 64))
    with pytest.MonkeyPatch.context() as patch:
        seen = {}

        def load(name, *args):
            seen["chain"] = name
            return exact()

        patch.setattr(Chain, "load", load)
        assert odekit.restore(face).pixels.shape == (3, 8, 8)
    assert seen["chain"] == "odedit-plus"


def test_a_whole_photograph_goes_through_photo():
    with pytest.MonkeyPatch.context() as patch:
        seen = []
        patch.setattr(Chain, "load", lambda name, *args: seen.append(name) or exact())
        with pytest.raises(InputError):  # of the chain in its place, which takes aligned faces
            odekit.restore(Image.from_uint8(picture(1, 40, 90)))
    assert seen == ["photo"]


def test_the_record_of_a_changed_face_says_how_far_it_is_from_its_original():
    """As the metric `face-distance` measures it; None where the descriptor cannot tell people apart."""
    metric = FaceDistanceMetric(tools=PartTools(catalog(), "cpu", "float32"))
    for side, native in ((32, 0.0), (32, 40.0), (32, 31.0), (16, 0.0)):
        chain = Chain(exact().tree()["chain"], priors={"face": {"use": "mixture", "side": side}})
        face = dataclasses.replace(Image.from_uint8(picture(1, side, side)), native=native)
        (result,) = chain.run([face])
        known = side >= 32 and (native == 0 or native >= 32)
        expected = pytest.approx(metric.measure(result.image, face), abs=1e-4) if known else None
        assert result.record["face_distance"] == expected


def test_a_session_that_measures_no_identity_gives_the_same_faces_without_the_distance():
    chain = Chain(exact().tree()["chain"], priors={"face": {"use": "mixture", "side": 32}})
    face = Image.from_uint8(picture(1, 32, 32))
    (with_it,), (without,) = (chain.open(measure_identity=measure).run([face]) for measure in (True, False))
    assert "face_distance" in with_it.record and "face_distance" not in without.record
    assert np.array_equal(with_it.image.pixels, without.image.pixels)


def test_a_face_that_came_back_unchanged_has_no_distance():
    face = Image.from_uint8(picture(1, 32, 32))
    same, other = (Result(face, output, {}) for output in (face, face.with_pixels(1 - face.pixels)))
    IdentityCheck(catalog(), "cpu").note([same, other])
    assert "face_distance" not in same.record
    assert other.record["face_distance"] > 0
