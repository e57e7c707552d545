"""`iterations: auto`: what the meter reads, what follows from it, and that each picture gets exactly its own updates."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import ROOT

import odekit
from benchmarks import knobs
from benchmarks.knobs import by_decile
from odekit import Chain, Image
from odekit.core.noise import BatchNoise, ImageNoise, noise_generator
from odekit.edit import edit
from odekit.errors import ConfigError
from odekit.evaluation.experiments.faces import face_set
from odekit.parts.enhancers.adaptive import AutoLangevin
from odekit.parts.enhancers.calibration import Strength, StrengthCalibration, load_calibration
from odekit.parts.enhancers.damage_meter import damage_readings
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.priors.batched import BatchedPrior
from odekit.parts.priors.exact import example_mixture
from odekit.parts.solvers.dpmpp_2m import Dpmpp2m
from odekit.training.calibration.meter import fit, fit_threshold, leave_one_out
from odekit.training.calibration.restored_cases import damaged_cases, plain_and_prepared_cases

LIGHT = Strength("light", (0.1,), 2, 0.2, 0.5)
HEAVY = Strength("heavy", (0.1, 0.3), 3, 0.3, 1.0)


def calibration(threshold=0.1):
    """Light promises 0.2 dB always; heavy one decibel for each e-fold of the latent's standard deviation."""
    return StrengthCalibration((LIGHT, HEAVY), ("std",), (0.0,), (1.0,), (0.2, 0.0), ((0.0,), (1.0,)), threshold)


@pytest.fixture
def meter(tmp_path):
    path = tmp_path / "meter.json"
    path.write_text(json.dumps(calibration().tree()))
    return path


@pytest.mark.parametrize("std, name", [(0.1, "light"), (0.3, "heavy"), (-0.5, "light")])
def test_the_largest_promise_is_taken(std, name):
    decision = calibration().decide({"std": std})
    assert decision.strength.name == name
    assert decision.expected == pytest.approx({"light": 0.2, "heavy": std})


def test_a_promise_below_the_caution_leaves_the_picture_alone():
    assert calibration(threshold=0.25).decide({"std": 0.0}).strength.name == "none"
    assert calibration(threshold=0.25).decide({"std": 9.0}).expected["heavy"] == 3.0, "held within three deviations"


def test_a_calibration_comes_back_from_its_file(meter):
    assert load_calibration(meter) == calibration()


BROKEN = {
    "an unstable rate": lambda t: t["strengths"][0].update(rate=2.0),
    "no schema": lambda t: t.pop("schema"),
    "another schema": lambda t: t.update(schema=9),
    "tables of other sizes": lambda t: t["bias"].append(0.0),
    "NaN": lambda t: t.update(bias=[math.nan, 0.0]),
    "negative iterations": lambda t: t["strengths"][1].update(iterations=-1),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_calibration_is_refused_with_what_mends_it(case, tmp_path):
    tree = json.loads(json.dumps(calibration().tree()))
    BROKEN[case](tree)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"broken\.json cannot be used.*calibrate meter"):
        load_calibration(path)


def test_white_noise_reads_as_nothing_wrong():
    """Powers of 1 in every band (standard error 1/sqrt(n/2)), no tail, no distance."""
    latent = np.random.Generator(np.random.Philox(3)).standard_normal((3, 64, 64))
    readings = damage_readings(latent, latent)
    assert abs(readings["std"]) < 0.02 and abs(readings["tail"]) < 0.1 and readings["distance"] < 2e-3
    assert all(abs(readings[f"{plane} {band}"]) < 0.12 for plane in ("luma", "chroma") for band in (3, 4, 5))


def test_the_meter_reads_scale_blur_colour_and_tails():
    noise = np.random.Generator(np.random.Philox(3)).standard_normal((3, 64, 64))
    plain = damage_readings(noise, noise)
    twice = damage_readings(noise, 2 * noise)
    assert twice["std"] - plain["std"] == pytest.approx(math.log(2))
    assert twice["luma 5"] - plain["luma 5"] == pytest.approx(2 * math.log(2))
    smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2) + np.roll(noise, (1, 1), (1, 2))) / 2
    assert damage_readings(noise, smooth)["luma 5"] < plain["luma 5"] - 1
    grey = np.repeat(noise[:1], 3, axis=0)
    assert damage_readings(noise, grey)["chroma 4"] < -10
    spikes = np.where(np.abs(noise) > 2.5, 4 * noise, noise)
    assert damage_readings(noise, spikes)["tail"] > 1


PRIOR = example_mixture()
INVERTER = Ode(solver="dpmpp-2m", steps=8, grid="log-snr", top=0.5)


def noises(n):
    return BatchNoise([ImageNoise(noise_generator(0, str(i), "0")) for i in range(n)])


def pictures(n=4):
    clean = PRIOR.sample(n, np.random.Generator(np.random.Philox(1)))
    clean[1] *= 3  # its latent spreads widely: heavy
    return clean


def restored(clean, prior, enhancer, rng, **options):
    return edit(clean, OdeInverter(INVERTER, prior, Dpmpp2m()), enhancer, prior, rng, **options)


def auto(meter, **options):
    return AutoLangevin(Langevin(iterations="auto", meter=str(meter), **options))


def test_each_picture_gets_what_a_fixed_setting_of_its_strength_gives(meter):
    clean, decided = pictures(), []
    mixed = restored(clean, PRIOR, auto(meter), noises(4), decided=decided.append)
    names = [decision.strength.name for decision in decided[0].decisions]
    assert set(names) == {"light", "heavy"}
    for row, name in enumerate(names):
        one = {"light": LIGHT, "heavy": HEAVY}[name]
        fixed = Langevin(
            levels=list(one.levels), iterations=one.iterations, step=one.rate * PRIOR.schedule.sigma_ref**2,
            temperature=one.temperature,
        )  # fmt: skip
        alone = restored(clean[row : row + 1], PRIOR, LangevinEnhancer(fixed), noises(4).select([row]))
        torch.testing.assert_close(mixed[row : row + 1], alone, rtol=1e-9, atol=1e-9)


def test_what_is_set_stays_as_it_is(meter):
    clean = pictures()
    cold = restored(clean, PRIOR, auto(meter, temperature=0.0), noises(4))
    torch.testing.assert_close(cold, restored(clean, PRIOR, auto(meter, temperature=0.0), noises(3 + 1)))
    assert not torch.allclose(cold, restored(clean, PRIOR, auto(meter), noises(4)))
    levels = auto(meter, levels=[0.1]).acts_on(INVERTER.levels(PRIOR.schedule))
    assert len(levels) == 1
    mild = clean[:1]
    given = restored(mild, PRIOR, auto(meter, levels=[0.1], step=1e-6, temperature=0.0), noises(1))
    fixed = LangevinEnhancer(Langevin(levels=[0.1], iterations=2, step=1e-6, temperature=0.0))
    torch.testing.assert_close(given, restored(mild, PRIOR, fixed, noises(1)))


def test_untouched_pictures_come_back_as_they_were(tmp_path):
    path = tmp_path / "shy.json"
    path.write_text(json.dumps(calibration(threshold=0.25).tree()))
    clean, decided = pictures(), []
    back = restored(clean, PRIOR, auto(path), noises(4), decided=decided.append)
    rows = list(decided[0].unchanged_rows)
    assert rows and len(rows) < 4
    assert torch.equal(back[rows], clean[rows])


def test_rows_are_packed_and_do_not_depend_on_their_mates(meter):
    clean = pictures(7)
    prior = BatchedPrior(PRIOR, 4)
    together = restored(clean, prior, auto(meter), noises(7))
    assert 0.7 < prior.fill <= 1
    for rows in ([1], [5, 1, 2]):
        part = restored(clean[rows], BatchedPrior(PRIOR, 4), auto(meter), noises(7).select(rows))
        torch.testing.assert_close(part, together[rows], rtol=1e-12, atol=1e-12)


CHAIN = """\
odekit: 1
priors: {{face: {{use: mixture, side: 8}}}}
chain:
  - restore:
      inverter: {{use: ode, solver: dpmpp-2m, steps: 8, top: 0.5}}
      enhancer: {{use: langevin, iterations: auto, meter: {meter}}}
"""


def test_the_record_keeps_the_decision_and_the_pictures_own_calls(meter, tmp_path):
    path = tmp_path / "auto.yaml"
    path.write_text(CHAIN.format(meter=meter))
    images = [Image((p.numpy() * 0.5 + 0.5).clip(0, 1).astype(np.float32)) for p in pictures(5)]
    results = Chain.load(path).run(images, batch_size=2)
    for result in results:
        stage = result.record["stages"][0]
        (decided,) = stage["strength"]
        moved = decided["iterations"] * len(decided["levels"])
        assert stage["calls"] == 16 + moved and 0.7 < stage["fill"] <= 1
        assert set(decided["expected_gain"]) == {"light", "heavy"} and "std" in decided["readings"]
    again = Chain.load(path).run(images[::-1], batch_size=2)[::-1]
    for one, two in zip(results, again, strict=True):
        assert np.array_equal(one.image.to_uint8(), two.image.to_uint8())
    assert Chain.load(path).plan().calls is None


@pytest.mark.parametrize(
    "setting, message",
    [
        ("rule=literal", "leave out rule, rounds and finish"),
        ("rounds=2", "leave out rule, rounds and finish"),
        ("levels=[0.9]", "lies above the grid.*raise the inverter's 'top'"),
        ("step=1.0", "is unstable at level"),
        ("meter=nowhere.json", "nowhere.json cannot be used"),
        ("iterations=3", "meter has no effect without iterations: auto"),
    ],
)
def test_contradictions_are_refused_before_anything_runs(setting, message, meter, tmp_path):
    path = tmp_path / "auto.yaml"
    path.write_text(CHAIN.format(meter=meter))
    with pytest.raises(ConfigError, match=message):
        Chain.load(path, [f"restore.enhancer.{setting}"]).plan()


def test_explain_says_what_is_decided_for_a_picture_and_why(meter, tmp_path, cli):
    path, face = tmp_path / "auto.yaml", tmp_path / "face.png"
    path.write_text(CHAIN.format(meter=meter))
    image = Image((pictures()[1].numpy() * 0.5 + 0.5).clip(0, 1).astype(np.float32))
    odekit.write(image, face)
    told = json.loads(cli("explain", path, "--input", face, "--json").out)
    record = Chain.load(path).run([odekit.read(face)])[0].record["stages"][0]
    assert told["strength"] == record["strength"][0]["strength"]
    assert told["expected_gain"] == record["strength"][0]["expected_gain"]
    assert told["calls"] == record["calls"]
    text = cli("explain", path, "--input", face).out
    assert f"strength '{told['strength']}'" in text and "std" in text and "dB" in text


def test_explain_of_a_chain_that_decides_nothing_is_refused(exact, tmp_path, cli):
    face = tmp_path / "face.png"
    odekit.write(Image(np.full((3, 8, 8), 0.5, np.float32)), face)
    done = cli("explain", exact, "--input", face)
    assert done.code == 2 and "treats every picture alike" in done.err


def exact_chain(*settings):
    return Chain.load("odedit-fast", ["priors.face={use: mixture, side: 8}", *(f"restore.{one}" for one in settings)])


def faces(n):
    return [Image((p.numpy() * 0.5 + 0.5).clip(0, 1).astype(np.float32)) for p in pictures(n)]


def test_fidelity_is_the_temperature_with_a_name_that_says_what_it_does():
    one = exact_chain("fidelity=0.25").run(faces(2))
    two = exact_chain("enhancer.temperature=0.425").run(faces(2))
    three = exact_chain("fidelity=1").run(faces(2))
    assert np.array_equal(one[0].image.pixels, two[0].image.pixels)
    assert not np.array_equal(one[0].image.pixels, three[0].image.pixels)


def test_fidelity_takes_the_place_of_the_decided_temperature(meter, tmp_path):
    path = tmp_path / "auto.yaml"
    path.write_text(CHAIN.format(meter=meter))
    given = [Chain.load(path, [f"restore.{s}"]).run(faces(2)) for s in ("fidelity=0.25", "enhancer.temperature=0.425")]
    assert np.array_equal(given[0][1].image.pixels, given[1][1].image.pixels)


@pytest.mark.parametrize("setting", ["fidelity=1.5", "fidelity=-0.1", "samples=0"])
def test_knobs_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match=setting.split("=")[0]):
        exact_chain(setting)


def test_fidelity_of_an_enhancer_without_temperature_is_refused():
    with pytest.raises(ConfigError, match="'none' has none; remove fidelity"):
        exact_chain("fidelity=0.5", "enhancer=none").plan()


def test_samples_are_variants_of_the_result_and_the_spread_says_where_they_differ():
    alone = exact_chain().run(faces(3), batch_size=3)
    several = exact_chain("samples=4").run(faces(3), batch_size=3)
    for one, four in zip(alone, several, strict=True):
        assert np.array_equal(one.image.pixels, four.image.pixels), "the first sample is the result"
        assert [name for name, _ in four.extras] == ["sample2", "sample3", "sample4", "spread"]
        assert four.record["stages"][0]["calls"] == 4 * one.record["stages"][0]["calls"]
        variants = [four.image.pixels, *(image.pixels for name, image in four.extras[:3])]
        raw = np.sqrt(np.var(variants, axis=0, ddof=1).mean(0))
        spread = four.extras[3][1].pixels[0] / 4
        assert spread.mean() == pytest.approx(raw.mean(), rel=0.1)
        assert len({v.tobytes() for v in variants}) == 4
    assert exact_chain("samples=4").plan().calls == 4 * exact_chain().plan().calls


def test_the_meter_is_calibrated_and_judged_by_commands(tmp_path, cli, bench, monkeypatch):
    """A toy prior, so the figures mean nothing; that auto is one of the strengths for each picture is checked."""
    chain, out, keep = tmp_path / "toy.yaml", tmp_path / "strength.json", tmp_path / "keep"
    chain.write_text(TOY)
    monkeypatch.setattr("odekit.evaluation.bootstrap.SWD_RESAMPLES", 2)
    monkeypatch.setattr("benchmarks.quality.SWD_DRAWS", 1)
    rng = np.random.Generator(np.random.Philox(2))
    data = tmp_path / "faces.npz"
    images = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(data, images=images, split=np.array(["train"] * 12 + ["test"] * 12))
    common = ("--chain", chain, "--data", data, "--limit", 12)
    done = cli("calibrate", "meter", *common, "-o", out)
    assert done.code == 0, done.err
    made = load_calibration(out)
    assert {one.name for one in made.strengths} == {"faint", "light", "smooth", "medium", "strong", "heavy"}
    first = json.loads(bench("strength", *common, "--meter", out, "--keep", keep, "--json").out)
    assert len(list(keep.iterdir())) == 2
    again = json.loads(bench("strength", *common, "--meter", out, "--keep", keep, "--json").out)
    assert first["rows"] == again["rows"], "what was kept gives the same"
    arms = {row["arm"]: row for row in first["rows"]}
    fixed = [row["psnr"] for arm, row in arms.items() if arm.startswith("fixed")]
    assert min(fixed) <= arms["auto"]["psnr"] <= arms["best fixed of each kind"]["psnr"] + 3
    assert any("calls" in goal["name"] for goal in first["goals"])


def test_a_meter_learns_from_faces_as_they_are_and_as_the_chain_changes_them():
    pictures = face_set(None, 64).test[:12]
    plain, made = damaged_cases(pictures), plain_and_prepared_cases(pictures, 0, darker)
    bright = [i for i, image in enumerate(plain.damaged) if image.pixels.mean() > 0.5]
    assert 0 < len(bright) < 12
    assert made.kinds == plain.kinds + tuple(plain.kinds[i] for i in bright)
    np.testing.assert_array_equal(made.clean, np.concatenate([pictures, pictures[bright]]))
    wanted = [*plain.damaged, *(darker(plain.damaged[i]) for i in bright)]
    for image, other in zip(made.damaged, wanted, strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)


def darker(image):
    """Bright pictures halved, the others left alone."""
    return image.with_pixels(image.pixels / 2) if image.pixels.mean() > 0.5 else image


TOY = """\
odekit: 1
priors: {face: {use: mixture, side: 16}}
chain:
  - restore:
      inverter: {use: ode, solver: dpmpp-2m, steps: 6, top: 0.37}
"""


def test_the_fit_finds_a_linear_gain_and_is_cautious_about_noise():
    """Gains that are linear in a reading are promised as they are; the closed-form leave-one-out is the real one."""
    rng = np.random.Generator(np.random.Philox(4))
    z = rng.standard_normal((40, 3))
    wanted = z @ np.array([[1.0], [0.0], [-2.0]]) + 0.5
    readings = [dict(zip("abc", row, strict=True)) for row in z.tolist()]
    made = fit(readings, {"light": wanted[:, 0]}, (LIGHT,))
    promised = [made.decide(one).expected["light"] for one in readings]
    assert np.corrcoef(promised, wanted[:, 0])[0, 1] > 0.99
    left = leave_one_out(z, wanted, 3.0)
    rest = np.arange(40) != 7
    centre = z[rest].mean(0)
    weights = np.linalg.solve(
        (z[rest] - centre).T @ (z[rest] - centre) + 3.0 * np.eye(3), (z[rest] - centre).T @ wanted[rest]
    )
    assert left[7, 0] == pytest.approx((wanted[rest].mean(0) + (z[7] - centre) @ weights)[0], abs=0.05)


def test_the_caution_is_the_highest_that_loses_nothing_and_leaves_alone_what_is_in_doubt():
    rng = np.random.Generator(np.random.Philox(6))
    doubtful = rng.normal(0.01, 1, 100)
    gains = np.concatenate([doubtful - doubtful.mean() + 0.01, np.full(20, 2.5)])[:, None]
    promises = np.concatenate([np.full(100, 0.85), np.full(20, 2.05)])[:, None]
    assert fit_threshold(promises, gains) == pytest.approx(2.0), (
        "0.01 dB on the mean is within a standard error of nothing"
    )
    gains[:100] += 0.5
    assert fit_threshold(promises, gains) == pytest.approx(0.8), "half a decibel is not"


def test_the_built_in_meter_refuses_other_levels_and_other_priors():
    with pytest.raises(ConfigError, match=r"calibrated on latents at 0\.353.*ends at 0\.99\d; set its top to 0\.353"):
        Chain.load("odedit", ["restore.enhancer.iterations=auto"]).plan()
    assert Chain.load("odedit-auto").plan().calls is None
    other = "priors.face={use: mixture, side: 8}"
    assert Chain.load("odedit-auto", [other]).run(faces(2))[0].error is None, "the meter is not asked"
    toy = Chain.load("odedit-auto", [other, "restore.enhancer.strength=auto"])
    with pytest.raises(ConfigError, match=r"was calibrated for another prior; give a number with .*iterations=10"):
        toy.run(faces(2))
    told = Chain.load("odedit-plus", ["priors.face={use: mixture, side: 8}", "restore.enhancer.iterations=2"])
    assert told.run(faces(2))[0].error is None


def test_a_run_fills_the_slots_with_what_pictures_need_and_says_how_well(meter, tmp_path, cli):
    path, out, folder = tmp_path / "auto.yaml", tmp_path / "out", tmp_path / "faces"
    path.write_text(CHAIN.format(meter=meter))
    for i, face in enumerate(faces(9)):
        odekit.write(face, folder / f"{i}.png")
    done = cli("run", path, folder, "-o", out, "--batch-size", 4, "--json")
    summary = json.loads(done.out)
    record = json.loads((out / "0.png.json").read_text())["stages"][0]
    assert len(summary["restored"]) == 9
    assert summary["fill"] == pytest.approx(record["fill"], abs=1e-3), "all nine were packed together"
    assert 0.7 < summary["fill"] < 1


def test_samples_of_a_run_lie_beside_the_result(tmp_path, cli):
    face, out = tmp_path / "a.png", tmp_path / "out"
    odekit.write(faces(2)[0], face)
    toy = ["--set", "priors.face={use: mixture, side: 8}", "--set", "restore.samples=3"]
    assert cli("run", "odedit-fast", face, "-o", out, *toy).code == 0
    names = {p.name for p in out.glob("*.png")}
    assert names == {"a.png", "a.sample2.png", "a.sample3.png", "a.spread.png"}
    assert json.loads((out / "a.png.json").read_text())["extras"] == ["a.sample2.png", "a.sample3.png", "a.spread.png"]


def test_the_knobs_are_measured_by_a_command(tmp_path, bench, monkeypatch):
    """A toy prior: what is checked is that the figures are those of the runs."""
    monkeypatch.setattr("odekit.evaluation.bootstrap.SWD_RESAMPLES", 2)
    monkeypatch.setattr("benchmarks.quality.SWD_DRAWS", 1)
    chain, data = tmp_path / "toy.yaml", tmp_path / "faces.npz"
    chain.write_text(TOY + "      enhancer: {use: langevin, levels: [0.1, 0.3], iterations: 2, step: 1.0e-5}\n")
    images = np.random.Generator(np.random.Philox(2)).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    np.savez(data, images=images, split=np.array(["test"] * 4))
    common = ("--chain", chain, "--data", data, "--side", 16, "--json")
    table = json.loads(bench("knobs", "fidelity", *common).out)
    assert [row["arm"] for row in table["rows"]] == ["0", "0.25", "0.5", "0.75", "1"]
    assert {row["calls"] for row in table["rows"]} == {16.0} and len(table["goals"]) == 8
    assert table["rows"][0]["psnr"] > table["rows"][-1]["psnr"], "noise costs decibels"
    deciles = json.loads(bench("knobs", "samples", *common).out)["rows"]
    assert [row["spread"] for row in deciles] == sorted(row["spread"] for row in deciles)
    keep = ("--keep", tmp_path / "keep")
    same = json.loads(bench("knobs", "fast", *common, "--against", chain, *keep).out)
    assert same["rows"][0]["psnr"] == same["rows"][1]["psnr"] and all(goal["reached"] for goal in same["goals"])
    monkeypatch.setattr(knobs, "restore", lambda *a: pytest.fail("what is kept was computed again"))
    assert json.loads(bench("knobs", "fast", *common, "--against", chain, *keep).out) == same


def test_the_spread_table_finds_a_planted_relation():
    """Errors drawn with the spread as their deviation: the deciles' mean squared errors are the spreads' squares."""
    rng = np.random.Generator(np.random.Philox(6))
    spread = rng.uniform(0.1, 1.0, (50, 64, 64))
    table = by_decile(spread, (spread * rng.standard_normal(spread.shape)) ** 2, "")
    for row in table.rows:
        assert row["error"] == pytest.approx(row["spread"] ** 2, rel=0.05)
    assert table.goals[0].value == pytest.approx(42, rel=0.1) and table.goals[0].reached


def test_the_range_of_network_calls_is_told_before_a_run_and_holds(cli):
    chain = Chain.load("odedit-plus")
    most = 24 + 25  # every level of `blind`, and of the holes
    assert chain.plan().calls is None and chain.plan().call_span("image") == (2, most)
    assert f"odedit-plus: ok, 2 to {most} network calls per image" in cli("check", "odedit-plus").out
    assert f"2 to {most} network calls per detected face" in cli("explain", "photo").out
    assert json.loads(cli("check", "odedit-plus", "--json").out)["calls_range"] == [2, most]
    face = ROOT / "examples" / "damaged" / "pif_01092.png"
    metered = Chain.load("odedit-plus", ["restore.first=null", "restore.occlusions=keep"])
    for given in (chain.adjusted("none"), metered.adjusted("heavy"), chain.adjusted("heavy"), chain):
        least, most = given.plan().call_span("image")
        (result,) = given.run([odekit.read(face)], device="cpu", precision="float32", batch_size=1)
        assert least <= sum(stage.get("calls", 0) for stage in result.record["stages"]) <= most
    assert chain.adjusted("none").plan().call_span("image") == (0, 0)
    assert metered.adjusted("heavy").plan().call_span("image") == (38, 38)


def test_explain_says_that_a_face_needs_nothing(cli, monkeypatch):
    monkeypatch.setattr("odekit.chains.tuning.precision.supported_16bit_types", lambda device: ())
    face = ROOT / "examples" / "clean" / "pif_01092.png"
    told = cli("explain", "odedit-plus", "--input", face).out
    assert "left as it is (excess " in told and "2 network calls" in told and "strength" not in told
    metered = cli("explain", "odedit-plus", "--input", face, "--set", "restore.enhancer.strength=auto").out
    assert "left as it is" in metered
    assert "strength 'none'" in metered and "no updates: no strength is expected to improve this face" in metered
    assert "a = 0" not in metered


def test_a_side_or_strength_that_the_chain_has_already_is_no_error():
    chain = Chain.load("odedit-plus").adjusted("heavy", 256)
    assert chain.adjusted("heavy", 256) == chain


def test_the_error_about_a_side_names_another_chain_than_its_own(cli):
    own = Chain.load("odedit-plus", ["upsample=resize"])
    with pytest.raises(ConfigError) as caught:
        own.adjusted(side=128)
    assert "chains that end with face-guided" in str(caught.value) and "odedit-plus" not in str(caught.value)
    with pytest.raises(ConfigError, match="with face-guided, as odedit-plus does"):
        Chain.load("odedit").adjusted(side=128)
