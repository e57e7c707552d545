"""The option `colour`: five numbers and a fog field, against known transforms."""

import json

import numpy as np
import pytest

from benchmarks.colour import evaluate
from odekit import Chain, Image
from odekit.errors import ConfigError
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import face_set
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.installed import catalog
from odekit.parts.metrics.psnr import PsnrMetric
from odekit.parts.repair.colour import load_colour_correction, low_coefficients, match_moments, remove_fog
from odekit.parts.stages.options import Restore
from odekit.training.calibration.colour import best_fog, best_numbers, calibrate

FACES = face_set(None, 64).test


def image(i):
    return Image.from_uint8(FACES[i])


def recoloured(pixels, gain, offset, saturation, tint):
    """A known damage in luma and chroma."""
    turned = np.einsum("ij,jhw->ihw", LUMA_CHROMA_AXES, pixels.astype(np.float64))
    turned[0] = gain * turned[0] + offset
    turned[1:] = saturation * turned[1:] + np.array(tint)[:, None, None]
    return np.einsum("ji,jhw->ihw", LUMA_CHROMA_AXES, turned).astype(np.float32)


def test_the_best_numbers_undo_a_known_transform_exactly():
    clean = image(0).pixels
    hurt = recoloured(clean, 0.5, 0.3, 0.7, (0.05, -0.02))
    np.testing.assert_allclose(match_moments(hurt, best_numbers(hurt, clean)), clean, atol=1e-5)


def test_no_other_five_numbers_come_closer():
    clean, hurt = image(1).pixels, damage(image(1), "fog", 0, 4).pixels
    best = best_numbers(hurt, clean)
    error = np.mean((match_moments(hurt, best) - clean) ** 2)
    for i in range(5):
        for step in (-0.02, 0.02):
            other = best + step * np.eye(5)[i]
            assert np.mean((match_moments(hurt, other) - clean) ** 2) > error


def test_the_best_fog_is_exact_where_the_low_field_alone_is_wrong():
    clean = image(2).pixels
    hazed = remove_fog(clean, best_fog(clean, clean) + np.r_[0.1 * np.cos(np.arange(64)), 0, 0])
    np.testing.assert_allclose(
        remove_fog(hazed.astype(np.float32), best_fog(hazed.astype(np.float32), clean)), clean, atol=1e-5
    )
    assert low_coefficients(clean)[0] == pytest.approx((LUMA_CHROMA_AXES[0] @ clean.reshape(3, -1)).mean(), rel=1e-6)


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturate", "fog"])
def test_colour_damage_is_undone_by_decibels(kind):
    """The figure to reach is +3 dB on the mean of the test faces; four of them here."""
    gains = []
    for i in range(4):
        hurt = damage(image(i), kind, 0, 4)
        mended, facts = load_colour_correction().correct(hurt)
        gains.append(PsnrMetric().measure(mended, image(i)) - PsnrMetric().measure(hurt, image(i)))
        assert not facts["damaged"] or facts["fog"] == (kind == "fog")
    assert np.mean(gains) > 3


@pytest.mark.parametrize("kind", ["clean", "jpeg", "gaussian_noise"])
def test_whole_colours_stay_to_the_last_bit(kind):
    for i in range(8):
        hurt = image(i) if kind == "clean" else damage(image(i), kind, 0, 4)
        same, facts = load_colour_correction().correct(hurt)
        assert same is hurt and not facts["damaged"]


def test_a_calibration_is_made_written_and_judged_by_commands(tmp_path, cli, bench):
    data, out = tmp_path / "faces.npz", tmp_path / "balance.npz"
    np.savez(data, images=FACES[:14], split=np.array(["train"] * 12 + ["test"] * 2))
    done = cli("calibrate", "colour", "-o", out, "--data", data, "--limit", 12)
    assert done.code == 0, done.err
    common = ("colour", "--data", data, "--kind", "brightness", "--json")
    table = json.loads(bench(*common, "--estimates", out).out)
    assert [row["kind"] for row in table["rows"]] == ["clean", "brightness"]
    facts = load_colour_correction(out).correct(damage(image(13), "brightness", 0, 4))[1]
    row = evaluate(FACES[13:14], load_colour_correction(out), ["brightness"]).rows[1]
    assert row["touched"] == facts["damaged"]
    assert calibrate(FACES[:12]).numbers.shape == load_colour_correction(out).numbers.shape


def test_the_chain_undoes_colour_before_it_inverts_and_the_record_tells():
    toy = [
        "priors.face={use: mixture, side: 64}",
        "restore.enhancer=none",
        "restore.inverter={steps: 8, solver: dpmpp-2m}",
    ]
    hurt = damage(image(3), "contrast", 0, 4)
    kept = Chain.load("odedit", [*toy, "restore.colour=keep"]).run([hurt])[0]
    mended = Chain.load("odedit", toy).run([hurt])[0]
    assert "colour" not in kept.record["stages"][0]
    assert mended.record["stages"][0]["colour"]["damaged"]
    gain = PsnrMetric().measure(mended.image, image(3)) - PsnrMetric().measure(kept.image, image(3))
    assert gain > 1, "a toy prior, whose round trip is coarse"


def test_the_option_is_judged_in_a_chain_by_a_command(tmp_path, bench):
    """A chain that changes nothing else: the figures are those of the undoing alone."""
    chain, data = tmp_path / "toy.yaml", tmp_path / "faces.npz"
    chain.write_text(
        "odekit: 1\npriors: {face: {use: mixture, side: 64}}\nchain:\n"
        "  - restore: {enhancer: none, inverter: {solver: belm, steps: 8}}\n"
    )
    np.savez(data, images=FACES[:3], split=np.array(["test"] * 3))
    common = ("colour", "--data", data, "--kind", "contrast", "--json")
    alone, inside = (json.loads(bench(*common, *more).out) for more in ((), ("--chain", chain)))
    for a, b in zip(alone["rows"], inside["rows"], strict=True):
        assert b["touched"] == a["touched"] and b["gain"] == pytest.approx(a["gain"], abs=0.01)
    assert inside["rows"][1]["gain"] > 3 and all(goal["reached"] for goal in inside["goals"])
    refused = bench(*common, "--chain", chain, "--estimates", tmp_path / "a.npz")
    assert refused.code == 2 and "leave --estimates out" in refused.err


def test_a_broken_estimate_is_refused_with_what_mends_it(tmp_path):
    path = tmp_path / "odd.npz"
    np.savez(path, centre=np.zeros(3))
    with pytest.raises(ConfigError, match=r"odd\.npz cannot be used.*odekit calibrate colour"):
        load_colour_correction(path)
    with pytest.raises(ConfigError, match="colour"):
        Chain.load("odedit", ["restore.colour=maybe"])


def test_pictures_too_small_to_judge_stay_as_they_are():
    tiny = Image(np.full((3, 4, 4), 0.9, np.float32))
    assert load_colour_correction().correct(tiny)[0] is tiny


@pytest.mark.parametrize("what", ["colour", "blur"])
def test_chains_that_restore_undo_colours_and_blur_and_chains_that_promise_the_input_back_keep_them(what):
    asked = {
        name: next(getattr(item.options, what) for item in Chain.load(name).spec.items if item.name == "restore")
        for name in catalog().chains
        if "odedit" in name
    }
    undo = {"odedit", "odedit-plus", "odedit-auto", "odedit-fast", "odedit-gfpgan", "odedit-codeformer", "odedit-e4e"}
    assert {name for name, option in asked.items() if option == "undo"} >= undo
    assert asked["odedit-exact"] == asked["odedit-paper"] == getattr(Restore(), what) == "keep"


def test_a_round_trip_returns_damaged_colours_where_they_are_kept_and_says_what_it_undid_else():
    exact = ["restore.enhancer=none", "restore.inverter={solver: reversible-heun, steps: 4}"]
    toy, hurt = ["priors.face={use: mixture, side: 64}", *exact], damage(image(3), "contrast", 0, 4)
    kept = Chain.load("odedit", [*toy, "restore.colour=keep"]).run([hurt])[0]
    assert np.array_equal(kept.image.to_uint8(), hurt.to_uint8())
    undone = Chain.load("odedit", toy).run([hurt])[0]
    assert undone.record["stages"][0]["colour"]["damaged"]
    assert np.array_equal(undone.image.to_uint8(), load_colour_correction().correct(hurt)[0].to_uint8())


@pytest.mark.parametrize("setting", ["restore.inverter.solver=belm", "restore.inverter.solver=reversible-heun", "restore.enhancer=none", "priors.face={use: gaussian, side: 32}"])  # fmt: skip
@pytest.mark.parametrize("chain", ["odedit", "odedit-plus"])
def test_the_default_chains_take_other_solvers_enhancers_and_priors(chain, setting):
    few = ["priors.face={use: mixture, side: 64}", "restore.inverter.steps=4", "restore.enhancer.iterations=1"]
    few = few[:2] if "enhancer" in setting else few
    hurt = damage(image(3), "contrast", 0, 4)
    (result,) = Chain.load(chain, [*few, setting]).run([hurt])
    (entry,) = [stage for stage in result.record["stages"] if stage["stage"] == "restore"]
    assert result.image.pixels.std() > 0.02 and entry["colour"]["damaged"]
