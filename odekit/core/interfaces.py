"""Every interface of odekit on one page. Shapes and meaning are fixed here; bodies are free.

A plugin author implements one of these Protocols and registers it (see `odekit.plugins.hooks`); what a part may offer
beside them is in `odekit.core.abilities`. Conventions on values are stated in `odekit.core.image` (pictures),
`odekit.core.schedule` (noise levels) and `odekit.core.noise` (noise).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.counter import Counter
from odekit.core.grid import Levels
from odekit.core.image import Image
from odekit.core.noise import Noise, Rng
from odekit.core.options import Part
from odekit.core.result import Result
from odekit.core.schedule import NoiseSchedule

if TYPE_CHECKING:
    from torch import Tensor

    State: TypeAlias = Tensor
    """float64 (N, 3, H, W) in model space: `2 * pixels - 1` when clean, `sqrt(abar) x0 + sigma eps` when noisy."""
else:
    State = Any


class Prior(Protocol):
    """A noise-prediction network with the schedule it was trained on."""

    shape: tuple[int, int, int]
    """(3, H, W) of the pictures it knows."""
    schedule: NoiseSchedule

    def eps(self, x: State, t: float) -> State:
        """The noise in x (N, 3, H, W), as the network sees it at timestep t in [0, T-1] (fractions allowed).

        Networks that predict v or x0 are adapted here, nowhere else. The result is float64 on x's device.
        """
        ...


class Field(Protocol):
    """The right-hand side of `dy/drho = eps`, which an inverter hands to its solver."""

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """eps at y = x / sqrt(abar) and rho >= 0; one network call.

        `label` is the rho whose timestep the network is told (that of `rho` itself when None): the diffusers library
        labels inversion steps with their target.
        """
        ...


@dataclass(frozen=True)
class Carry:
    """What a solver hands from step to step. Solvers with companion states or history subclass it."""

    y: State
    """The state over sqrt(abar)."""
    rho: float
    """Where it is."""


class Solver(Protocol):
    """An ODE solver for `dy/drho = eps`. The same `step` serves both directions."""

    order: int
    nfe_per_step: float
    """Network calls per step; math.nan where adaptive."""
    reversible: bool
    """The steps down undo the steps up exactly (in exact arithmetic), whatever the network."""

    def start(self, field: Field, y: State, rho: float) -> Any:
        """The carry at the start of an inversion or of a decoding; no network call."""
        ...

    def step(self, field: Field, carry: Any, rho: float) -> Any:
        """From carry.rho to rho, up or down."""
        ...

    def turn(self, carry: Any) -> Any:
        """The inversion ends here and decoding begins (history that only serves one direction is dropped)."""
        ...

    def displace(self, carry: Any, delta: State) -> Any:
        """An enhancer moved y by delta: companions must follow."""
        ...


@dataclass(frozen=True)
class Latent:
    """A state on its way: x at one level of the grid. Level -1 is the clean image (rho = 0)."""

    x: State
    level: int
    carry: Any = None
    """What the inverter needs to go on; nobody else looks at it."""


class Inverter(Protocol):
    """Takes clean-looking states into the noise space and back, one level at a time."""

    levels: Levels

    def invert(self, clean: State, rng: Rng) -> Latent:
        """From the image to the highest level of the grid."""
        ...

    def descend(self, latent: Latent, rng: Rng) -> Latent:
        """One level down; from level 0 to the image (level -1)."""
        ...

    def moved(self, latent: Latent, x: State) -> Latent:
        """The latent after an enhancer put its state to x."""
        ...


@runtime_checkable
class Pins(Protocol):
    """An inverter that can hold the kept pixels of a mask in place on the way down (optional)."""

    def pin(self, latent: Latent, keep: Tensor) -> Latent:
        """The latent with the input's own pixels, noised to its level, where keep (N, 1, H, W) is 1."""
        ...


class Enhancer(Protocol):
    """Moves a latent at one level towards what the prior finds likely."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which `enhance` is called. Raises ConfigError where a level is not on the grid."""
        ...

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updated x at this level."""
        ...


@runtime_checkable
class Adaptive(Protocol):
    """An enhancer that decides for each picture, once its latent is known (optional)."""

    def fitted(self, clean: State, latent: Latent, levels: Levels) -> Fitted:
        """The enhancer for these pictures; row i's decision depends on row i alone."""
        ...

    def belongs(self, digest: str | None) -> None:
        """Raises ConfigError where it was made for a prior with other weights (their SHA-256; None: it has none)."""
        ...


class Fitted(Enhancer, Protocol):
    """What an adaptive enhancer decided for a batch."""

    decisions: Sequence[Any]
    """One for each row; `tree()` gives it as plain data for the record."""

    @property
    def untouched(self) -> Sequence[int]:
        """Rows that are left alone; they come back as they were."""
        ...

    def calls(self, row: int, levels: Levels) -> int:
        """Network calls of its own that a row takes part in."""
        ...


class Watch(Protocol):
    """Is told how far `edit` is; it changes nothing."""

    def __call__(self, event: str, latent: Latent) -> None:
        """`event` is 'inverted', 'enhanced', 'descended' or 'restored'."""
        ...


@dataclass(frozen=True)
class UpsamplerSpec:
    """The sizes that an upsampler gives, and what it is for. Its licence is stated where it is registered."""

    scale: float | None = None
    """Output side over input side, or None where the output side is fixed."""
    side: int | None = None
    """Fixed output side in pixels, or None."""
    aligned_faces_only: bool = False
    """It knows aligned square faces alone; `odekit.testing.check_upsampler` tries other shapes where this is False."""


class Upsampler(Protocol):
    """Adds detail: the last part of ODEdit+."""

    spec: UpsamplerSpec

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One output per image, in order; rng holds each image's own noise."""
        ...


@dataclass(frozen=True)
class Face:
    """One detected face. Coordinates are pixels of the photograph, x to the right, y down, origin at its corner."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""
    points: tuple[tuple[float, float], ...]
    """Five points: eyes (left and right of the picture), nose, corners of the mouth; empty where unknown."""
    score: float


class FaceDetector(Protocol):
    """Finds faces in a photograph."""

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces, best first."""
        ...


class FaceMask(Protocol):
    """Says which pixels of an aligned face are put back into the photograph."""

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """float32 (H, W) of the face's size in [0, 1]: 1 where it is put back, soft at the edge, 0 at the border."""
        ...


class Corruption(Protocol):
    """Damages a picture in a known way, for experiments."""

    def corrupt(self, image: Image, rng: Any) -> Image:
        """The damaged picture; rng is that picture's own numpy Generator."""
        ...


class Metric(Protocol):
    """Measures restored pictures."""

    lower_is_better: bool

    def measure(self, restored: Image, reference: Image) -> float:
        """One number for one pair; math.nan where it is undefined."""
        ...


class SubChain(Protocol):
    """A chain inside a stage, ready to run."""

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """One result per image, in order; an image that fails does not stop the others.

        `place` says where the sub-chain stands, such as '1.each'; the noise of its stages depends on it.
        """
        ...


class Tools(Protocol):
    """What factories of parts with weights, and of stages, are given besides their options."""

    device: str
    precision: str
    """Of weights and pictures inside networks, as torch names the type: float32, bfloat16 or float16."""
    aligned: bool
    """The pictures of this chain are aligned faces already, cut out by the stage that holds it."""
    used: dict[str, str]
    """SHA-256 of the weights that were asked for, by name or path; for the record."""

    def weights(self, name: str) -> Any:
        """The verified local path of named weights. Raises WeightsError with the command that fetches them."""
        ...

    def require(self, names: Sequence[str]) -> None:
        """See to it that all these weights are here. Raises WeightsError that names every absent one."""
        ...

    def make(self, part: Part, prior: Prior | None = None) -> Any:
        """Build a part (an inverter's solver, a stage's upsampler); `prior` is what its `tools.prior()` gives."""
        ...

    def prior(self, name: str | None = None) -> Prior:
        """The prior that the part was handed (see `make`), else the chain's of this name, or its only one.

        In a chain it is a `BatchedPrior`: a view of the loaded network, with counts of its own.

        Raises:
            ConfigError: no such prior, or these tools belong to no chain.
        """
        ...

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SubChain:
        """A sub-chain that shares the networks of this one. `aligned`: it is given aligned faces only.

        Raises:
            ConfigError: these tools belong to no chain.
        """
        ...


class StageContext(Protocol):
    """What a running stage knows of its run."""

    seed: int
    place: str
    """Where the stage stands in the chain, such as '0' or '1.each.0'."""
    slots: int
    """Rows of every network call; fewer images are padded."""
    state_device: str
    """Where float64 states live: the device, or the CPU where the device has no float64."""
    counter: Counter
    """Network calls of the run so far."""

    @property
    def failures(self) -> Mapping[int, Exception]:
        """Images that `fail` was called for."""
        ...

    @property
    def notes(self) -> Mapping[int, Mapping[str, Any]]:
        """Facts that `note` was given."""
        ...

    def noise(self, image: Image, sample: int = 0) -> Noise:
        """The image's own noise stream at this place."""
        ...

    def fail(self, index: int, error: Exception) -> None:
        """Image `index` of the batch cannot be restored; the others go on."""
        ...

    def note(self, index: int, **facts: Any) -> None:
        """Facts for the record of image `index` (network calls, decisions)."""
        ...

    def extra(self, index: int, name: str, image: Image) -> None:
        """A picture made beside the output of image `index`, written beside it."""
        ...

    def picture(self, index: int, name: str, image: Image) -> None:
        """An intermediate picture of image `index` for --keep-stages."""
        ...


class Stage(Protocol):
    """One item of a chain: restore, upsample, faces, save, or a plugin's."""

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """One image out per image in, in order."""
        ...
