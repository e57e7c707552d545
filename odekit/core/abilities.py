"""Optional abilities of parts and their options, beside their interface. Code tests for them with `isinstance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.grid import Levels
from odekit.core.image import Image
from odekit.core.interfaces import Face
from odekit.core.options import Options, Part
from odekit.core.schedule import NoiseSchedule


@runtime_checkable
class PacksRows(Protocol):
    """A stage that may process images differently and combines the rows of several batches in one network call."""

    @property
    def packed(self) -> tuple[int, int] | None:
        """Rows requested and rows evaluated (padding included) so far; None if every batch is one call."""
        ...


@runtime_checkable
class FreesTone(Protocol):
    """A stage that may give colours to greyscale and toned pictures; all other stages keep their tone."""

    @property
    def frees_tone(self) -> bool:
        """Whether it does, with its options."""
        ...


@runtime_checkable
class Decides(Protocol):
    """A stage that can report its decision for an image without restoring the image."""

    def decide(self, image: Image, device: str = "cpu") -> dict[str, Any]:
        """The decision, in the form that records use."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A stage that preprocesses an image before its first network call. Forecasts measure the time of this step."""

    def prepare(self, image: Image) -> Any:
        """Preprocess the image. Raises InputError for images that the stage refuses."""
        ...


@runtime_checkable
class ReportsPhases(Protocol):
    """A stage's context that shows the progress of the stage. Use it through `report_phase`."""

    def phase(self, name: str, done: float, total: int) -> None:
        """See `report_phase`."""
        ...


def report_phase(context: object, name: str, done: float, total: int) -> None:
    """Report the progress of a stage, between two pieces of work; does nothing if the context cannot show it.

    Args:
        context: of the stage.
        name: of the phase, such as `searching faces`.
        done: number of images or faces finished in this phase; fractions are progress within one.
        total: number of images or faces of this phase.

    Raises:
        Stopped: the run is to stop. Let it pass.
    """
    if isinstance(context, ReportsPhases):
        context.phase(name, done, total)


@runtime_checkable
class HasBatchSize(Protocol):
    """An upsampler that takes images in groups of this size; called with one group at a time its results are equal."""

    batch_size: int
    """Number of images, at least 1."""


@dataclass(frozen=True)
class Cost:
    """Network calls of a stage per image; None if the number is unknown before the run."""

    calls: int | None = 0
    """Network calls per image."""
    span: tuple[int, int] | None = None
    """The smallest and the largest number, where `calls` is None."""


class CostContext(Protocol):
    """What the chain provides to a stage's options for computing the cost of the stage."""

    def schedule(self, prior: str | None) -> NoiseSchedule | None:
        """The noise schedule of the named prior (None: the chain's only prior); None if the schedule is unknown."""
        ...

    def calls_per_step(self, inverter: Part) -> float:
        """Network calls per step of an inverter's solver; NaN if it has no solver or the solver is adaptive."""
        ...


@runtime_checkable
class HasCost(Protocol):
    """Options of a stage with a known number of network calls."""

    def cost(self, chain: CostContext) -> Cost:
        """The calls per image. Raises ConfigError for invalid options (a level that is not on the grid)."""
        ...


@runtime_checkable
class HasDescription(Protocol):
    """Options of a stage with a short description for `odekit explain`."""

    def describe(self) -> str:
        """The parts of the stage and its main options."""
        ...


@runtime_checkable
class ReportsRejected(Protocol):
    """A face detector that also reports what it considered and rejected."""

    def detect_and_reject(self, image: Image) -> tuple[Sequence[Face], Sequence[tuple[Face, str]]]:
        """All faces, best first, and the rejected proposals with the reason."""
        ...


@runtime_checkable
class CountsFaces(Protocol):
    """Options of a stage whose sub-chains may run once per detected face."""

    def per_face(self, key: str) -> bool:
        """Whether the sub-chain of this option runs once per face instead of once per image."""
        ...


@runtime_checkable
class RepeatsChains(Protocol):
    """Options of a stage that runs a sub-chain several times for each picture."""

    def times(self, key: str) -> int:
        """How often the sub-chain of this option runs for each picture."""
        ...


@runtime_checkable
class KnowsOutputSize(Protocol):
    """A stage that may change the size of pictures and knows the new size before it runs; other stages keep it."""

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) in pixels of the result for a picture of this size."""
        ...


@runtime_checkable
class HasExtras(Protocol):
    """Options of a stage that writes additional images beside the result."""

    @property
    def extras(self) -> Sequence[str]:
        """The names of these images."""
        ...


@runtime_checkable
class HasWeightNames(Protocol):
    """Options of a part that needs several weights."""

    def weight_names(self) -> Sequence[str]:
        """Weights by registered name or by path."""
        ...


@runtime_checkable
class HasWeights(Protocol):
    """Options of a part that needs one weights file, by registered name or by path."""

    weights: str
    """A registered name, or a path."""


@dataclass(frozen=True)
class Package:
    """A Python package that a part needs and that odekit, or the part's plugin, does not install by itself."""

    module: str
    """Name in `import`."""
    install: str
    """The command that installs it, such as `pip install 'odekit[photos]'`."""


@runtime_checkable
class NeedsPackages(Protocol):
    """Options of a part that needs packages beyond the dependencies of its distribution."""

    def packages(self) -> Sequence[Package]:
        """The packages that a run with these options imports."""
        ...


@runtime_checkable
class SkipsParts(Protocol):
    """Options of a stage that does not use all parts that they name."""

    def unused_parts(self) -> Sequence[str]:
        """Names of the options whose part is not created."""
        ...


@runtime_checkable
class HasLevels(Protocol):
    """Options of an inverter with a known grid of noise levels."""

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The grid for a noise schedule."""
        ...


@runtime_checkable
class HasInverterCalls(Protocol):
    """Options of an inverter with a known cost."""

    def calls(self, nfe_per_step: float) -> float:
        """Network calls of one inversion and one decoding; NaN if unknown."""
        ...


@runtime_checkable
class HasEditCalls(Protocol):
    """Options of an inverter with a known cost of edits to the latent."""

    def edit_calls(self, levels: frozenset[int]) -> float:
        """Additional network calls caused by edits at these levels."""
        ...


@runtime_checkable
class HasSolver(Protocol):
    """Options of an inverter with an exchangeable solver."""

    solver: Any
    """The solver, as a `Part` once the chain is resolved."""


@runtime_checkable
class HasEnhancerCalls(Protocol):
    """Options of an enhancer with a known cost."""

    def calls(self, levels: Levels) -> float:
        """Network calls on this grid; NaN if the number is decided per image."""
        ...


@runtime_checkable
class HasCallRange(Protocol):
    """Options of an enhancer or inverter that decides its cost for each image, within limits."""

    def call_range(self, levels: Levels) -> tuple[float, float]:
        """The smallest and the largest number of network calls on this grid."""
        ...


@runtime_checkable
class HasActsOn(Protocol):
    """Options of an enhancer with known active levels."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """The grid indices at which the enhancer acts."""
        ...


@runtime_checkable
class HasCheck(Protocol):
    """Options of an enhancer that can be validated against a grid before a run."""

    def check(self, levels: Levels) -> None:
        """Raises ConfigError if the options are invalid on this grid."""
        ...


@runtime_checkable
class HasStrength(Protocol):
    """Options of a part whose strength the user may set with `--strength`."""

    def with_strength(self, strength: str) -> Options:
        """The options at this strength: auto, none, light, medium or heavy."""
        ...


@runtime_checkable
class MayBeIdle(Protocol):
    """Options of an enhancer that can be set to have no updates, whatever the picture."""

    @property
    def idle(self) -> bool:
        """Whether it has none."""
        ...

    @property
    def idle_entry(self) -> Mapping[str, Any]:
        """What the record says of pictures then."""
        ...


@runtime_checkable
class DrawsHoles(Protocol):
    """Options of an inverter that takes masks (`odekit.core.interfaces.TakesMask`) and draws what is hidden anew."""

    def for_holes(self) -> Options:
        """The options for pictures with large holes."""
        ...


@runtime_checkable
class MayInsist(Protocol):
    """Options of an inverter that leaves some pictures untouched."""

    def for_every_picture(self) -> Options:
        """The options with which no picture is left untouched."""
        ...


@runtime_checkable
class HasSide(Protocol):
    """Options of an upsampler whose results may have any side, set with `--side`."""

    def with_side(self, side: int) -> Options:
        """The options for results of this side in pixels."""
        ...


@runtime_checkable
class HasUpsamplerCalls(Protocol):
    """Options of an upsampler that calls its network several times."""

    def calls(self) -> int:
        """Calls of the upsampler's network per image."""
        ...


class Judgement(Protocol):
    """Whether a result is worth more than its original."""

    @property
    def act(self) -> bool:
        """The result is to be used; otherwise the original is good enough."""
        ...

    @property
    def margin(self) -> float:
        """Expected gain less the least one that counts, as a fall of LPIPS plus half the face distance to the truth.

        The stage `upsample` compares it with the change of identity.
        """
        ...

    def tree(self) -> dict[str, Any]:
        """The judgement as plain data, for the record."""
        ...


@runtime_checkable
class JudgesResult(Protocol):
    """A guided upsampler that tells, for each result, whether it is worth more than its original."""

    def judge(self, original: Image, result: Image) -> Judgement | None:
        """The judgement of one result; None if the options say that every result is used."""
        ...


@runtime_checkable
class ForeseesJudgement(Protocol):
    """One that tells of some faces, before it computes anything, that the result would not be worth more."""

    def foresee(self, original: Image) -> Judgement | None:
        """A judgement that does not act; None: the result is computed, and judged.

        Only for faces that would come back at the size that they have.
        """
        ...


@runtime_checkable
class HasBestGrid(Protocol):
    """Options of a solver that name the grid with the best measured results."""

    best_grid: Any
    """A `GridName`."""


@runtime_checkable
class HasSolverCalls(Protocol):
    """Options of a solver whose cost is not the number of steps times the calls per step."""

    def calls(self, up: int, down: int, image: int) -> float:
        """Network calls of `up` steps up and `down` steps down; `image` of these steps start or end at rho = 0."""
        ...


@runtime_checkable
class HasSolverEditCalls(Protocol):
    """Options of a solver whose companion states need network calls after an edit."""

    def edit_calls(self, levels: frozenset[int], top: int, base: int) -> float:
        """Additional network calls caused by edits at these levels, for levels `base` to `top`."""
        ...


@runtime_checkable
class HasWeightsDigest(Protocol):
    """A prior that provides a digest of its weights."""

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 of the weights; None if there is none."""
        ...


@runtime_checkable
class Placeable(Protocol):
    """A part given as an object that is moved to the device and precision of a run."""

    def placed(self, device: str, precision: str) -> Any:
        """The part on the device, with weights of this torch type; the object itself is unchanged.

        In a run with `--precision int8` a prior is asked for `int8`; one without 8-bit products takes
        `odekit.core.precision.storage_type(precision)`.
        """
        ...


@runtime_checkable
class Configured(Protocol):
    """A part that stores the options it was built from."""

    options: Any
    """The options."""


@runtime_checkable
class HasRowFailures(Protocol):
    """A latent that reports which of its rows failed."""

    @property
    def row_failures(self) -> Mapping[int, str]:
        """The first failure of each failed row, by row index. Reading it synchronises with the device."""
        ...


@dataclass(frozen=True)
class RowFinding:
    """What an inverter found out about one picture."""

    facts: Mapping[str, Any]
    """For the record; a text `message` is shown in the run's findings."""
    pictures: Mapping[str, Any]
    """Maps with values in [0, 1], tensors (3, H, W) by name, for --keep-stages."""
    calls: int
    """Network calls of the inverter that included this picture."""


@runtime_checkable
class HasRowFindings(Protocol):
    """A latent that reports what its inverter found out about each picture."""

    @property
    def row_findings(self) -> Sequence[RowFinding]:
        """One per row. Reading it synchronises with the device."""
        ...


@runtime_checkable
class TreatsRowsApart(Protocol):
    """An inverter, and its options, whose rows need different numbers of calls: a call has only the rows that need it.

    The latents have the ability `HasRowFindings`.
    """

    rows_apart: bool
    """True."""


@runtime_checkable
class HasFailedRows(Protocol):
    """A solver's carry that reports the rows for which the solver gave up."""

    @property
    def failed(self) -> Mapping[int, str]:
        """The reason of each failed row, by row index."""
        ...


@runtime_checkable
class HasWeightsPath(Protocol):
    """The description of a prior before it is loaded, with the path of its weights if the prior is a network."""

    weights: Path
    """The weights file."""


@runtime_checkable
class HasMaskAt(Protocol):
    """A paste mask that is given by a formula, so that it needs no image."""

    def at(self, u: NDArray[np.float64], v: NDArray[np.float64], feather: float) -> NDArray[np.float32]:
        """The mask in [0, 1] at (u, v), fractions of the crop. `feather` is the width of the soft edge, a fraction."""
        ...


@runtime_checkable
class HasSeverity(Protocol):
    """Options of a corruption with a severity level."""

    severity: int
    """From 1 (mild) to 5 (severe)."""


@runtime_checkable
class HasLabel(Protocol):
    """A metric with a label for tables."""

    label: str
    """The label, such as PSNR."""


@runtime_checkable
class HasUnit(Protocol):
    """A metric with a unit."""

    unit: str
    """The unit, such as dB."""


@runtime_checkable
class HasBest(Protocol):
    """A metric with a best value that is neither its maximum nor its minimum."""

    best: float
    """The best value."""


@runtime_checkable
class IsLight(Protocol):
    """A metric of pairs that states whether it is fast and needs no network, so that processes can compute it."""

    light: bool
    """True: several processes may compute it."""


@runtime_checkable
class HasLeastSide(Protocol):
    """A metric with a minimum image side, in pixels."""

    least_side: int
    """Smaller images have no value."""


@runtime_checkable
class MeasuresMany(Protocol):
    """A metric of pairs that measures many pairs in one call."""

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> Sequence[float]:
        """One value per pair, in order."""
        ...


@runtime_checkable
class HasCompile(Protocol):
    """Options of a prior that may be compiled, which takes a minute at the first call."""

    compile: bool
    """Whether it is to be compiled."""


@runtime_checkable
class HasTemperature(Protocol):
    """Options of an enhancer with a temperature of its noise."""

    temperature: float | None
    """Relative to the prior's own noise; None: not set."""
