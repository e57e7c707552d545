"""The golden `sdedit_small`: a run of SDEdit's official program, repeated with this plugin's inverter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from goldens.cases import Case
from goldens.golden_nets import small
from numpy.typing import NDArray
from odekit_sdedit.inverter import SdeditInverter
from odekit_sdedit.options import Sdedit

from odekit.chains.tools import PartTools
from odekit.core.interfaces import Latent, Prior
from odekit.core.noise import ReplayNoise, SharedNoise
from odekit.edit import edit
from odekit.parts.enhancers.none import NoEnhancer
from odekit.parts.installed import catalog
from odekit.testing.goldens import Golden

States = dict[tuple[int, str, int], NDArray[Any]]


def sdedit(golden: Golden) -> Mapping[str, NDArray[Any]]:
    """Both rounds with each variance, and with half of the pixels kept."""
    prior, top = small(golden, "ddim_small"), golden.number("t0") - 1
    seen = states(golden, prior, "fixedsmall")
    large = states(golden, prior, "fixedlarge")
    masked = states(golden, prior, "fixedsmall", torch.from_numpy(golden.arrays["mask_half"]).double()[None, None])
    made = {
        "start_repeat1": seen[1, "inverted", top],
        "after1_repeat1": seen[1, "descended", top - 1],
        "after30_repeat1": seen[1, "descended", top - 30],
        "start_repeat2": seen[2, "inverted", top],
    }
    for i in (1, 2):
        made[f"free_repeat{i}"] = seen[i, "restored", -1]
        made[f"fixedlarge_repeat{i}"] = large[i, "restored", -1]
        made[f"masked_repeat{i}"] = masked[i, "restored", -1]
    return made


def states(golden: Golden, prior: Prior, variance: Any, keep: Any = None) -> States:
    """All states of a run: {(round, event, level): x before kept pixels are pasted}."""
    rounds, pair = golden.number("repeats"), (2, *golden.arrays["image"].shape)
    # The official program's noise: one generator, draws of the whole batch in call order.
    rng = np.random.Generator(np.random.PCG64(golden.number("seed_noise")))
    count = golden.number("draws_per_repeat") * rounds
    noise = SharedNoise(ReplayNoise(rng.standard_normal(pair).astype(np.float32) for _ in range(count)))
    clean = torch.from_numpy(2 * golden.arrays["image"].astype(np.float64) - 1).expand(pair).clone()
    inverter = SdeditInverter(
        Sdedit(t0=golden.number("t0"), variance=variance), PartTools(catalog(), "cpu", "float32", prior)
    )
    seen: States = {}
    begun = [0]

    def watch(event: str, latent: Latent) -> None:
        begun[0] += event == "inverted"
        seen[begun[0], event, latent.level] = latent.x.numpy().copy()

    edit(clean, inverter, NoEnhancer(), prior, noise, watch, repeats=rounds, keep=keep)
    return seen


GOLDENS = (Case("sdedit_small", sdedit, skip=("image", "mask_half")),)
