"""SDEdit as an inverter and as a part of chains."""

import numpy as np
import pytest
import torch
from goldens import read_golden
from goldens.golden_nets import small
from odekit_sdedit.inverter import SdeditInverter
from odekit_sdedit.options import Sdedit

import odekit
from odekit.core.image import Image
from odekit.core.noise import ReplayNoise, SharedNoise
from odekit.edit import edit
from odekit.errors import ConfigError
from odekit.parts.enhancers.none import NoEnhancer
from odekit.testing import StandaloneTools, check_inverter

GOLDEN = read_golden("sdedit_small.B").arrays


def test_kept_pixels_come_back_clean():
    """The official program leaves some noise in them; odekit pastes the input pixels."""
    golden = read_golden("sdedit_small.B")
    prior, noise = small(golden, "ddim_small"), np.random.Generator(np.random.PCG64(1))
    clean = torch.from_numpy(2 * GOLDEN["image"].astype(np.float64) - 1)[None]
    keep = torch.from_numpy(GOLDEN["mask_half"].astype(np.float64))[None, None]
    inverter = SdeditInverter(Sdedit(t0=5), StandaloneTools(prior=prior))
    draws = SharedNoise(ReplayNoise(noise.standard_normal(clean.shape).astype(np.float32) for _ in range(6)))
    out = edit(clean, inverter, NoEnhancer(), prior, draws, keep=keep)
    assert torch.equal(out[..., :8], clean[..., :8])
    assert not torch.equal(out[..., 8:], clean[..., 8:])


def test_sdedit_passes_the_inverter_checks():
    check_inverter(lambda prior: SdeditInverter(Sdedit(t0=20), StandaloneTools(prior=prior)))


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


def test_more_levels_than_the_schedule_are_an_error():
    with pytest.raises(ConfigError, match="t0 is 1001: the prior's schedule has 1000 levels"):
        chain(t0=1001).plan()
