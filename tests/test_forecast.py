"""`odekit explain --images N`: what a job will take is known before it starts."""

import json
import time

import numpy as np
import pytest
from conftest import EXACT

from odekit import Chain, Image
from odekit.chains.forecast import Forecast, forecast, format_duration
from odekit.parts.priors import exact

CALL = 0.01


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """A chain on 8-pixel pictures whose network calls take a hundredth of a second, and an upsampler after it."""
    own = exact.MixturePrior.eps

    def slow(self, x, t):
        time.sleep(CALL)
        return own(self, x, t)

    monkeypatch.setattr(exact.MixturePrior, "eps", slow)
    path = tmp_path / "slow.yaml"
    path.write_text(EXACT)
    return path


def test_a_job_takes_the_predicted_time(chain):
    """5 pictures in batches of at most 2 are 3 batches."""
    loaded = Chain.load(chain)
    said = forecast(loaded, 5, batch_size=2, device="cpu")
    assert said.calls == loaded.plan().calls and CALL <= said.call_seconds < 2 * CALL
    assert said.seconds == pytest.approx(3 * said.calls * said.call_seconds + 5 * said.other_seconds)
    draws = np.random.Generator(np.random.Philox(0)).random((5, 3, 8, 8), dtype=np.float32)
    began = time.perf_counter()
    loaded.run([Image(pixels) for pixels in draws], device="cpu", batch_size=2)
    assert said.seconds == pytest.approx(time.perf_counter() - began, rel=0.5)


def test_what_comes_after_the_restoration_is_timed_too(chain):
    plain = forecast(Chain.load(chain), 1, device="cpu")
    more = Chain.load("odedit-plus", ["priors.face={use: mixture, side: 64}", "restore.enhancer=none"])
    assert plain.other_seconds < 0.05 < forecast(more, 1, device="cpu").other_seconds


def test_explain_says_it_in_words_and_as_data(chain, cli):
    text = " ".join(cli("explain", chain, "--images", 1000).out.split())
    calls = Chain.load(chain).plan().calls
    assert "1000 image(s) take about" in text and f"125 batch(es) of 8 x {calls} calls" in text
    assert "memory: about" in text
    told = json.loads(cli("explain", chain, "--images", 9, "--batch-size", 3, "--json").out)["forecast"]
    assert (told["images"], told["slots"], told["calls"]) == (9, 3, calls) and 0.1 < told["memory"] < 10


def test_on_a_busy_machine_it_says_what_others_take_and_how_long_it_would_take_without_them():
    busy = Forecast(100, 8, 50, 1.0, 0.0, 0.7, "cpu, float32, 2 thread(s)", share=0.25)
    assert busy.seconds == 650 and busy.idle_seconds == 162.5
    assert busy.lines()[0].endswith(
        "at the current load (other programs leave 25% of the processors; about 3 min without them)"
    )
    rest = Forecast(100, 8, 50, 1.0, 0.0, 0.7, "cpu, float32, 2 thread(s)", share=0.95)
    assert rest.lines()[0].endswith("at the current load")


def test_the_share_is_what_the_processor_worked_of_the_time(chain):
    """Calls that sleep leave the processor to others."""
    assert forecast(Chain.load(chain), 5, batch_size=2, device="cpu").share < 0.5


def test_with_an_unknown_number_of_calls_only_the_time_of_a_call_is_predicted():
    said = Forecast(16, 8, None, 0.4, 0.0, 0.7, "cpu, float32, 2 thread(s)")
    assert said.seconds is None
    expected = "the time for 16 image(s) depends on the images: a network call for 8 of them takes 400 ms"
    assert said.lines()[0].startswith(expected)


@pytest.mark.parametrize("seconds, said", [(7.4, "7 s"), (600, "10 min"), (9000, "2.5 h"), (864000, "10.0 days")])
def test_times_are_formatted_for_people(seconds, said):
    assert format_duration(seconds) == said
