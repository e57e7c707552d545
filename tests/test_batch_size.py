"""`--batch-size auto`: the fewest slots that are as fast as it gets, and that leave memory free; measured once."""

import json
import math

import pytest
import torch

from odekit import Chain
from odekit.chains.forecast import forecast
from odekit.chains.tuning import batch_size
from odekit.chains.tuning.batch_size import (
    best_batch_size,
    call_timer,
    check_memory,
    choose_batch_size,
    measure_throughput,
    parse_batch_size,
    smallest_near_best,
)
from odekit.chains.tuning.precision import load_prior
from odekit.core.files import read_json
from odekit.errors import ConfigError, OdekitWarning
from odekit.testing import GaussianModel


class Card:
    """A prior whose calls take scripted seconds and memory; the clock is its own."""

    def __init__(self, seconds, memory=lambda slots: 0.0):
        self.inner = GaussianModel(8)
        self.shape, self.schedule = self.inner.shape, self.inner.schedule
        self.seconds, self.memory = seconds, memory
        self.now, self.taken, self.asked = 0.0, 0.0, []

    def eps(self, x, t):
        self.asked.append(len(x))
        self.taken = self.memory(len(x))
        if self.taken > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        self.now += self.seconds(len(x))
        return x

    def clock(self):
        return self.now


@pytest.fixture
def searched(monkeypatch):
    """What a search finds on a scripted card: (slots, the numbers that were tried)."""

    def search(card):
        monkeypatch.setattr("odekit.chains.tuning.precision.time.perf_counter", card.clock)
        monkeypatch.setattr("odekit.chains.tuning.precision.state_device", lambda device: "cpu")
        monkeypatch.setattr(batch_size, "free_gpu_fraction", lambda device: 1 - card.taken)
        found = measure_throughput(call_timer(card, "cuda:0"))
        return smallest_near_best(found), list(found), card

    return search


def launch_bound(until):
    """A call takes as long for any number of pictures, until the card is full; twice as long for twice as many then."""
    return lambda slots: 0.01 * max(1, slots / until)


@pytest.mark.parametrize("until", [1, 16, 64])
def test_it_is_the_fewest_slots_that_fill_the_card(searched, until):
    slots, tried, card = searched(Card(launch_bound(until)))
    assert slots == until
    assert tried == [1 << k for k in range(int(math.log2(until)) + 3)], "two doublings that gain nothing end it"
    assert max(card.asked) == 4 * until


def test_one_doubling_without_a_gain_does_not_end_the_search(searched):
    """Libraries change their algorithms with the size."""
    seconds = {1: 1.0, 2: 2.0, 4: 2.0}
    slots, tried, _ = searched(Card(lambda n: 0.01 * seconds.get(n, n / 2)))
    assert slots == 4 and tried == [1, 2, 4, 8, 16]


def test_five_percent_more_are_not_worth_twice_the_slots(searched):
    slots, _, _ = searched(Card(lambda n: 0.01 * n * {1: 1.2, 2: 1.04}.get(n, 1.0)))
    assert slots == 2


def test_no_more_than_512_are_tried(searched):
    slots, tried, _ = searched(Card(lambda n: 0.01))
    assert slots == tried[-1] == 512


def test_memory_that_runs_out_ends_the_search(searched):
    slots, tried, card = searched(Card(lambda n: 0.01, memory=lambda n: n / 100))
    assert slots == 64 and tried[-1] == 64 and card.asked[-1] == 128


def test_a_fifth_of_the_cards_memory_stays_free(searched):
    slots, _, card = searched(Card(lambda n: 0.01, memory=lambda n: n / 72))
    assert slots == 32 and 64 in card.asked, "64 pictures fit, and take 8/9 of the card"


def test_where_not_even_one_picture_fits_the_run_will_say_so(searched):
    assert searched(Card(lambda n: 0.01, memory=lambda n: 2.0))[0] == 1


def test_another_error_is_an_error(searched):
    def fails(slots):
        raise ValueError("shape")

    with pytest.raises(ValueError, match="shape"):
        searched(Card(fails))


def test_patience_ends_where_a_call_takes_long(searched):
    _, tried, card = searched(Card(lambda n: 4.0 * n**0.5))
    assert tried == [1, 2] and card.asked.count(2) == 1


def test_a_processor_is_not_filled_until_the_system_kills(monkeypatch):
    """What a call took tells what the next one will take."""
    held = [1e9]
    monkeypatch.setattr(batch_size, "peak_memory_bytes", lambda: held[0])
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: 1.9e9)
    monkeypatch.setattr(batch_size, "release_gpu_memory", lambda: None)

    def call(prior, device, give_up, slots, clock):
        held[0] = max(held[0], 1e9 + 2e8 * slots)
        return 0.01

    monkeypatch.setattr(batch_size, "call_seconds", call)
    assert list(measure_throughput(call_timer(GaussianModel(8), "cpu"))) == [1, 2, 4], (
        "8 slots would take 1.6 GB of 1.9"
    )


# --- in chains


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """An empty cache folder, and searches that find 4; how often one was made."""
    made = []

    def found(seconds):
        made.append(seconds)
        return {1: 10.0, 2: 20.0, 4: 40.0, 8: 41.0, 16: 41.0}

    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(batch_size, "measure_throughput", found)
    return made


def best(*settings, precision="float32"):
    chain = Chain.load("odedit", settings)
    return best_batch_size("cpu", precision, chain.spec, chain.parts)


def test_it_is_measured_once_for_machine_weights_and_precision_and_remembered(measured, tmp_path):
    assert [best(), best()] == [4, 4] and len(measured) == 1
    assert best(precision="bfloat16") == 4 and len(measured) == 2
    assert best("priors.face=mixture") == 4 and len(measured) == 3
    kept = json.loads((tmp_path / "home" / "slots.json").read_text()).values()
    assert {one["slots"] for one in kept} == {4} and len(kept) == 3
    assert next(iter(kept))["pictures_per_second"]["8"] == 41.0


def test_a_cache_that_cannot_be_written_is_reported_and_the_run_continues(measured, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "file"))
    with pytest.warns(OdekitWarning, match=r"batch size measured .* set ODEKIT_HOME"):
        assert best() == 4


def test_a_damaged_cache_is_measured_anew(measured, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "slots.json").write_text('{"broken": ')
    assert best() == 4 and len(measured) == 1


def test_chains_without_a_prior_take_the_usual_number(measured):
    chain = Chain([{"upsample": "resize"}], priors={})
    assert best_batch_size("cpu", "float32", chain.spec, chain.parts) == 8 and measured == []


def test_other_programs_do_not_change_what_a_processor_is_measured_to_do():
    """They make calls wait, as sleep does here."""
    prior = Card(lambda slots: batch_size.time.sleep(0.2) or 0.0)
    assert call_timer(prior, "cpu")(2) < 0.1


def test_a_network_is_measured_as_the_run_will_call_it():
    chain = Chain.load("odedit")
    prior = load_prior(chain.spec.priors["face"], "cpu", chain.parts, "float32")
    assert call_timer(prior, "cpu")(2) > 0


@pytest.mark.parametrize("images, slots", [(100, 4), (3, 3), (1, 1)])
def test_there_are_no_more_slots_than_images(measured, images, slots):
    chain = Chain.load("odedit")
    assert choose_batch_size("auto", images, "cpu", "float32", chain.spec, chain.parts) == slots
    assert choose_batch_size(None, images, "cpu", "float32", chain.spec, chain.parts) == min(8, images)


def test_a_run_writes_the_number_down_and_a_resume_keeps_it(measured, monkeypatch, exact, faces, cli, tmp_path):
    out = tmp_path / "out"
    done = cli("run", exact, faces, "-o", out, "--limit", 2, "--batch-size", "auto")
    assert done.code == 0, done.err
    assert read_json(out / "run.json")["slots"] == 2 and len(measured) == 1
    for asked in (["auto"], ["2"]):
        assert cli("run", exact, faces, "-o", out, "--resume", "--batch-size", *asked).code == 0
    assert read_json(out / "run.json")["slots"] == 2 and len(measured) == 1
    assert "--batch-size 2" in cli("run", exact, faces, "-o", out, "--resume", "--batch-size", "5").err


def test_a_chain_opens_and_runs_with_it(measured, exact):
    chain = Chain.load(exact)
    assert chain.open(device="cpu", batch_size="auto").batch_size == 4
    from test_chain import images

    results = chain.run(images(6), device="cpu", batch_size="auto")
    assert [one.record["stages"][0]["batch"] for one in results] == [4] * 4 + [2] * 2


def test_a_forecast_says_the_number(measured, exact, cli):
    assert forecast(Chain.load(exact), 100, "auto", "cpu").batch_size == 4
    assert "25 batch(es) of 4" in " ".join(cli("explain", exact, "--images", 100, "--batch-size", "auto").out.split())


@pytest.mark.parametrize("text, slots", [(None, None), ("auto", "auto"), ("12", 12)])
def test_the_option_is_a_number_or_auto(text, slots):
    assert parse_batch_size(text) == slots


@pytest.mark.parametrize("text", ["0", "-3", "many", "2.5"])
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=f"--batch-size {text}: at least 1, or auto"):
        parse_batch_size(text)


GB = 1e9


def refused_slots(slots, chain="odedit", settings=()):
    loaded = Chain.load(chain, settings)
    with pytest.raises(ConfigError, match=r"GB of memory, and .* at most .* fit") as caught:
        check_memory(slots, "cpu", loaded.spec, loaded.parts)
    return str(caught.value)


def test_a_batch_size_beyond_the_memory_at_hand_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: 16 * GB)
    text = refused_slots(1_000_000_000)
    assert text == (
        "--batch-size 1000000000: this needs about 6,144,000.0 GB of memory, and 16.0 GB are available; at most 2,604 fit"
    )
    loaded = Chain.load("odedit")
    check_memory(2604, "cpu", loaded.spec, loaded.parts)
    refused_slots(2605)


def test_the_bound_knows_the_prior(monkeypatch):
    """Larger pictures need more; an exact prior holds states only; a chain without a prior has no slots to fill."""
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: 1 * GB)
    small = ["priors.face={use: mixture, side: 64}"]
    check_memory(1000, "cpu", Chain.load("odedit", small).spec, Chain.load("odedit", small).parts)
    refused_slots(1000, settings=["priors.face={use: mixture, side: 512}"])
    refused_slots(1000)
    plain = Chain(["denoise"])
    check_memory(10**9, "cpu", plain.spec, plain.parts)


def test_one_slot_is_never_refused(monkeypatch):
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: 0.0)
    loaded = Chain.load("odedit")
    check_memory(1, "cpu", loaded.spec, loaded.parts)


def test_the_command_line_and_the_library_refuse_it(cli, tmp_path, faces):
    done = cli("run", "odedit", faces, "-o", tmp_path / "out", "--batch-size", 10**9, "--device", "cpu")
    assert done.code == 2 and "GB of memory" in done.err and done.err.count("\n") == 1
    with pytest.raises(ConfigError, match="GB of memory"):
        Chain.load("odedit").open(batch_size=10**9, device="cpu", precision="float32")
