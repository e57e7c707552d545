"""SDEdit against the official program's own run, and as a part of chains."""

from pathlib import Path

import numpy as np
import pytest
import torch
from goldens import deviation
from odekit_sdedit.inverter import SdeditInverter
from odekit_sdedit.options import Sdedit
from small_prior import small_prior

import odekit
from odekit.edit import edit
from odekit.enhancers.none import NoEnhancer
from odekit.errors import ConfigError
from odekit.image import Image
from odekit.rng import Replay, WholeNoise
from odekit.testing import check_inverter

GOLDEN = dict(np.load(Path(__file__).parent / "data" / "sdedit_small.B.npz"))
TOLERANCE = 1e-4


class Tools:
    def __init__(self, prior):
        self.prior = prior


def replay():
    """The official program's noise: one generator, draws of the whole batch in call order."""
    rng = np.random.Generator(np.random.PCG64(int(GOLDEN["seed_noise"])))
    count = int(GOLDEN["draws_per_repeat"]) * int(GOLDEN["repeats"])
    return WholeNoise(Replay(rng.standard_normal((2, 3, 32, 32)).astype(np.float32) for _ in range(count)))


def run(variance="fixedsmall", keep=None):
    """Both rounds; what was seen: {(round, event, level): x before kept pixels are pasted}."""
    prior = small_prior()
    inverter = SdeditInverter(Sdedit(t0=int(GOLDEN["t0"]), variance=variance), Tools(prior))
    clean = torch.from_numpy(2 * GOLDEN["image"].astype(np.float64) - 1).expand(2, 3, 32, 32).clone()
    seen, rounds = {}, [0]

    def watch(event, latent):
        rounds[0] += event == "inverted"
        seen[rounds[0], event, latent.level] = latent.x.numpy().copy()

    out = edit(clean, inverter, NoEnhancer(), prior, replay(), watch, repeats=int(GOLDEN["repeats"]), keep=keep)
    return seen, out.numpy(), clean.numpy()


def test_every_stored_state_of_the_official_run_is_repeated():
    seen, out, _ = run()
    assert deviation(seen[1, "inverted", 59], GOLDEN["start_repeat1"]) <= TOLERANCE
    assert deviation(seen[1, "descended", 58], GOLDEN["after1_repeat1"]) <= TOLERANCE
    assert deviation(seen[1, "descended", 29], GOLDEN["after30_repeat1"]) <= TOLERANCE
    assert deviation(seen[1, "restored", -1], GOLDEN["free_repeat1"]) <= TOLERANCE
    assert deviation(seen[2, "inverted", 59], GOLDEN["start_repeat2"]) <= TOLERANCE
    assert deviation(out, GOLDEN["free_repeat2"]) <= TOLERANCE


def test_the_larger_variance_is_the_official_one_too():
    seen, out, _ = run("fixedlarge")
    assert deviation(seen[1, "restored", -1], GOLDEN["fixedlarge_repeat1"]) <= TOLERANCE
    assert deviation(out, GOLDEN["fixedlarge_repeat2"]) <= TOLERANCE


def test_kept_pixels_follow_the_official_program_and_come_back_clean():
    keep = torch.from_numpy(GOLDEN["mask_half"].astype(np.float64))[None, None]
    seen, out, clean = run(keep=keep)
    assert deviation(seen[1, "restored", -1], GOLDEN["masked_repeat1"]) <= TOLERANCE
    assert deviation(seen[2, "restored", -1], GOLDEN["masked_repeat2"]) <= TOLERANCE
    assert np.array_equal(out[..., :8], clean[..., :8])


def test_sdedit_keeps_the_rules_of_inverters():
    check_inverter(lambda prior: SdeditInverter(Sdedit(t0=20), Tools(prior)))


def chain(**options):
    parts = [odekit.Restore(inverter={"use": "sdedit", **options}, enhancer="none", repeats=2)]
    return odekit.Chain(parts, priors={"face": {"use": "mixture", "side": 8}})


def pixels(chain):
    image = Image.from_uint8(np.random.Generator(np.random.Philox(0)).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    (result,) = chain.run([image])
    return result.image.pixels, result.record["stages"][0]["calls"]


def test_calls_are_levels_times_rounds():
    assert pixels(chain(t0=30))[1] == 60 == chain(t0=30).plan().calls


def test_each_option_has_an_effect():
    near, far = pixels(chain(t0=30))[0], pixels(chain(t0=200))[0]
    assert np.abs(near - far).max() > 0.05
    assert not np.array_equal(near, pixels(chain(t0=30, variance="fixedlarge"))[0])


def test_the_shipped_chain_has_the_official_defaults():
    assert odekit.Chain.load("sdedit").plan().calls == 1200


def test_more_levels_than_the_schedule_has_are_refused():
    with pytest.raises(ConfigError, match="t0 is 1001: the prior's schedule has 1000 levels"):
        chain(t0=1001).plan()
