"""What solvers are measured on: a prior with pictures, and ways between them and its noise space."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.chains import document as yamldoc
from odekit.chains.resolve import Resolver
from odekit.core.counter import Counter
from odekit.core.interfaces import Prior, State
from odekit.core.noise import BatchNoise, ZeroNoise
from odekit.core.options import Part
from odekit.core.schedule import signal
from odekit.parts.installed import catalog
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.priors.batched import BatchedPrior

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Subject:
    """A prior whose calls are counted, pictures in model space float64 (N, 3, H, W), and what they are."""

    prior: BatchedPrior
    clean: State
    what: str

    @property
    def silence(self) -> BatchNoise:
        """A noise for each picture that nobody draws from."""
        return BatchNoise([ZeroNoise() for _ in range(len(self.clean))])


class Float32:
    """An exact prior as a network of float32 would say it: input and output are rounded."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.shape, self.schedule = prior, prior.shape, prior.schedule

    def eps(self, x: State, t: float) -> State:
        """The exact eps, rounded on both sides."""
        return self.prior.eps(x.float().double(), t).float().double()


def subject(prior: Prior, name: str, limit: int, damaged: bool, seed: int = 0) -> Subject:
    """Pictures for a prior.

    Exact priors: `limit` of their own samples, with noise of 0.25 and a grey stripe where damaged; the prior is
    rounded to float32. Others: the checkout's test faces in order, where damaged each with one of the paper's 20 kinds
    in turn at severity 4; fewer than 20 are taken evenly from the first 20.

    Raises:
        InputError: no faces to measure on.
    """
    counter = Counter()
    if hasattr(prior, "sample"):
        generator = np.random.Generator(np.random.Philox(seed))
        clean: Tensor = prior.sample(limit, generator)
        if damaged:
            import torch

            clean = clean + 0.25 * torch.from_numpy(generator.standard_normal(tuple(clean.shape)))
            clean[..., clean.shape[-1] * 3 // 8 : clean.shape[-1] * 5 // 8] = 0
        what = f"{limit} {'damaged ' if damaged else ''}samples, rounded to float32"
        return Subject(BatchedPrior(Float32(prior), len(clean), counter), clean, f"prior {name}, {what}")
    from benchmarks.prior import damaged as with_damage
    from odekit.core.image import Image, stack
    from odekit.evaluation.experiments.faces import face_set

    pictures = face_set(None, prior.shape[1]).test[: max(limit, 20)]
    if damaged:
        pictures = with_damage(pictures, seed)
    which = [round((i + 0.5) * len(pictures) / limit - 0.5) for i in range(limit)]
    clean = stack([Image.from_uint8(pictures[i]) for i in which])
    what = f"{limit} faces, {'each with one of 20 kinds of damage at severity 4' if damaged else 'undamaged'}"
    return Subject(BatchedPrior(prior, len(clean), counter), clean, f"prior {name}, {what}")


def inverter(where: Subject, solver: str, steps: int, grid: str = "auto") -> OdeInverter:
    """The inverter `ode` with a solver as a chain would name it (a name, or a YAML mapping).

    Raises:
        ConfigError: unknown solver, grid or option.
    """
    raw = {"use": "ode", "solver": yamldoc.parse(solver, "--solver").data, "steps": steps, "grid": grid}
    options: Any = Resolver(catalog(), yamldoc.Document(raw, "", {})).part("inverter", raw, ()).options
    assert isinstance(options, Ode)
    made = catalog().get("solver", options.solver.name).load()(options.solver.options)
    return OdeInverter(options, where.prior, made)


def solver_part(solver: str) -> Part:
    """A solver as a chain would name it, with its options.

    Raises:
        ConfigError: unknown solver or option.
    """
    document = yamldoc.parse(solver, "--solver")
    return Resolver(catalog(), document).part("solver", document.data, ())


def psnrs(a: State, b: State) -> list[float]:
    """PSNR of each picture in dB (the range of a state is 2); infinite where equal, NaN where either is NaN."""
    errors = (a - b).flatten(1).pow(2).mean(dim=1).tolist()
    return [
        math.inf if error == 0 else 10 * math.log10(4 / error) if error < math.inf else math.nan for error in errors
    ]


def median(values: list[float]) -> float:
    """The median; pictures that became NaN count as the worst."""
    return statistics.median(-math.inf if math.isnan(value) else value for value in values)


def median_psnr(a: State, b: State) -> float:
    """Median over pictures of the PSNR in dB."""
    return median(psnrs(a, b))


def yardstick(where: Subject, tops: list[float], tolerance: float) -> dict[float, State]:
    """Latents x at each rho of `tops` by rk45 from the image: one way up with stops."""
    from odekit.parts.inverters.ode import PriorField
    from odekit.parts.solvers.rk45 import Rk45, Rk45Options

    solver = Rk45(Rk45Options(tolerance=tolerance))
    field = PriorField(where.prior)
    carry, found = solver.start(field, where.clean, 0.0), {}
    for rho in [where.prior.schedule.rho(0), *sorted(set(tops))]:
        carry = carry if rho == carry.rho else solver.step(field, carry, rho)
        found[rho] = carry.y * signal(rho)
    return found
