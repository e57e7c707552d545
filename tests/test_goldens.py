"""What odekit computes differently on purpose from other programs' mistakes and from other conventions.

That it repeats their stored runs (tests/data/README.md) is in test_parity.py; here are the controls: each fault of a
program, and each other convention, would be seen.
"""

import numpy as np
import pytest
import torch
from goldens import golden_flow as flow
from goldens import read_golden, relative_deviation
from goldens.golden_nets import small

from odekit.core.grid import make_grid

LIBRARY = read_golden("ddim_diffusers_small.B")
CODE = read_golden("code_small.B")


@pytest.fixture(scope="module")
def models():
    return flow.models(CODE)


@pytest.fixture(scope="module")
def clipped(models):
    """States of CODE's clipped way up with both models."""
    clean = torch.from_numpy(CODE.input(flow.SHAPE)).double()
    return {name: flow.climb(prior, clean, flow.CLIPPED, noise=flow.draws(CODE)) for name, prior in models.items()}


def test_the_two_labels_differ_by_several_per_cent():
    assert relative_deviation(LIBRARY.arrays["mix_encode_lowlabel_i49"], LIBRARY.arrays["mix_encode_i49"]) > 0.02


@pytest.mark.parametrize("model", ["net", "mix"])
def test_clipping_looks_its_bounds_up_by_timestep(clipped, model):
    """The arrays called BAD looked them up by the index of the step."""
    top = flow.TOP[model]
    seen = clipped[model][top]
    assert relative_deviation(seen, CODE.arrays[f"{model}_encode_cbc_i{top}"]) <= 5e-4
    assert relative_deviation(seen, CODE.arrays[f"{model}_BAD_encode_cbc_stepindex_i{top}"]) > 0.05
    assert relative_deviation(seen, CODE.arrays[f"{model}_encode_i{top}"]) > 0.01


def test_the_clipping_interval_is_that_of_the_timestep(models):
    levels = make_grid("uniform-t", 50, models["net"].schedule)
    far = torch.full((1, 3, 1, 1), 1e6, dtype=torch.float64)
    bounds = [float(flow.CLIP.clip(far, levels.at(i)).max()) * levels.signal(i) for i in range(50)]
    assert np.allclose(bounds, CODE.arrays["cbc_bounds_by_timestep"], rtol=1e-6)
    assert not np.allclose(bounds, CODE.arrays["cbc_bounds_by_stepindex_BAD"], rtol=0.1)


def test_the_last_step_goes_down_to_the_clean_image(models):
    seen = flow.edited(CODE, models["net"])
    assert relative_deviation(seen["edit_clean"], CODE.arrays["edit_clean"]) <= 1e-4
    assert relative_deviation(seen["edit_clean"], CODE.arrays["BAD_edit_final"]) > 0.01


def test_the_golden_network_is_a_prior_of_32_px():
    assert small(LIBRARY, "ddim_small").shape == (3, 32, 32)
