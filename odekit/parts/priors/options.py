"""Options of the built-in priors, and their shape and schedule without loading a network. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import AfterValidator, model_validator
from pydantic import Field as Limits

from odekit.core.files import ASSETS
from odekit.core.options import LocalPath, Options
from odekit.core.schedule import NoiseSchedule
from odekit.plugins.weights.hub import HubName, hub_folder

if TYPE_CHECKING:
    from odekit.parts.priors.folder import PriorSpec


def check_hub_name(text: str) -> str:
    """The text. Raises ValueError if it is no name of the hub."""
    HubName.parse(text)
    return text


class NetworkOptions(Options):
    """Options of every prior that is a network."""

    compile: bool = False
    """Compile the network with `torch.compile`. The first call takes a minute; the result is kept in odekit's cache
    folder. On a GPU calls are replayed as CUDA graphs; on a CPU it is no faster (docs/performance.md). If compiling
    fails, the run continues uncompiled with a warning."""


class Face64Options(NetworkOptions):
    """Options of the built-in face prior."""

    part = "face64"


class DiffusersOptions(NetworkOptions):
    """Options of the prior `diffusers`."""

    part = "diffusers"
    path: LocalPath | None = None
    """Folder of a diffusers `UNet2DModel`, or of a pipeline with `unet/`: config.json and safetensors."""
    weights: Annotated[str, AfterValidator(check_hub_name)] | None = None
    """Instead of a folder, a prior of the Hugging Face hub: `hf:OWNER/NAME@REVISION`, see `odekit weights pull`."""

    @model_validator(mode="after")
    def _one_source(self) -> DiffusersOptions:
        if (self.path is None) == (self.weights is None):
            raise ValueError(
                "give either 'path', a folder, or 'weights', a name of the hub such as hf:OWNER/NAME@REVISION"
            )
        return self

    def folder(self) -> Path:
        """The folder of the network. Raises WeightsError if it is to be fetched first."""
        return hub_folder(self.weights) if self.weights is not None else Path(self.path or "")


class GaussianOptions(Options):
    """Options of the prior `gaussian`: the same Gaussian for every pixel; its eps is exact."""

    part = "gaussian"
    side: int = Limits(default=8, ge=1, le=4096)
    mean: float = Limits(default=0.0, ge=-1, le=1)
    variance: float = Limits(default=0.25, gt=0)


class MixtureOptions(Options):
    """Options of the prior `mixture`: the example mixture of Gaussians; its eps is exact."""

    part = "mixture"
    side: int = Limits(default=8, ge=1, le=4096)
    components: int = Limits(default=24, ge=1, le=10_000)
    std: float = Limits(default=0.08, gt=0)
    seed: int = Limits(default=0, ge=0)
    """Seed of the components' means."""


class ExactSpec(NamedTuple):
    """Shape and schedule of an exact prior."""

    shape: tuple[int, int, int]
    schedule: NoiseSchedule


def exact_spec(options: GaussianOptions | MixtureOptions) -> ExactSpec:
    """Shape and schedule (linear betas over 1,000 steps) of an exact prior."""
    return ExactSpec((3, options.side, options.side), NoiseSchedule.linear())


def face64_spec(options: Face64Options) -> PriorSpec:
    """The spec of the built-in prior's folder."""
    from odekit.parts.priors.folder import read_prior_folder

    return read_prior_folder(ASSETS / "face64")


def diffusers_spec(options: DiffusersOptions) -> PriorSpec:
    """The spec of the folder in the options."""
    from odekit.parts.priors.folder import read_prior_folder

    return read_prior_folder(options.folder())
