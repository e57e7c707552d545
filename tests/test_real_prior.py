"""The built-in prior through whole chains: bytes, round trips, and faces that come back better than they were."""

import numpy as np
import pytest
from conftest import ROOT

import odekit
from odekit import Chain

CLEAN = sorted((ROOT / "examples" / "clean").glob("*.png"))
SHORT = ["restore.inverter.steps=3", "restore.enhancer.levels=[0]", "restore.enhancer.iterations=2"]


def faces(n):
    return [odekit.read(path) for path in CLEAN[:n]]


def psnr(a, b):
    return 10 * np.log10(1 / np.mean((a - b) ** 2))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_through_the_network_too_bytes_do_not_depend_on_batch_mates(precision):
    """At a batch size of four: alone, among five (a second batch), in another order."""
    chain, images = Chain.load("odedit", SHORT), faces(5)
    together = [r.image.pixels for r in chain.run(images, batch_size=4, precision=precision)]
    alone = chain.run(images[2:3], batch_size=4, precision=precision)[0].image.pixels
    turned = [r.image.pixels for r in chain.run(images[::-1], batch_size=4, precision=precision)][::-1]
    assert np.array_equal(together[2], alone)
    assert all(np.array_equal(a, b) for a, b in zip(together, turned, strict=True))


def test_a_round_trip_returns_the_input_and_halves_its_error_with_the_step():
    """First order: half the step, half the error (6 dB). 40 and 80 levels are coarse, so within 3 dB of that."""
    images = faces(2)
    means = []
    for steps in (40, 80):
        chain = Chain.load(
            "odedit",
            ["restore.colour=keep", "restore.blur=keep", "restore.enhancer=none", f"restore.inverter.steps={steps}"],
        )
        means.append(np.mean([psnr(r.image.pixels, i.pixels) for r, i in zip(chain.run(images), images, strict=True)]))
    assert means[1] > 25
    assert 3 < means[1] - means[0] < 9


@pytest.mark.long
@pytest.mark.parametrize("chain", ["odedit-auto", "odedit"])
def test_the_sample_pictures_come_back_nearer_to_the_originals(chain):
    """The demo's promise, on the six samples whose damage is noise or scattered masks."""
    blurred = {"syn_01555"}
    paths = [path for path in sorted((ROOT / "examples" / "damaged").glob("*.png")) if path.stem not in blurred]
    damaged = [odekit.read(path) for path in paths]
    clean = [odekit.read(ROOT / "examples" / "clean" / path.name) for path in paths]
    restored = Chain.load(chain).run(damaged)
    gains = [
        psnr(r.image.pixels, c.pixels) - psnr(d.pixels, c.pixels)
        for r, d, c in zip(restored, damaged, clean, strict=True)
    ]
    assert np.mean(gains) > 2
    assert min(gains) > 0
