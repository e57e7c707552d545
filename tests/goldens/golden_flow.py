"""Golden runs of the core: the diffusers library's DDIM, and CODE's program, repeated with odekit's own parts.

Both ran the small DDIM network alone (`net`, up to level 29 of 50) and mixed with an exact Gaussian (`mix`, all
levels), which stays well behaved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from goldens.golden_nets import small
from odekit.core.grid import make_grid
from odekit.core.interfaces import Latent, Prior
from odekit.core.noise import ReplayNoise, SharedNoise
from odekit.core.schedule import NoiseSchedule
from odekit.parts.enhancers.langevin import Langevin, LangevinEnhancer, step_size
from odekit.parts.inverters.clip import ConfidenceClip
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.solvers.ddim import Ddim, DdimOptions
from odekit.testing.goldens import Golden

Made = Mapping[str, NDArray[Any]]
STEPS = 50
SHAPE = (1, 3, 32, 32)
TOP = {"net": 29, "mix": STEPS - 1}
CLIP = ConfidenceClip(eta=1.7, ways="up")
PLAIN = Ode(steps=STEPS, grid="uniform-t", start="noised")
CLIPPED = Ode(steps=STEPS, grid="uniform-t", start="noised", clip=CLIP)
LANGEVIN: dict[str, dict[str, Any]] = {
    "constant": {"rule": "constant", "step": 2e-3},
    "geometric": {"rule": "code", "step": 2e-5},
    "variance": {"rule": "variance", "step": 1e-6},
}


class Mixed:
    """`eps = sigma x / (0.25 abar + sigma^2) + 0.1 network(x, t)`."""

    def __init__(self, network: Prior) -> None:
        self.network = network
        self.shape, self.schedule = network.shape, network.schedule

    def eps(self, x: torch.Tensor, t: float) -> torch.Tensor:
        """See the class."""
        abar = self.schedule.abar_at(t)
        told: torch.Tensor = (1 - abar) ** 0.5 * x / (0.25 * abar + 1 - abar) + 0.1 * self.network.eps(x, t)
        return told


class Recorded(Ddim):
    """DDIM that keeps the state after every step."""

    def __init__(self, options: DdimOptions | None = None) -> None:
        super().__init__(options)
        self.states: list[Any] = []

    def step(self, field: Any, carry: Any, rho: float) -> Any:
        """One step, kept."""
        after = super().step(field, carry, rho)
        self.states.append(after)
        return after


def models(golden: Golden) -> dict[str, Prior]:
    """Both models with the golden's weights."""
    network = small(golden, "ddim_small")
    return {"net": network, "mix": Mixed(network)}


def climb(prior: Prior, clean: torch.Tensor, options: Ode, label: Any = "source", noise: Any = None) -> dict[int, Any]:
    """States of the way up by level."""
    solver = Recorded(DdimOptions(label=label))
    inverter = OdeInverter(options, prior, solver)
    inverter.invert(clean, SharedNoise(ReplayNoise(noise or [])))
    first = int(options.start != "image")
    return {i: (c.y * inverter.levels.signal(i)).numpy() for i, c in enumerate(solver.states, first)}


def descend(prior: Prior, x: torch.Tensor, level: int) -> dict[int, Any]:
    """States of the way down by level; -1 is the image."""
    inverter = OdeInverter(Ode(steps=STEPS, grid="uniform-t"), prior, Ddim())
    levels, silent = inverter.levels, SharedNoise(ReplayNoise([]))
    latent = Latent(x, level, inverter.solver.start(inverter.field, x / levels.signal(level), levels.at(level)))
    seen = {}
    while latent.level >= 0:
        latent = inverter.descend(latent, silent)
        seen[latent.level] = latent.x.numpy()
    return seen


def named(golden: Golden, prefix: str, states: Mapping[int, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """The stored ones among the states of a way: `prefix_i07`."""
    for level, state in states.items():
        if f"{prefix}_i{level:02}" in golden.arrays:
            yield f"{prefix}_i{level:02}", state


def way_down(golden: Golden, model: str, prior: Prior) -> Iterator[tuple[str, NDArray[Any]]]:
    """Decoding from the golden's own latent at the top level."""
    seen = descend(prior, tensor(golden, f"{model}_encode_i{TOP[model]}"), TOP[model])
    yield from named(golden, f"{model}_decode", seen)
    yield f"{model}_decode_clean", seen[-1]


def tensor(golden: Golden, name: str) -> torch.Tensor:
    """A stored array as a state."""
    return torch.from_numpy(golden.arrays[name]).double()


def library(golden: Golden) -> Made:
    """diffusers' inverse and forward DDIM schedulers, and the same steps labelled with the level x is at."""
    clean = torch.from_numpy(golden.input(SHAPE)).double()
    made: dict[str, NDArray[Any]] = {}
    options = Ode(steps=STEPS, grid="uniform-t")
    for model, prior in models(golden).items():
        made |= dict(named(golden, f"{model}_encode", climb(prior, clean, options, "target")))
        made |= dict(named(golden, f"{model}_encode_lowlabel", climb(prior, clean, options)))
        made |= dict(way_down(golden, model, prior))
    return made


def timesteps(golden: Golden) -> Made:
    """The library's grid, wherever the number of levels divides that of the schedule."""
    levels = make_grid("uniform-t", STEPS, NoiseSchedule.linear())
    up = np.array(levels.t)
    return {f"DDIMInverseScheduler.leading.{STEPS}": up, f"DDIMScheduler.leading.{STEPS}": up[::-1]}


def code(golden: Golden) -> Made:
    """CODE's program: inversion from a noised first level with and without clipping, decoding, Langevin rounds."""
    made: dict[str, NDArray[Any]] = {}
    both, clean = models(golden), torch.from_numpy(golden.input(SHAPE)).double()
    for model, prior in both.items():
        for suffix, options in (("", PLAIN), ("_cbc", CLIPPED)):
            made |= dict(named(golden, f"{model}_encode{suffix}", climb(prior, clean, options, noise=draws(golden))))
        made |= dict(way_down(golden, model, prior))
    net = both["net"]
    levels = make_grid("uniform-t", STEPS, net.schedule)
    far = torch.full((1, 1, 1, 1), 1e9, dtype=torch.float64)
    made["grid"] = np.array(levels.t)
    made["cbc_bounds_by_timestep"] = np.array(
        [float(CLIP.clip(far, levels.at(i)).max()) * levels.signal(i) for i in range(STEPS)]
    )
    geometric = Langevin(levels=[0], rule="code", step=1.0)
    made["geometric_factors"] = np.array([step_size(geometric, i, levels) for i in range(STEPS)])
    for level in (5, 25):
        made |= langevin(golden, net, level)
    return made | edited(golden, net)


def draws(golden: Golden, count: int = 1) -> list[NDArray[np.float32]]:
    """The program's noise: one generator, draws in call order."""
    rng = np.random.Generator(np.random.PCG64(golden.number("seed_noise")))
    return [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(count)]


def langevin(golden: Golden, net: Prior, level: int) -> dict[str, NDArray[Any]]:
    """Ten noisy updates and one without noise, by each step rule."""
    made, levels = {}, make_grid("uniform-t", STEPS, net.schedule)
    for name, rule in LANGEVIN.items():
        x = tensor(golden, f"langevin_start_i{level:02}")
        noisy = Langevin(levels=[level], iterations=10, temperature=1.0, **rule)
        still = Langevin(levels=[level], iterations=1, temperature=0.0, **rule)
        made[f"langevin_i{level:02}_{name}_a"] = np.array(step_size(noisy, level, levels))
        x = LangevinEnhancer(noisy).enhance(x, level, levels, net, SharedNoise(ReplayNoise(draws(golden, 10))))
        if name == "constant":
            made[f"langevin_i{level:02}_constant_nofinal"] = x.numpy()
        x = LangevinEnhancer(still).enhance(x, level, levels, net, SharedNoise(ReplayNoise([])))
        made[f"langevin_i{level:02}_{name}"] = x.numpy()
    return made


def edited(golden: Golden, net: Prior) -> dict[str, NDArray[Any]]:
    """Two rounds of four noisy updates and a clean one at level 29, the step x 0.8, then the way down."""
    level, levels = TOP["net"], make_grid("uniform-t", STEPS, net.schedule)
    options = Langevin(
        levels=[level], iterations=8, rounds=2, decay=0.8, finish="clean", rule="code", step=2e-5, temperature=1.0
    )
    sizes = [step_size(options, level, levels) * factor for factor in dict(options.updates)]
    x = tensor(golden, f"net_encode_i{level}")
    x = LangevinEnhancer(options).enhance(x, level, levels, net, SharedNoise(ReplayNoise(draws(golden, 8))))
    seen = descend(net, x, level)
    return {
        "edit_step_sizes": np.array(sizes),
        "edit_latent_after_langevin": x.numpy(),
        "edit_decode_i00": seen[0],
        "edit_clean": seen[-1],
    }
