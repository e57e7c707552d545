"""Prefetched noise for a GPU equals the noise without prefetching."""

import threading

import numpy as np
import pytest
import torch

from odekit import Chain
from odekit.core import noise as ahead
from odekit.core.noise import BatchNoise, ImageNoise, PrefetchedNoise, ZeroNoise, make_batch_noise, noise_generator


def rows(n=5):
    return [ImageNoise(noise_generator(0, f"picture {i}", "0")) for i in range(n)]


def taken(noise, script):
    """All draws of a sequence of picks and sizes."""
    found = []
    for some, side in script:
        here = noise if some is None else noise.select(some)
        found.append(here.normal_like(torch.zeros((len(here.rows), 3, side, side), dtype=torch.float64)))
    return found


SCRIPTS = {
    "the same again": [(None, 8)] * 4,
    "another size": [(None, 8), (None, 8), (None, 4), (None, 8)],
    "fewer rows": [(None, 8), ([0, 2, 4], 8), ([2], 8), ([4, 1], 8), (None, 8)],
    "fewer rows and another size": [(None, 8), ([1, 3], 5), ([3], 8), (None, 3)],
    "an odd number of values": [(None, 3), (None, 1), (None, 7)],
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_the_numbers_are_those_of_the_streams(script):
    for early, plain in zip(taken(PrefetchedNoise(rows()), script), taken(BatchNoise(rows()), script), strict=True):
        assert torch.equal(early, plain) and early.dtype == torch.float64


def test_one_pick_that_is_asked_again_goes_on_in_its_streams():
    x = torch.zeros((2, 3, 8, 8))
    early, plain = (noise.select([3, 0]) for noise in (PrefetchedNoise(rows()), BatchNoise(rows())))
    for _ in range(3):
        assert torch.equal(early.normal_like(x), plain.normal_like(x))


def test_padding_stays_silent():
    noise = PrefetchedNoise([*rows(1), ZeroNoise()])
    for _ in range(2):
        out = noise.normal_like(torch.zeros((2, 3, 8, 8)))
        assert out[0].std() > 0.5 and not out[1].any()


def test_the_next_draw_is_made_before_it_is_asked_for_and_in_another_thread():
    seen, there = [], threading.Event()

    class Watched(ImageNoise):
        def normal(self, shape):
            seen.append(threading.current_thread().name)
            if len(seen) == 2:
                there.set()
            return super().normal(shape)

    noise = PrefetchedNoise([Watched(noise_generator(0, "picture", "0"))])
    noise.normal_like(torch.zeros((1, 3, 8, 8)))
    assert there.wait(10)
    assert seen[0] == threading.current_thread().name and seen[1].startswith("odekit-noise")


def test_an_error_of_a_thread_is_raised_to_the_caller():
    class Broken(ImageNoise):
        calls = 0

        def normal(self, shape):
            self.calls += 1
            if self.calls > 1:
                raise MemoryError("no more")
            return np.zeros(tuple(shape), np.float32)

    noise = PrefetchedNoise([Broken(noise_generator(0, "picture", "0"))])
    noise.normal_like(torch.zeros((1, 3, 8, 8)))
    with pytest.raises(MemoryError):
        noise.normal_like(torch.zeros((1, 3, 8, 8)))


def test_cards_get_it_and_a_run_gives_the_same_bytes(monkeypatch, exact):
    assert (
        type(make_batch_noise(rows(), "cuda:1")) is PrefetchedNoise
        and type(make_batch_noise(rows(), "cpu")) is BatchNoise
    )
    from test_chain import images

    made = []
    for kind in (BatchNoise, PrefetchedNoise):
        monkeypatch.setattr("odekit.core.noise.make_batch_noise", lambda rows, device, kind=kind: kind(rows))
        made.append([one.image.pixels for one in Chain.load(exact).run(images(3), device="cpu")])
    assert all(np.array_equal(a, b) for a, b in zip(*made, strict=True)) and ahead._prefetch_threads() >= 1
