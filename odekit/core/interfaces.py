"""All interfaces of odekit: shapes and meaning of what parts and stages exchange.

A plugin implements one of these Protocols and registers it (see `odekit.plugins.hooks`). Optional abilities are in
`odekit.core.abilities`. The conventions on values are in `odekit.core.image` (images), `odekit.core.schedule` (noise
levels) and `odekit.core.noise` (noise streams).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.counter import CallCounter
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
    """A noise-prediction network and its training schedule."""

    shape: tuple[int, int, int]
    """(3, H, W) of the images it was trained on."""
    schedule: NoiseSchedule
    """The noise schedule it was trained with."""

    def eps(self, x: State, t: float) -> State:
        """The predicted noise in x (N, 3, H, W) at timestep t in [0, T-1] (fractions allowed).

        Networks that predict v or x0 are converted by this method only. The result is float64 on x's device.
        """
        ...


class Field(Protocol):
    """The right-hand side of `dy/drho = eps`. An inverter passes it to its solver."""

    def __call__(self, y: State, rho: float, label: float | None = None) -> State:
        """eps at y = x / sqrt(abar) and rho >= 0; one network call.

        `label` is the rho whose timestep is passed to the network (None: `rho` itself). The diffusers library, for
        example, labels inversion steps with their target.
        """
        ...


@dataclass(frozen=True)
class Carry:
    """The state of a solver between steps. Solvers with companion states or history subclass it."""

    y: State
    """y = x / sqrt(abar)."""
    rho: float
    """The noise level of y."""


class Solver(Protocol):
    """An ODE solver for `dy/drho = eps`. The same `step` is used in both directions."""

    order: int
    """Over a fixed interval, its error falls as the size of the steps to this power."""
    nfe_per_step: float
    """Network calls per step; math.nan if adaptive."""
    reversible: bool
    """The steps down undo the steps up exactly (in exact arithmetic), for any network."""

    def start(self, field: Field, y: State, rho: float) -> Any:
        """The initial carry of an inversion or a decoding; no network call."""
        ...

    def step(self, field: Field, carry: Any, rho: float) -> Any:
        """Step from carry.rho to rho, up or down."""
        ...

    def turn(self, carry: Any) -> Any:
        """Switch from inversion to decoding; history that is valid in one direction only is dropped."""
        ...

    def displace(self, carry: Any, delta: State) -> Any:
        """Apply an enhancer's change `delta` to y and to all companion states."""
        ...


@dataclass(frozen=True)
class Latent:
    """The state x at one level of the grid. Level -1 is the clean image (rho = 0)."""

    x: State
    """The state, noisy at `level`."""
    level: int
    """Index of the grid, from -1."""
    carry: Any = None
    """Private data that the inverter needs for its next step."""


class Inverter(Protocol):
    """Maps images into the noise space, and back one level at a time."""

    levels: Levels
    """The grid on which it works."""

    def invert(self, clean: State, rng: Rng) -> Latent:
        """Map the image to the highest level of the grid."""
        ...

    def descend(self, latent: Latent, rng: Rng) -> Latent:
        """Step one level down; from level 0 to the image (level -1)."""
        ...

    def moved(self, latent: Latent, x: State) -> Latent:
        """The latent after an enhancer replaced its state by x."""
        ...


@runtime_checkable
class Pins(Protocol):
    """An inverter that can fix the pixels kept by a mask during decoding (optional)."""

    def pin(self, latent: Latent, keep: Tensor) -> Latent:
        """The latent with the input's pixels, noised to the latent's level, where keep (N, 1, H, W) is 1."""
        ...


@runtime_checkable
class TakesMask(Protocol):
    """An inverter that uses a mask from the start of decoding (optional)."""

    def masked(self, latent: Latent, keep: Tensor) -> Latent:
        """The latent of `invert`, for pictures of which only the pixels where keep (N, 1, H, W) is 1 are to be used."""
        ...


class Enhancer(Protocol):
    """Updates a latent at one level towards higher density under the prior."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which `enhance` is called. Raises ConfigError if a level is not on the grid."""
        ...

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """The updated x at this level."""
        ...


@runtime_checkable
class Adaptive(Protocol):
    """An enhancer that chooses its settings for each image from the inverted latent (optional)."""

    def adapt(self, clean: State, latent: Latent, levels: Levels) -> Fitted:
        """The enhancer for these images; the decision for row i depends on row i only."""
        ...

    def check_prior(self, digest: str | None) -> None:
        """Check that the enhancer was calibrated for a prior whose weights have this SHA-256 (None: it has none).

        Raises:
            ConfigError: it was calibrated for a prior with other weights.
        """
        ...


class Fitted(Enhancer, Protocol):
    """An enhancer with the settings that an adaptive enhancer chose for one batch."""

    decisions: Sequence[Any]
    """One per row; `tree()` returns it as plain data for the record."""

    @property
    def unchanged_rows(self) -> Sequence[int]:
        """Rows that are not enhanced; their output is their input."""
        ...

    def calls(self, row: int, levels: Levels) -> int:
        """The enhancer's network calls that include this row."""
        ...


class Watch(Protocol):
    """Progress callback of `edit`. It changes nothing."""

    def __call__(self, event: str, latent: Latent) -> None:
        """`event` is 'inverted', 'enhanced', 'descended' or 'restored'."""
        ...


@dataclass(frozen=True)
class UpsamplerSpec:
    """Output sizes and purpose of an upsampler. Its licence is set at registration."""

    scale: float | None = None
    """Output side divided by input side, or None if the output side is fixed."""
    side: int | None = None
    """Fixed output side in pixels, or None."""
    aligned_faces_only: bool = False
    """It expects aligned square faces; `odekit.testing.check_upsampler` checks a wide picture if this is False."""
    guided: bool = False
    """It also sees the images as they entered the chain; see `GuidedUpsampler`."""


class Upsampler(Protocol):
    """Adds detail to images: the last step of ODEdit+."""

    spec: UpsamplerSpec
    """Output sizes and purpose."""

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One output per image, in order; rng holds one noise stream per image."""
        ...


class GuidedUpsampler(Protocol):
    """Adds detail to restored images with a view of the originals. Its `spec.guided` is true.

    Such an upsampler may also have the abilities `JudgesResult` and `ForeseesJudgement` of `odekit.core.abilities`.
    """

    spec: UpsamplerSpec
    """Output sizes and purpose, with `guided=True`."""

    def upsample(
        self, images: Sequence[Image], rng: Sequence[Noise], originals: Sequence[Image] | None = None
    ) -> list[Image]:
        """One output per image, in order.

        Args:
            images: restored images.
            rng: one noise stream per image.
            originals: the images as they entered the chain, of any size; None: the restored images themselves.
        """
        ...


@dataclass(frozen=True)
class Face:
    """One detected face. Coordinates are pixels of the photograph: x to the right, y down, origin at its corner."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1."""
    points: tuple[tuple[float, float], ...]
    """Five landmarks: eyes (left and right in the image), nose, corners of the mouth; empty if unknown. For a turned
    face, left and right hold in the upright image."""
    score: float
    """How sure the detector is, from 0 to 1."""
    turn: int = 0
    """Clockwise turn of the photograph after which the face is upright: 0, 90, 180 or 270 degrees."""
    scores: Mapping[str, float] = field(default_factory=dict, compare=False)
    """The scores of the networks behind `score`, by name; empty where there is one only."""


class FaceDetector(Protocol):
    """Detects faces in a photograph."""

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces, best first."""
        ...


class FaceMask(Protocol):
    """Selects the pixels of an aligned face that are pasted back into the photograph."""

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """float32 (H, W) in [0, 1], of the face's size: 1 in the pasted region, soft at its edge, 0 at the border."""
        ...


class Corruption(Protocol):
    """Degrades an image in a known way, for experiments."""

    def corrupt(self, image: Image, rng: Any) -> Image:
        """The degraded image; rng is the image's own numpy Generator."""
        ...


class Metric(Protocol):
    """Measures the quality of restored images."""

    lower_is_better: bool
    """The direction of improvement."""

    def measure(self, restored: Image, reference: Image) -> float:
        """The value for one pair; math.nan if it is undefined."""
        ...


class SubChain(Protocol):
    """A chain inside a stage, with its parts created."""

    def run(self, images: Sequence[Image], place: str) -> list[Result]:
        """One result per image, in order; an image that fails does not stop the others.

        `place` is the position of the sub-chain, such as '1.each'; the noise of its stages depends on it.
        """
        ...


class Tools(Protocol):
    """Services for the factories of stages and of parts with weights, passed beside the options."""

    device: str
    """The torch device of networks, such as cpu or cuda:0."""
    precision: str
    """The torch type of weights and activations of networks: float32, bfloat16 or float16."""
    prior_precision: str
    """The precision of the run as its name, `tf32` and `int8` included, which only priors know. In `int8` what is not
    stored in 8 bits has the type `precision`."""
    aligned: bool
    """The images of this chain are aligned faces already, cropped by the enclosing stage."""
    used: dict[str, str]
    """SHA-256 of the weights that were requested, by name or path; for the record."""

    def weights(self, name: str) -> Any:
        """The verified local path of named weights. Raises WeightsError with the command that downloads them."""
        ...

    def require(self, names: Sequence[str]) -> None:
        """Check that all these weights are available. Raises WeightsError that names every missing one."""
        ...

    def make(self, part: Part, prior: Prior | None = None) -> Any:
        """Build a part (an inverter's solver, a stage's upsampler); `prior` is the result of its `tools.prior()`."""
        ...

    def prior(self, name: str | None = None) -> Prior:
        """The prior passed to `make`, else the chain's prior of this name (None: its only prior).

        In a chain it is a `BatchedPrior`: a view of the loaded network with separate call counts.

        Raises:
            ConfigError: no such prior, or these tools belong to no chain.
        """
        ...

    def chain(self, items: Sequence[Part], *, aligned: bool = False) -> SubChain:
        """A sub-chain that shares the networks of this chain. `aligned`: its inputs are aligned faces.

        Raises:
            ConfigError: these tools belong to no chain.
        """
        ...


class StageContext(Protocol):
    """What a running stage reads from the run and reports to it."""

    seed: int
    """The seed of the run."""
    place: str
    """Position of the stage in the chain, such as '0' or '1.each.0'."""
    batch_size: int
    """The number of rows of every network call; smaller batches are padded."""
    state_device: str
    """Device of float64 states: the run's device, or the CPU if that device has no float64."""
    counter: CallCounter
    """Network calls of the run so far."""
    originals: Sequence[Image]
    """The images of the batch as they entered this chain or sub-chain, with the corrections passed to `original`."""
    earlier: Sequence[Sequence[Mapping[str, Any]]]
    """For each image, the record entries of the earlier stages of this chain or sub-chain."""

    @property
    def failures(self) -> Mapping[int, Exception]:
        """Errors passed to `fail`, by image index."""
        ...

    @property
    def notes(self) -> Mapping[int, Mapping[str, Any]]:
        """Record entries passed to `note`, by image index."""
        ...

    def noise(self, image: Image, sample: int = 0) -> Noise:
        """The noise stream of the image at this position of the chain."""
        ...

    def fail(self, index: int, error: Exception) -> None:
        """Report that image `index` of the batch cannot be restored; the others continue."""
        ...

    def original(self, index: int, image: Image) -> None:
        """Replace the original of image `index` that guided upsamplers see, for a correction of the whole picture."""
        ...

    def note(self, index: int, **entries: Any) -> None:
        """Add entries to the record of image `index` (network calls, decisions)."""
        ...

    def extra(self, index: int, name: str, image: Image) -> None:
        """Add an image that is written beside the output of image `index`."""
        ...

    def picture(self, index: int, name: str, image: Image) -> None:
        """Add an intermediate image of image `index`, for --keep-stages."""
        ...


class Stage(Protocol):
    """One item of a chain: restore, upsample, faces, save, or a plugin's."""

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """One output image per input image, in order."""
        ...
