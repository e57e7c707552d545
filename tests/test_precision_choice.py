"""`precision: auto`: faster than float32 and as good, or float32; measured once, and remembered."""

import json
import time

import pytest
import torch

from odekit import Chain
from odekit.chains.tuning import precision as guard
from odekit.chains.tuning.precision import Measurement, PrecisionChoice, measure_precisions
from odekit.core.precision import supported_16bit_types
from odekit.errors import OdekitWarning
from odekit.parts.stages import precision_check
from odekit.testing import GaussianModel


class Network:
    """An exact prior in a `precision` of our making: so fast, and so far off."""

    def __init__(self, seconds, error=0.0):
        self.inner = GaussianModel(8)
        self.shape, self.schedule = self.inner.shape, self.inner.schedule
        self.seconds, self.error = seconds, error

    def eps(self, x, t):
        time.sleep(self.seconds)
        return self.inner.eps(x, t) * (1 + self.error)


SLOW, FAST = 0.01, 0.0


def judged(**precisions):
    made = {"float32": Network(SLOW), **precisions}
    return measure_precisions(made.__getitem__, "cpu", [name for name in made if name != "float32"])


def test_the_fastest_that_is_good_enough_is_taken():
    found = judged(bfloat16=Network(FAST, 1e-6), float16=Network(SLOW))
    assert found.precision == "bfloat16"
    assert found.tried["bfloat16"].psnr > 60 and found.tried["bfloat16"].seconds < found.tried["float32"].seconds


def test_what_is_fast_and_not_good_is_refused():
    found = judged(bfloat16=Network(FAST, 0.5))
    assert found.precision == "float32" and found.tried["bfloat16"].psnr < guard.MIN_PSNR


def test_what_is_not_faster_is_not_even_compared():
    found = judged(bfloat16=Network(3 * SLOW))
    assert found.precision == "float32" and found.tried["bfloat16"].psnr is None


def test_the_same_precision_restores_the_same_pictures():
    prior = GaussianModel(8)
    pictures = precision_check.calibration_images(prior, "cpu")
    assert torch.equal(pictures, precision_check.calibration_images(prior, "cpu")) and pictures.std() > 0.1
    assert torch.equal(precision_check.restore_images(prior, pictures), precision_check.restore_images(prior, pictures))
    assert not torch.equal(precision_check.restore_images(prior, pictures), pictures)


@pytest.fixture
def machine_with_bfloat16(monkeypatch, tmp_path):
    """A processor that says it has bfloat16; how often it was measured."""
    measured = []

    def measured_now(load, device, precisions):
        measured.append(precisions)
        return PrecisionChoice("bfloat16", {"float32": Measurement(1.0), "bfloat16": Measurement(0.5, 50.0)})

    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(guard, "supported_16bit_types", lambda device: ("bfloat16",))
    monkeypatch.setattr(guard, "measure_precisions", measured_now)
    return measured


def resolved(wanted="auto", *settings):
    chain = Chain.load("odedit", settings)
    return guard.choose_precision(wanted, "cpu", chain.spec, chain.parts)


def test_it_is_measured_once_for_machine_and_weights_and_remembered(machine_with_bfloat16, tmp_path):
    assert [resolved(), resolved()] == ["bfloat16", "bfloat16"]
    assert machine_with_bfloat16 == [("bfloat16",)]
    (kept,) = json.loads((tmp_path / "home" / "precision.json").read_text()).values()
    assert kept["tried"]["bfloat16"] == {"seconds": 0.5, "psnr": 50.0}


def test_a_precision_that_is_named_and_an_exact_prior_are_not_measured(machine_with_bfloat16):
    assert resolved("float32") == "float32" and resolved("bfloat16") == "bfloat16"
    assert resolved("auto", "priors.face.use=mixture") == "float32"
    assert machine_with_bfloat16 == []


def test_a_cache_that_cannot_be_written_is_reported_and_the_run_continues(machine_with_bfloat16, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "file"))
    with pytest.warns(OdekitWarning, match="set ODEKIT_HOME"):
        assert resolved() == "bfloat16"


def test_a_damaged_cache_is_measured_anew(machine_with_bfloat16, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precision.json").write_text('{"broken": ')
    assert resolved() == "bfloat16" and len(machine_with_bfloat16) == 1


def test_a_processor_without_bfloat16_is_not_asked(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert supported_16bit_types("cpu") == () and resolved() == "float32"


def test_training_takes_what_is_faster_and_nothing_else(monkeypatch):
    from odekit.training.distributed import precision

    monkeypatch.setattr("odekit.core.precision.supported_16bit_types", lambda device: ("bfloat16",))
    for verdict, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("odekit.core.precision.is_faster", lambda kind, device, verdict=verdict: verdict)
        assert precision("auto", torch.device("cpu")) == expected
