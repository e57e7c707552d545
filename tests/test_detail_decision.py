"""The decision of `face-guided` to use a result: its measures, its small networks and their fit, its thresholds."""

import json
from dataclasses import replace

import numpy as np
import pytest
from aligned_faces import damaged_face, sharp_face
from scipy.ndimage import gaussian_filter

from odekit.chains.tools import PartTools
from odekit.errors import ConfigError
from odekit.parts.installed import catalog
from odekit.parts.upsamplers.change_measures import (
    BAND_WIDTHS,
    band_measures,
    bands,
    measure,
    measure_face,
    octave_powers,
)
from odekit.parts.upsamplers.face_guided import FaceGuided, FaceGuidedUpsampler
from odekit.parts.upsamplers.gain_model import SmallNetworks
from odekit.parts.upsamplers.worth import WorthCalibration, load_worth
from odekit.training.calibration.act import MARGIN, ActCase, ActResults, fit_foresight, folds, threshold_of
from odekit.training.calibration.small_networks import fit_networks


def make(**options):
    return FaceGuidedUpsampler(FaceGuided(**options), PartTools(catalog(), "cpu", "float32"))


def test_octaves_of_the_spectrum_hold_the_power_of_a_wave_at_its_frequency():
    n = np.arange(64) + 0.5
    for octave, frequency in enumerate((48, 24, 12, 6)):
        powers = octave_powers(np.tile(np.cos(np.pi * frequency * n / 64), (64, 1)))
        assert powers[octave] == pytest.approx(0.5) and sum(powers) == pytest.approx(0.5)


def test_measures_are_those_of_the_change():
    face = sharp_face(256).pixels
    assert measure(face, face)["change 0"] == pytest.approx(np.log(1.5e-8))
    stronger = measure(face, np.clip(face + 0.1 * np.random.default_rng(0).standard_normal(face.shape), 0, 1))
    assert stronger["change 0"] > -6


def test_measures_of_the_face_alone_are_the_same_without_a_result():
    face, bad = sharp_face(180).pixels, damaged_face(3, 180).pixels
    both, alone = measure(face, bad), measure_face(face)
    assert alone.keys() < both.keys() and len(alone) == 20
    assert alone == {name: pytest.approx(both[name], abs=1e-12) for name in alone}


def test_shares_and_growth_of_a_band_that_doubles():
    band = np.random.default_rng(1).normal(0, 0.1, (64, 64))
    values = band_measures(band, 2 * band, 5)
    assert values["share"] == pytest.approx(1 / 3, rel=0.02) and values["power share"] == pytest.approx(1 / 5, rel=0.01)
    assert values["growth"] == pytest.approx(np.log(4), rel=0.01) and values["growth spread"] < 0.01
    assert values["correlation"] == pytest.approx(1, abs=1e-3)
    assert values["low"] < values["contrast"] < values["high"]
    opposite = band_measures(band, -band, 5)
    assert opposite["correlation"] == pytest.approx(-1, abs=0.01) and opposite["growth"] == pytest.approx(0, abs=1e-9)


def test_bands_and_the_rest_add_up_to_the_plane():
    plane = np.random.default_rng(2).random((48, 48))
    rest = plane - sum(bands(plane))
    assert np.abs(rest - gaussian_filter(plane, BAND_WIDTHS[-1])).max() < 0.02


def test_small_networks_are_the_mean_of_two_layers():
    rng = np.random.default_rng(3)
    hidden, output, z = rng.normal(size=(2, 4, 5)), rng.normal(size=(2, 6)), rng.normal(size=(7, 3))
    each = [np.maximum(z @ h[:-1] + h[-1], 0) @ o[:-1] + o[-1] for h, o in zip(hidden, output, strict=True)]
    assert np.allclose(SmallNetworks(hidden, output)(z), np.mean(each, 0))


def test_the_fit_finds_what_no_plane_describes_and_is_the_same_again():
    z = np.random.default_rng(4).normal(size=(600, 6)).clip(-3, 3)
    gains = 0.1 * np.abs(z[:, 0]) + 0.05 * z[:, 1]
    networks = fit_networks(z[:500], gains[:500])
    error = networks(z[500:]) - gains[500:]
    plane = np.linalg.lstsq(np.c_[z, np.ones(600)], gains, rcond=None)[0]
    left = np.c_[z, np.ones(600)][500:] @ plane - gains[500:]
    assert (error**2).mean() < 0.2 * (left**2).mean()
    assert np.array_equal(fit_networks(z[:500], gains[:500]).hidden, networks.hidden)


def test_a_result_that_would_only_be_smoother_is_not_used():
    """The dots of a printed picture: the regression sees noise, but hair and skin would go with them."""
    face = sharp_face(256).pixels
    y, x = np.mgrid[0:256, 0:256]
    dots = (0.1 * np.sin(2 * np.pi * (x + y) / 4.7) * np.sin(2 * np.pi * (x - y) / 4.7)).astype(np.float32)
    printed = np.clip(face + dots, 0, 1)
    smooth = gaussian_filter(printed, (0, 1.6, 1.6))
    judged = load_worth().judge(printed, smooth)
    assert judged.smooths and not judged.act and judged.tree()["smooths"]
    for severity in (1, 3, 5):
        bad = damaged_face(severity)
        result = make(act="always").upsample([bad], [None], originals=[bad])[0]
        assert not load_worth().judge(bad.pixels, result.pixels).smooths


def test_small_and_large_faces_have_thresholds_of_their_own():
    face, bad = sharp_face(256).pixels, damaged_face(3).pixels
    worth = replace(load_worth(), threshold=0.2, large_threshold=0.1)
    for native, limit in ((95.0, 0.2), (96.0, 0.1), (256.0, 0.1)):
        judged = worth.judge(bad, face, native)
        assert judged.gain - judged.margin == pytest.approx(limit)
    again = WorthCalibration.from_tree(json.loads(json.dumps(worth.tree())))
    assert again.tree() == worth.tree() and again.judge(bad, face) == replace(
        judged, margin=again.judge(bad, face).margin
    )


def test_a_file_without_foresight_is_read_and_every_result_computed():
    tree = load_worth().tree()
    del tree["foresight"]
    worth = WorthCalibration.from_tree(tree)
    assert worth.foresee(sharp_face(256).pixels) is None and "foresight" not in worth.tree()


@pytest.mark.parametrize(("part", "name"), [("foresight", "result 0"), ("foresight", "foo"), (None, "foo")])
def test_a_model_of_measures_that_do_not_exist_is_one_line(tmp_path, part, name):
    tree = json.loads(json.dumps(load_worth().tree()))
    (tree[part] if part else tree)["measures"][3] = name
    (tmp_path / "act.json").write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=f"there is no measure '{name}'"):
        make(calibration=str(tmp_path / "act.json"))


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_model_with_an_impossible_scale_is_one_line(tmp_path, scale):
    tree = json.loads(json.dumps(load_worth().tree()))
    tree["foresight"]["scale"][2] = scale
    (tmp_path / "act.json").write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match="a scale is not above 0"):
        make(calibration=str(tmp_path / "act.json"))


def test_foresight_of_a_fit_spares_what_is_clearly_good_and_hardly_anything_that_is_used():
    """Margins that the face alone tells, but for a little."""
    rng = np.random.default_rng(5)
    names = list(measure_face(sharp_face(64).pixels))
    measures = [dict(zip(names, rng.normal(size=len(names)), strict=True)) for _ in range(600)]
    margins = np.array([0.1 * one["slope 0"] for one in measures]) + 0.01 * rng.normal(size=600)
    cases = [ActCase(sharp_face(64), sharp_face(64).pixels, 0)] * 600
    nothing = np.zeros((600, 2))
    foresight, spared = fit_foresight(ActResults(cases, measures, margins, nothing, nothing), margins, healthy=50)
    assert (spared & (margins > 0)).sum() <= 1 and spared[margins < -0.1].mean() > 0.8
    predicted = np.array([foresight.model(one) for one in measures])
    assert np.corrcoef(predicted, margins)[0, 1] > 0.95


def test_every_case_is_left_out_once_and_neighbours_of_a_photograph_together():
    parts = folds(47, healthy=20)
    assert np.sum(parts, axis=0).tolist() == [1] * 47
    for part in parts:
        places = np.nonzero(part[27:])[0]
        assert len(places) == 2 and places[1] == places[0] + 1
    assert [part.sum() for part in folds(30)] == [3] * 10


def test_a_threshold_spares_undamaged_faces_but_for_one_in_a_hundred_and_all_of_healthy_photographs():
    predicted = np.concatenate([np.linspace(0, 0.1, 101), [0.04, 0.12]])
    undamaged, healthy = np.arange(103) < 101, np.arange(103) == 101
    assert threshold_of(predicted, undamaged, healthy) == pytest.approx(0.099 + MARGIN)
    assert threshold_of(predicted, undamaged, np.arange(103) > 101) == pytest.approx(0.12 + MARGIN)
    nobody = np.zeros(103, bool)
    assert threshold_of(predicted - 1, nobody, nobody) == MARGIN


def test_a_damaged_calibration_is_one_line(tmp_path):
    (tmp_path / "act.json").write_text("{}")
    with pytest.raises(ConfigError, match="odekit calibrate act"):
        make(calibration=str(tmp_path / "act.json"))
