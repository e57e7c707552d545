"""The inverter `blind` against exact priors: posterior mean, noise, outliers; what it leaves alone, records and refuses."""

import json
import math
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch

import odekit
from odekit import Chain, Image
from odekit.core.psnr import psnr
from odekit.edit import edit
from odekit.errors import ConfigError
from odekit.parts.enhancers.none import NoEnhancer
from odekit.parts.inverters.blind import Blind, BlindInverter
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.priors.exact import GaussianPrior, example_mixture
from odekit.testing import batch_noise, check_inverter

MIXTURE = example_mixture((3, 16, 16))
CHAIN = {
    "restore": {"inverter": {"use": "blind", "steps": 12}, "enhancer": "none", "aligned": "trust"}
}  # fmt: skip


def generator(seed=0):
    return np.random.Generator(np.random.Philox(seed))


def damaged(clean, std=0.0, share=0.0, seed=0, colour=None):
    """States with noise and uniform outliers (or outliers of one colour), in model space."""
    rng = generator(seed)
    y = clean + std * torch.from_numpy(rng.standard_normal(tuple(clean.shape)))
    rubbish = torch.from_numpy(rng.random(tuple(clean.shape))) < share
    values = torch.from_numpy(rng.uniform(-1, 1, tuple(clean.shape)))
    return torch.where(rubbish, values if colour is None else torch.full_like(values, colour), y)


def restore(y, prior, seed=0, enhancer=None, **options):
    """The result, and what was found about each row."""
    ended = []
    batched = BatchedPrior(prior, len(y))
    result = edit(
        y, BlindInverter(Blind(**options), batched), enhancer or NoEnhancer(), batched, batch_noise(len(y), seed),
        lambda event, latent: ended.append(latent) if event == "restored" else None,
    )  # fmt: skip
    return result, ended[0].row_findings


def chain(options=(), prior="mixture", side=16, **stage):
    item = {"restore": CHAIN["restore"] | {"inverter": {"use": "blind", "steps": 12, **dict(options)}} | stage}
    return Chain([item], priors={"face": {"use": prior, "side": side}})


def picture(state):
    return Image(((state.clamp(-1, 1) + 1) / 2).float().numpy())


# Truth


@pytest.mark.parametrize(
    "side", [16, pytest.param(128, marks=pytest.mark.long), pytest.param(256, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("std", [0.15, 0.4])
def test_with_known_noise_the_result_is_the_exact_posterior_mean(std, side):
    """On a Gaussian prior N(m, v): (v y + s^2 m) / (v + s^2). The mean over draws of the added noise is compared."""
    prior = GaussianPrior(0.2, 0.01, (3, side, side))
    clean = prior.sample(1, generator(1))
    draws = 64 if side == 16 else 2
    y = damaged(clean, std, seed=2).expand(draws, -1, -1, -1)
    result, _ = restore(y, prior, noise=std / 2, outliers="none", tolerance=0)
    exact = (0.01 * y[0] + std**2 * 0.2) / (0.01 + std**2)
    assert psnr(result.mean(dim=0), exact, peak=2.0) > 38
    assert float((result.mean(dim=0) - 0.2).flatten() @ (exact - 0.2).flatten()) == pytest.approx(
        float((exact - 0.2).square().sum()), rel=0.15
    )


@pytest.mark.parametrize(
    "side", [16, pytest.param(128, marks=pytest.mark.long), pytest.param(256, marks=pytest.mark.long)]
)
def test_on_the_mixture_the_result_is_as_near_as_the_exact_posterior_mean(side):
    """Closed form: the component given y, and its Gaussian posterior. The noise is estimated, not given."""
    prior, std = example_mixture((3, side, side)), 0.2
    clean = prior.sample(6 if side == 16 else 2, generator(1))
    y = damaged(clean, std, seed=2)
    result, found = restore(y, prior, tolerance=0)
    t = prior.schedule.timestep(std)
    signal = 1 / math.sqrt(1 + std**2)
    exact = (signal * y - std * signal * prior.eps(signal * y, t)) / signal
    assert psnr(result, exact, peak=2.0) > 34
    assert psnr(result, clean, peak=2.0) > psnr(exact, clean, peak=2.0) - 0.3
    assert [finding.facts["noise"] for finding in found] == pytest.approx([std / 2] * len(clean), rel=0.12)


@pytest.mark.parametrize(("std", "share"), [(0.15, 0.0), (0.15, 0.2), (0.3, 0.1), (0.1, 0.4)])
def test_noise_and_share_of_outliers_are_found(std, share):
    """On a Gaussian prior, means over 200 draws: noise within 5 %, share within 0.02."""
    prior = GaussianPrior(0.1, 0.0025, (3, 16, 16))
    _, found = restore(damaged(prior.sample(200, generator(3)), std, share, seed=4), prior, tolerance=0, steps=14)
    assert 2 * np.mean([finding.facts["noise"] for finding in found]) == pytest.approx(std, rel=0.05)
    assert np.mean([finding.facts["outliers"] for finding in found]) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(("std", "share"), [(0.15, 0.2), (0.06, 0.4)])
def test_noise_and_share_are_found_on_the_mixture(std, share):
    """Medians: with many outliers a few draws end at another component of the mixture, where all else is an outlier."""
    clean = MIXTURE.sample(40, generator(3))
    _, found = restore(damaged(clean, std, share, seed=4), MIXTURE, tolerance=0)
    assert 2 * np.median([finding.facts["noise"] for finding in found]) == pytest.approx(std, rel=0.06)
    assert np.median([finding.facts["outliers"] for finding in found]) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("excess", "noise", "share", "sound"),
    [
        (1.5, 0.015, 0.008, True),
        (1.5, 0.015, 0.001, False),  # noise alone
        (1.5, 0.015, 0.02, False),  # drops
        (1.5, 0.015, 0.01, True),
        (1.5, 0.005, 0.006, True),
        (1.5, 0.005, 0.01, False),  # drops without noise
        (1.7, 0.015, 0.008, False),  # the probes were sure
    ],
)
def test_a_doubtful_picture_with_a_little_of_everything_is_left_as_it_is(excess, noise, share, sound):
    clean = MIXTURE.sample(1, generator(1))
    inverter = BlindInverter(Blind(), BatchedPrior(MIXTURE, 1))
    latent = inverter.invert(clean, batch_noise(1))
    one = torch.ones(1, 1, 1, 1, dtype=clean.dtype)
    damage = replace(latent.carry.damage, share=share * one, constant=(2 * noise) ** 2 * one, slope=0 * one)
    work, row = replace(latent.carry, damage=damage), replace(latent.rows[0], excess=excess)
    assert inverter._is_sound(row, work, 0) is sound
    known = BlindInverter(Blind(noise=noise), BatchedPrior(MIXTURE, 1))
    assert not known._is_sound(row, work, 0)


def test_outliers_are_replaced_and_sound_values_kept():
    clean = MIXTURE.sample(8, generator(5))
    y = damaged(clean, 0.0, 0.3, seed=6)
    result, _ = restore(y, MIXTURE)
    wrong = (y - clean).abs() > 0.3
    errors = [float((a - b)[rows].square().mean()) for a, b, rows in zip(result, clean, wrong, strict=True)]
    assert np.median(errors) < 3.0 * MIXTURE.std**2  # holes are sampled, so that twice the variance is expected
    kept = [float((a == b)[rows].double().mean()) for a, b, rows in zip(result, y, y == clean, strict=True)]
    assert np.median(kept) > 0.7
    assert (result == y)[wrong].double().mean() < 0.05


def test_a_mask_of_one_colour_is_seen_where_it_resembles_the_picture():
    clean = MIXTURE.sample(8, generator(7))
    y = damaged(clean, 0.0, 0.5, seed=8, colour=51 / 255 * 2 - 1)
    result, found = restore(y, MIXTURE)
    gains = [psnr(a, b, peak=2.0) - psnr(c, b, peak=2.0) for a, b, c in zip(result, clean, y, strict=True)]
    assert np.median(gains) > 12
    assert np.median([finding.facts["outliers"] for finding in found]) == pytest.approx(0.5, abs=0.06)


def test_half_of_the_pixels_in_a_colour_of_the_picture_are_replaced():
    """The paper's Fig. 13, in 8 bits: the mask has the colour of the picture's own mean, so that its values look sound."""
    clean = MIXTURE.sample(8, generator(7))
    colour = clean.mean(dim=(2, 3), keepdim=True)
    mask = torch.from_numpy(generator(8).random((8, 1, 16, 16))) < 0.5
    y = ((torch.where(mask, colour, clean) + 1) * 127.5).round() / 127.5 - 1
    result, found = restore(y, MIXTURE)
    gains = [psnr(a, b, peak=2.0) - psnr(c, b, peak=2.0) for a, b, c in zip(result, clean, y, strict=True)]
    assert np.median(gains) > 6
    errors = [abs(f.facts["outliers"] - float(m.double().mean())) for f, m in zip(found, mask, strict=True)]
    assert np.median(errors) < 0.03


# What is left alone


def test_an_undamaged_picture_comes_back_bit_for_bit_in_few_calls():
    clean = MIXTURE.sample(16, generator(9))
    result, found = restore(clean, MIXTURE, tolerance=2.5)
    assert torch.equal(result, clean)
    assert all(finding.facts["untouched"] and finding.calls <= 10 for finding in found)


def test_without_tolerance_an_undamaged_picture_comes_back_above_45_db():
    clean = MIXTURE.sample(16, generator(9))
    result, found = restore(clean, MIXTURE, tolerance=0)
    assert psnr(result, clean, peak=2.0) > 45
    assert not any(finding.facts["untouched"] for finding in found)


def test_in_one_batch_each_picture_gets_its_own_calls():
    clean = MIXTURE.sample(3, generator(9))
    y = torch.stack([clean[0], damaged(clean, 0.4)[1], damaged(clean, 0.0, 0.3)[2]])
    result, found = restore(y, MIXTURE, tolerance=2.5)
    calls = [finding.calls for finding in found]
    assert calls[0] < calls[1] < calls[2] <= Blind().steps + 3
    assert torch.equal(result[0], clean[0])


# As a part


def test_conformance():
    check_inverter(lambda prior: BlindInverter(Blind(steps=8, tolerance=0), prior))


def test_results_do_not_depend_on_batch_mates_or_on_the_size_of_the_batch():
    clean = MIXTURE.sample(5, generator(11))
    images = [picture(state) for state in [*damaged(clean[:3], 0.3), *damaged(clean[3:], 0.0, 0.3)]]
    together = chain().run(images, device="cpu", batch_size=2)
    again = chain().run(images[::-1], device="cpu", batch_size=2)[::-1]
    alone = [chain().run([image], device="cpu", batch_size=2)[0] for image in images]
    for one, two, three in zip(together, again, alone, strict=True):
        assert np.array_equal(one.image.pixels, two.image.pixels)
        assert np.array_equal(one.image.pixels, three.image.pixels)
        assert one.record["stages"][0]["blind"] == three.record["stages"][0]["blind"]


def test_calls_are_counted_and_explain_says_that_they_depend():
    plan = chain().plan()
    assert plan.calls is None
    assert plan.stages[0].span == (2, 15)
    image = picture(damaged(MIXTURE.sample(1, generator(12)), 0.0, 0.3)[0])
    stage = chain().run([image], device="cpu", batch_size=1)[0].record["stages"][0]
    assert stage["calls"] == 14
    assert stage["blind"]["outliers"] == pytest.approx(0.3, abs=0.1)


def test_samples_differ_where_the_picture_says_nothing():
    image = picture(damaged(MIXTURE.sample(1, generator(12)), 0.0, 0.3)[0])
    done = chain(samples=3).run([image], device="cpu", batch_size=1)[0]
    assert {name for name, _ in done.extras} == {"sample2", "sample3", "spread"}
    assert not np.array_equal(done.extras[0][1].pixels, done.image.pixels)
    assert done.record["stages"][0]["calls"] == 3 * 14


@pytest.mark.parametrize(
    ("option", "value"),
    [("top", 0.9), ("steps", 20), ("trust", 5.0), ("churn", 0.3), ("outliers", "pixel"), ("outliers", "none"),
     ("noise", 0.2), ("floor", 0.1)],
)  # fmt: skip
def test_every_option_has_an_effect(option, value):
    y = damaged(MIXTURE.sample(2, generator(13)), 0.05, 0.2)
    plain, _ = restore(y, MIXTURE, tolerance=0)
    assert not torch.equal(plain, restore(y, MIXTURE, **{"tolerance": 0, option: value})[0])


def test_without_churn_only_the_highest_level_is_random():
    """`churn: 0` is deterministic below the top: it draws noise there only."""
    y = damaged(MIXTURE.sample(1, generator(13)), 0.0, 0.3)
    result, _ = restore(y, MIXTURE, churn=0.0)
    assert torch.isfinite(result).all()


def test_langevin_updates_work_inside():
    image = picture(damaged(MIXTURE.sample(1, generator(12)), 0.0, 0.3)[0])
    enhancer = {"use": "langevin", "levels": [1, 3], "iterations": 4}
    plain, enhanced = (
        chain(enhancer=one).run([image], device="cpu", batch_size=1)[0] for one in ("none", enhancer)
    )  # fmt: skip
    assert not np.array_equal(plain.image.pixels, enhanced.image.pixels)
    assert enhanced.record["stages"][0]["calls"] == 14 + 8
    warm = chain(enhancer=enhancer, fidelity=1.0).run([image], device="cpu", batch_size=1)[0]
    assert not np.array_equal(warm.image.pixels, enhanced.image.pixels)


def test_strength_by_meter_is_refused():
    """The meter reads latents of a deterministic inversion."""
    with pytest.raises(ConfigError, match="iterations: auto"):
        chain(enhancer={"use": "langevin", "iterations": "auto"}).plan()


# Masks


def test_a_known_mask_says_what_is_reliable(tmp_path):
    """White is kept bit for bit; what is behind the rest has no influence."""
    clean = MIXTURE.sample(1, generator(14))[0]
    keep = np.full((16, 16), 255, np.uint8)
    keep[4:10, 4:10] = 0
    PIL.Image.fromarray(keep).save(tmp_path / "mask.png")
    hole = torch.from_numpy(keep == 0)
    results = []
    for value in (-1.0, 1.0):
        image = picture(torch.where(hole, value, clean))
        image = Image(image.pixels, origin="the same noise")
        results.append(chain(mask=str(tmp_path / "mask.png")).run([image], device="cpu", batch_size=1)[0].image.pixels)
    inside = np.broadcast_to(keep == 0, (3, 16, 16))
    assert np.array_equal(results[0][~inside], picture(clean).pixels[~inside])
    assert np.abs(results[0] - results[1])[inside].max() < 0.15
    assert np.abs(results[0] - picture(clean).pixels)[inside].mean() < 0.1


# Record and report


def run_on_file(image, out, *settings):
    odekit.write(image, out / "face.png")
    (out / "c.yaml").write_text(
        "odekit: 1\nname: c\npriors: {face: {use: mixture, side: 16}}\nchain:\n  - restore:\n"
        "      inverter: {use: blind, steps: 12}\n      enhancer: none\n"
    )
    return ["run", str(out / "c.yaml"), str(out / "face.png"), "-o", str(out / "out"), "--device", "cpu", *settings]


def test_record_findings_and_kept_map(cli, tmp_path):
    y = damaged(MIXTURE.sample(1, generator(12)), 0.0, 0.3)[0]
    assert cli(*run_on_file(picture(y), tmp_path, "--keep-stages", "--report")).code == 0
    record = json.loads((tmp_path / "out" / "face.png.json").read_text())
    found = record["stages"][0]["blind"]
    assert found["outliers"] == pytest.approx(0.3, abs=0.1)
    assert found["noise"] < 0.02
    maps = list((tmp_path / "out").rglob("*reliability*.png"))
    assert len(maps) == 1
    values = np.asarray(PIL.Image.open(maps[0])) / 255
    assert 1 - values.mean() == pytest.approx(found["outliers"], abs=0.06)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "reliability" in page
    assert "% of the values replaced" in page


# Bad input


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused_in_one_line(value):
    state = MIXTURE.sample(1, generator(15))[0]
    state[0, 3, 3] = value
    image = Image(((state + 1) / 2).float().numpy())
    good = picture(damaged(MIXTURE.sample(1, generator(16)), 0.3)[0])
    bad, fine = chain().run([image, good], device="cpu", batch_size=2)
    assert "NaN or infinite" in str(bad.error)
    assert fine.error is None
    assert np.array_equal(fine.image.pixels, chain().run([good], device="cpu", batch_size=2)[0].image.pixels)


def test_a_picture_of_rubbish_is_not_restored_without_a_word():
    rubbish = Image(generator(17).random((3, 16, 16), dtype=np.float32))
    stage = chain().run([rubbish], device="cpu", batch_size=1)[0].record["stages"][0]
    assert "most of this face is invented" in stage["message"]


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_constant_picture_comes_back_or_is_spoken_of(level):
    image = Image(np.full((3, 16, 16), level, dtype=np.float32))
    done = chain().run([image], device="cpu", batch_size=1)[0]
    assert np.array_equal(done.image.pixels, image.pixels) or "message" in done.record["stages"][0]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_drawing_in_two_colours_comes_back_or_is_spoken_of(seed):
    blocks = generator(seed).integers(0, 2, (1, 4, 4)).repeat(4, axis=1).repeat(4, axis=2)
    image = Image(np.where(blocks == 1, np.float32(0.9), np.float32(0.1)).repeat(3, axis=0).astype(np.float32))
    done = chain().run([image], device="cpu", batch_size=1)[0]
    assert np.array_equal(done.image.pixels, image.pixels) or "message" in done.record["stages"][0]
