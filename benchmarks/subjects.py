"""What solvers are measured on: a prior with images, and conversions between them and its noise space."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

import numpy as np
import typer

from odekit.chains.document import Document, parse_yaml
from odekit.chains.resolve import Resolver
from odekit.core.counter import CallCounter
from odekit.core.interfaces import Prior, State
from odekit.core.noise import BatchNoise, ZeroNoise
from odekit.core.options import Part
from odekit.core.psnr import psnr_of
from odekit.core.schedule import signal
from odekit.parts.installed import catalog
from odekit.parts.inverters.ode import Ode, OdeInverter
from odekit.parts.priors.batched import BatchedPrior

if TYPE_CHECKING:
    from torch import Tensor

Solvers = Annotated[
    list[str] | None,
    typer.Option("--solver", help="A solver by name or YAML mapping, repeatable; default: all with fixed steps."),
]
Steps = Annotated[list[int] | None, typer.Option("--steps", help="Levels of the grid, repeatable.")]
Grids = Annotated[list[str] | None, typer.Option("--grid", help="auto, uniform-t, karras or log-snr, repeatable.")]
Damaged = Annotated[
    bool | None, typer.Option("--damaged/--clean", help="Damaged images; default: damaged unless the prior is exact.")
]
Limit = Annotated[int, typer.Option(min=1, help="Number of images.")]
Tolerance = Annotated[float, typer.Option(min=1e-12, max=0.1, help="Tolerance of the reference solver rk45.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of samples and damage.")]
Network = Annotated[str, typer.Option("--precision", help="auto, float32, bfloat16 or float16.")]


@runtime_checkable
class CanSample(Protocol):
    """A prior that draws exact samples of its own density."""

    def sample(self, n: int, generator: np.random.Generator) -> Tensor:
        """n samples in model space."""
        ...


class Float32:
    """An exact prior with the rounding of a float32 network: input and output are rounded."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.shape, self.schedule = prior, prior.shape, prior.schedule

    def eps(self, x: State, t: float) -> State:
        """The exact eps, with input and output rounded to float32."""
        return self.prior.eps(x.float().double(), t).float().double()


@dataclass(frozen=True)
class Subject:
    """A prior whose calls are counted, with images in model space, float64 (N, 3, H, W), and their description."""

    prior: BatchedPrior
    clean: State
    description: str

    @property
    def exact(self) -> bool:
        """Whether the prior is an exact one."""
        return isinstance(self.prior.prior, Float32)

    @property
    def zero_noise(self) -> BatchNoise:
        """Zero noise for each image."""
        return BatchNoise([ZeroNoise() for _ in range(len(self.clean))])


def make_subject(prior: Prior, name: str, limit: int, damaged: bool, seed: int = 0) -> Subject:
    """Images for a prior.

    Exact priors get `limit` of their own samples, with noise of 0.25 and a grey stripe where damaged, and are rounded
    to float32. Networks get the test faces of the checkout in order, where damaged each with one of the paper's 20
    kinds in turn at severity 4; fewer than 20 are spread evenly over the first 20.

    Raises:
        InputError: no faces to measure on.
    """
    counter = CallCounter()
    if isinstance(prior, CanSample):
        generator = np.random.Generator(np.random.Philox(seed))
        clean = prior.sample(limit, generator)
        if damaged:
            import torch

            clean = clean + 0.25 * torch.from_numpy(generator.standard_normal(tuple(clean.shape)))
            clean[..., clean.shape[-1] * 3 // 8 : clean.shape[-1] * 5 // 8] = 0
        samples = f"{limit} {'damaged ' if damaged else ''}samples, rounded to float32"
        return Subject(BatchedPrior(Float32(prior), len(clean), counter), clean, f"prior {name}, {samples}")
    from benchmarks.damage import damage_in_turn
    from odekit.core.image import Image, stack
    from odekit.evaluation.experiments.faces import face_set

    pictures = face_set(None, prior.shape[1]).test[: max(limit, 20)]
    if damaged:
        pictures = damage_in_turn(pictures, seed)
    chosen = [round((i + 0.5) * len(pictures) / limit - 0.5) for i in range(limit)]
    clean = stack([Image.from_uint8(pictures[i]) for i in chosen])
    faces = f"{limit} faces, {'each with one of 20 kinds of damage at severity 4' if damaged else 'undamaged'}"
    return Subject(BatchedPrior(prior, len(clean), counter), clean, f"prior {name}, {faces}")


def subject_from_options(
    prior: str, damaged: bool | None, limit: int, seed: int, device: str, precision: str
) -> Subject:
    """The subject that the command line names; damaged by default where the prior is a network."""
    from benchmarks.prior import load_prior

    loaded = load_prior(prior, device, precision)
    return make_subject(loaded, prior, limit, not isinstance(loaded, CanSample) if damaged is None else damaged, seed)


def fixed_step_solvers() -> list[str]:
    """The names of all registered solvers except the adaptive ones."""
    entries = {name: catalog().get("solver", name) for name in catalog().names("solver")}
    return [name for name, entry in entries.items() if not math.isnan(entry.load()(entry.options()).nfe_per_step)]


def make_inverter(subject: Subject, solver: str, steps: int, grid: str = "auto") -> OdeInverter:
    """The inverter `ode` with a solver as a chain names it (a name, or a YAML mapping).

    Raises:
        ConfigError: unknown solver, grid or option.
    """
    raw = {"use": "ode", "solver": parse_yaml(solver, "--solver").data, "steps": steps, "grid": grid}
    options: Any = Resolver(catalog(), Document(raw, "", {})).part("inverter", raw, ()).options
    assert isinstance(options, Ode)
    instance = catalog().get("solver", options.solver.name).load()(options.solver.options)
    return OdeInverter(options, subject.prior, instance)


def solver_part(solver: str) -> Part:
    """A solver as a chain names it, with its options.

    Raises:
        ConfigError: unknown solver or option.
    """
    document = parse_yaml(solver, "--solver")
    return Resolver(catalog(), document).part("solver", document.data, ())


def psnrs(a: State, b: State) -> list[float]:
    """PSNR of each image in dB (the range of a state is 2); infinite where equal, NaN where either is NaN."""
    errors = (a - b).flatten(1).pow(2).mean(dim=1).tolist()
    return [psnr_of(error, 2.0) if error < math.inf else math.nan for error in errors]


def median(values: list[float]) -> float:
    """The median; NaN counts as the worst value."""
    return statistics.median(-math.inf if math.isnan(value) else value for value in values)


def median_psnr(a: State, b: State) -> float:
    """Median over images of the PSNR in dB."""
    return median(psnrs(a, b))


def reference_latents(subject: Subject, tops: list[float], tolerance: float) -> dict[float, State]:
    """Latents x at each rho of `tops` by rk45, in one inversion with stops."""
    from odekit.parts.inverters.ode import PriorField
    from odekit.parts.solvers.rk45 import Rk45, Rk45Options

    solver = Rk45(Rk45Options(tolerance=tolerance))
    field = PriorField(subject.prior)
    carry, latents = solver.start(field, subject.clean, 0.0), {}
    for rho in [subject.prior.schedule.rho(0), *sorted(set(tops))]:
        carry = carry if rho == carry.rho else solver.step(field, carry, rho)
        latents[rho] = carry.y * signal(rho)
    return latents
