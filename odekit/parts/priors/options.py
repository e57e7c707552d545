"""Options of the built-in priors, and what is known of a prior without loading it. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field as Limits

from odekit.core.files import ASSETS
from odekit.core.options import Options
from odekit.core.schedule import NoiseSchedule

if TYPE_CHECKING:
    from odekit.parts.priors.folder import PriorSpec


class Network(Options):
    """Options of every prior that is a network."""

    compile: bool = False
    """Compile the network with `torch.compile`: a minute at the first call, kept in odekit's cache folder; on a card
    calls are then replayed as graphs, on a processor nothing was gained (docs/performance.md). Where compiling fails,
    the run says so and goes on without."""


class Face64(Network):
    """Options of the built-in face prior."""

    part = "face64"


class Diffusers(Network):
    """Options of the prior `diffusers`."""

    part = "diffusers"
    path: str
    """Folder of a diffusers `UNet2DModel` (or of a pipeline with `unet/`): config.json and safetensors."""


class Gaussian(Options):
    """Options of the prior `gaussian`: one Gaussian, the same for every pixel; its eps is exact."""

    part = "gaussian"
    side: int = Limits(default=8, ge=1, le=4096)
    mean: float = Limits(default=0.0, ge=-1, le=1)
    variance: float = Limits(default=0.25, gt=0)


class Mixture(Options):
    """Options of the prior `mixture`: the documented mixture of Gaussians; its eps is exact."""

    part = "mixture"
    side: int = Limits(default=8, ge=1, le=4096)
    components: int = Limits(default=24, ge=1, le=10_000)
    std: float = Limits(default=0.08, gt=0)
    seed: int = Limits(default=0, ge=0)
    """Of the components' means."""


class ExactSpec(NamedTuple):
    """Shape and schedule of an exact prior."""

    shape: tuple[int, int, int]
    schedule: NoiseSchedule


def exact_spec(options: Gaussian | Mixture) -> ExactSpec:
    """The exact priors live on linear betas over 1,000 steps."""
    return ExactSpec((3, options.side, options.side), NoiseSchedule.linear())


def face64_spec(options: Face64) -> PriorSpec:
    """What the built-in prior's folder says."""
    from odekit.parts.priors.folder import read_spec

    return read_spec(ASSETS / "face64")


def diffusers_spec(options: Diffusers) -> PriorSpec:
    """What a folder says."""
    from odekit.parts.priors.folder import read_spec

    return read_spec(Path(options.path))
