"""`precision: auto`: faster than float32 and as good, or float32; measured once, and remembered."""

import json
import multiprocessing
import time
from functools import partial

import PIL.Image
import pytest
import torch
from conftest import picture

from odekit import Chain
from odekit.chains.tuning import precision as guard
from odekit.chains.tuning import precision_choice as choices
from odekit.chains.tuning import shipping
from odekit.chains.tuning.precision import Measurement, PrecisionChoice, measure_precisions
from odekit.core.files import ASSETS, read_json, sha256
from odekit.core.precision import supported_16bit_types
from odekit.core.timing import ROUNDS, Speedup, clock_of, compare, speedup
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
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        return self.inner.eps(x, t) * (1 + self.error)


SLOW, FAST = 0.01, 0.0
CLEAR, NOISY = (1.7, 1.6, 1.8), (1.3, 1.0, 1.6)
"""Speed-ups as measured: median and range."""


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
        return PrecisionChoice("bfloat16", {"float32": Measurement(1.0), "bfloat16": Measurement(0.5, 50.0, CLEAR)})

    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(guard, "supported_16bit_types", lambda device: ("bfloat16",))
    monkeypatch.setattr(choices, "processor_kind", lambda device: "a processor of another kind")
    monkeypatch.setattr(guard, "measure_precisions", measured_now)
    return measured


def resolved(wanted="auto", *settings, images=guard.WORTH_MEASURING):
    chain = Chain.load("odedit", settings)
    return guard.choose_precision(wanted, "cpu", chain.spec, chain.parts, images)


def test_it_is_measured_once_for_machine_and_weights_and_remembered(machine_with_bfloat16, tmp_path):
    assert [resolved(), resolved()] == ["bfloat16", "bfloat16"]
    assert machine_with_bfloat16 == [("bfloat16",)]
    (kept,) = json.loads((tmp_path / "home" / "precision.json").read_text()).values()
    assert kept["tried"]["bfloat16"] == {"seconds": 0.5, "psnr": 50.0, "speedup": list(CLEAR)}


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


def test_a_machine_is_measured_once_it_has_restored_enough_to_gain_from_it(machine_with_bfloat16):
    """Few pictures would gain less than the measurement takes; what came before counts."""
    few = guard.WORTH_MEASURING // 3
    assert [resolved(images=few) for _ in range(2)] == ["float32", "float32"] and machine_with_bfloat16 == []
    assert [resolved(images=few + 2) for _ in range(2)] == ["bfloat16", "bfloat16"]
    assert machine_with_bfloat16 == [("bfloat16",)]


def test_few_pictures_and_a_home_that_cannot_be_written_are_float32_without_a_word(
    machine_with_bfloat16, monkeypatch, tmp_path, recwarn
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "file"))
    assert [resolved(images=1) for _ in range(2)] == ["float32", "float32"]
    assert machine_with_bfloat16 == [] and not recwarn.list


def test_a_processor_whose_choice_ships_with_the_weights_is_not_measured(machine_with_bfloat16, monkeypatch):
    """For the weights that are here, this kind of processor, and this release of torch; else it is measured."""
    (known,) = read_json(ASSETS / "face64" / choices.SHIPPED_FILE)["choices"]
    monkeypatch.setattr(choices, "processor_kind", lambda device: known["processor"])
    monkeypatch.setattr(choices, "torch_release", lambda: known["torch"])
    assert resolved() == known["precision"] and machine_with_bfloat16 == []
    for name, other in (("processor_kind", lambda device: "x86_64 AVX512"), ("torch_release", lambda: "1.0")):
        with monkeypatch.context() as patched:
            patched.setattr(choices, name, other)
            assert resolved() == "bfloat16" and len(machine_with_bfloat16) == 1  # the cache holds afterwards


def test_shipped_choices_are_for_the_weights_that_ship(tmp_path):
    (known,) = read_json(ASSETS / "face64" / choices.SHIPPED_FILE)["choices"]
    weights = ASSETS / "face64" / "diffusion_pytorch_model.safetensors"
    assert sha256(weights).startswith(known["weights"]), "run: odekit calibrate precision"
    assert known["tried"][known["precision"]]["psnr"] >= guard.MIN_PSNR
    assert known["tried"][known["precision"]]["speedup"][1] >= guard.MIN_SPEEDUP


@pytest.mark.parametrize("content", ["", "[]", '{"choices": [3, {"tried": 5}]}', '{"choices": {"a": 1}}'])
def test_a_damaged_file_of_choices_counts_as_none(content, tmp_path):
    (tmp_path / choices.SHIPPED_FILE).write_text(content)
    assert choices.shipped_choice(tmp_path / "weights", "0" * 16, "cpu") is None


def test_calibrate_precision_adds_an_entry_and_keeps_those_of_others(machine_with_bfloat16, monkeypatch, cli, tmp_path):
    monkeypatch.setattr(shipping, "measure_precisions", guard.measure_precisions)
    monkeypatch.setattr(shipping, "reduced_precisions", lambda device: ("bfloat16",))
    out = tmp_path / "precision.json"
    other = {"weights": "0", "processor": "other", "torch": "2.0", "precision": "float32", "tried": {}}
    out.write_text(json.dumps({"choices": [other]}))
    for _ in range(2):
        done = cli("calibrate", "precision", "-o", out, "--chain", "odedit")
        assert done.code == 0, done.err
        assert "bfloat16 1.70 times as fast" in done.out
    first, second = json.loads(out.read_text())["choices"]
    assert first == other and second["processor"] == "a processor of another kind"
    assert choices.choice_from(second).precision == "bfloat16"


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


class Clock:
    """Time that passes only where a computation says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def computation(self, seconds):
        """One that takes the next of `seconds`, again from the start after the last."""
        order = []

        def call():
            self.now += seconds[len(order) % len(seconds)]
            order.append(self.now)

        call.order = order
        return call


def test_computations_take_turns_and_are_compared_within_a_turn():
    """Everything becomes three times slower after a while; the ratio stays, where separate measurements would differ."""
    clock = Clock()
    slow, fast = [2.0] * 4 + [6.0] * 4, [1.0] * 4 + [3.0] * 4
    reference, other = clock.computation(slow), clock.computation(fast)
    _, measured = compare(reference, {"bfloat16": other}, clock)
    assert len(reference.order) == len(other.order) == ROUNDS + 1, "one call to warm up"
    starts = sorted([*reference.order, *other.order])
    assert starts == [time for pair in zip(reference.order, other.order, strict=True) for time in pair]
    assert measured["bfloat16"][1] == Speedup(2.0, 2.0, 2.0)


def test_a_hopeless_computation_is_not_repeated():
    clock = Clock()
    other = clock.computation([100.0])
    _, measured = compare(clock.computation([1.0]), {"float16": other}, clock)
    assert len(other.order) == 2 and measured["float16"][1].most == pytest.approx(0.01)


def test_one_outlier_does_not_change_the_range():
    ratios = [1.5, 1.5, 1.6, 1.4, 1.5, 0.1, 30.0]
    assert speedup(ratios) == Speedup(1.5, 1.4, 1.6)
    assert speedup(ratios).exceeds(1.1) and speedup(ratios).is_clear(1.1)


def test_a_speed_up_within_the_noise_is_not_taken_and_not_remembered(monkeypatch, tmp_path):
    """The median is above the bound, the range is on both sides: the safer precision, and another measurement later."""
    made = {"float32": Network(FAST), "bfloat16": Network(FAST)}
    noisy = Speedup(*NOISY)
    monkeypatch.setattr(guard, "compare", lambda reference, others, clock: (1.0, {"bfloat16": (0.7, noisy)}))
    found = measure_precisions(made.__getitem__, "cpu", ["bfloat16"])
    assert (found.precision, found.clear) == ("float32", False)
    assert found.tree()["margins"]["bfloat16"] == {"speedup": pytest.approx(1.0 - guard.MIN_SPEEDUP), "psnr": None}
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(guard, "supported_16bit_types", lambda device: ("bfloat16",))
    monkeypatch.setattr(choices, "processor_kind", lambda device: "a processor of another kind")
    monkeypatch.setattr(guard, "measure_precisions", lambda load, device, precisions: found)
    assert resolved() == "float32" and not (tmp_path / "home" / "precision.json").exists()


def test_of_two_that_are_as_fast_within_the_noise_the_more_exact_is_taken():
    tried = {
        "float32": Measurement(1.0), "bfloat16": Measurement(0.50, 50.0, (2.0, 1.8, 2.2)),
        "float16": Measurement(0.52, 70.0, (1.9, 1.7, 2.1)), "tf32": Measurement(0.8, 90.0, (1.25, 1.2, 1.3)),
    }  # fmt: skip
    assert guard._fastest_safe(tried) == "float16"


def busy(seconds):
    """Use a processor for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_the_comparison_holds_while_other_programs_use_the_processor():
    """1.5 times as fast is seen as faster, and 1.02 times is not, beside four busy processes."""
    calls = {seconds: partial(Network(seconds).eps, torch.zeros(1, 3, 8, 8, dtype=torch.float64), 500.0)
             for seconds in (0.0300, 0.0294, 0.0200)}  # fmt: skip
    others = [multiprocessing.get_context("spawn").Process(target=busy, args=(60.0,)) for _ in range(4)]
    for process in others:
        process.start()
    try:
        _, found = compare(calls[0.03], {"a": calls[0.02], "b": calls[0.0294]}, clock_of("cpu"))
    finally:
        for process in others:
            process.terminate()
            process.join()
    assert found["a"][1].exceeds(guard.MIN_SPEEDUP) and not found["b"][1].exceeds(guard.MIN_SPEEDUP)


def test_the_choice_and_its_margins_are_in_run_json_and_hold_for_the_folder(
    machine_with_bfloat16, cli, tmp_path, monkeypatch
):
    for number in range(2):
        PIL.Image.fromarray(picture(number, 64, 64)).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(guard, "WORTH_MEASURING", 1)
    quick = ["--set", "restore.inverter.steps=2", "--set", "restore.enhancer=none", "--device", "cpu"]
    assert cli("run", "odedit", tmp_path / "0.png", "-o", tmp_path / "out", *quick).code == 0
    kept = json.loads((tmp_path / "out" / "run.json").read_text())
    assert kept["precision"] == "bfloat16"
    choice = kept["precision_choices"]["face64"]
    assert choice["needed"] == {"speedup": guard.MIN_SPEEDUP, "psnr": guard.MIN_PSNR}
    assert choice["margins"] == {"bfloat16": {"speedup": pytest.approx(0.5), "psnr": 5.0}}
    monkeypatch.setattr(guard, "precision_choice", None)  # the folder has decided: nothing is measured or looked up
    done = cli("run", "odedit", tmp_path / "0.png", tmp_path / "1.png", "-o", tmp_path / "out", "--resume", *quick)
    assert done.code == 0, done.err
    again = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (again["precision"], again["precision_choices"]) == (kept["precision"], kept["precision_choices"])
