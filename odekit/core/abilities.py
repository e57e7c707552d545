"""What parts and their options may offer beside their interface. Each is optional, and asked for with `isinstance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from odekit.core.grid import Levels
from odekit.core.image import Image
from odekit.core.options import Part
from odekit.core.schedule import NoiseSchedule


@runtime_checkable
class PacksRows(Protocol):
    """A stage that may treat pictures differently and fills network calls from several batches."""

    @property
    def packed(self) -> tuple[int, int] | None:
        """Rows asked about and slots called so far; None where every batch is one call."""
        ...


@runtime_checkable
class Decides(Protocol):
    """A stage that can say what it would do to a picture without restoring it."""

    def decide(self, image: Image, device: str = "cpu") -> dict[str, Any]:
        """The decision as records state it."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A stage that works on a picture before its first network call (optional; forecasts time it)."""

    def prepare(self, image: Image) -> Any:
        """The work before the first call. Raises InputError for pictures that the stage refuses."""
        ...


@dataclass(frozen=True)
class Cost:
    """Network calls of a stage for each picture; None where nobody can know before the run."""

    calls: int | None = 0


class CostContext(Protocol):
    """What a stage's options may ask of the chain to tell what the stage costs."""

    def schedule(self, prior: str | None) -> NoiseSchedule | None:
        """The schedule of the chain's prior of this name, or of its only one; None where it does not say."""
        ...

    def calls_per_step(self, inverter: Part) -> float:
        """Network calls per step of an inverter's solver; NaN where it has none or is adaptive."""
        ...


@runtime_checkable
class HasCost(Protocol):
    """Options of a stage that know how many network calls it takes."""

    def cost(self, chain: CostContext) -> Cost:
        """The calls for each picture. Raises ConfigError for what cannot work (a level that is not on the grid)."""
        ...


@runtime_checkable
class HasDescription(Protocol):
    """Options of a stage that describe it in a few words, for `odekit explain`."""

    def describe(self) -> str:
        """Its parts and the options that matter."""
        ...


@runtime_checkable
class CountsFaces(Protocol):
    """Options of a stage whose sub-chains may run once for every face found."""

    def per_face(self, key: str) -> bool:
        """Whether the sub-chain of this option runs for each face, not for each picture."""
        ...


@runtime_checkable
class RepeatsChains(Protocol):
    """Options of a stage that runs a sub-chain several times for each picture."""

    def times(self, key: str) -> int:
        """How often the sub-chain of this option runs for each picture."""
        ...


@runtime_checkable
class HasExtras(Protocol):
    """Options of a stage that writes pictures beside the result."""

    @property
    def extras(self) -> Sequence[str]:
        """Their names."""
        ...


@runtime_checkable
class HasWeightNames(Protocol):
    """Options of a part that needs several named weights."""

    def weight_names(self) -> Sequence[str]:
        """Names or paths."""
        ...


@runtime_checkable
class HasWeights(Protocol):
    """Options of a part that needs one named weights file, or a file of the user's own."""

    weights: str


@runtime_checkable
class HasLevels(Protocol):
    """Options of an inverter that know its grid."""

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The grid on a schedule."""
        ...


@runtime_checkable
class HasInverterCalls(Protocol):
    """Options of an inverter that know its cost."""

    def calls(self, nfe_per_step: float) -> float:
        """Network calls of one inversion and one decoding; NaN where nobody can know."""
        ...


@runtime_checkable
class HasEditCalls(Protocol):
    """Options of an inverter that know what following edits costs."""

    def edit_calls(self, levels: frozenset[int]) -> float:
        """Network calls that edits at these levels add."""
        ...


@runtime_checkable
class HasSolver(Protocol):
    """Options of an inverter with an exchangeable solver."""

    solver: Any


@runtime_checkable
class HasEnhancerCalls(Protocol):
    """Options of an enhancer that know its cost."""

    def calls(self, levels: Levels) -> float:
        """Network calls on this grid; NaN where it decides for each picture."""
        ...


@runtime_checkable
class HasActsOn(Protocol):
    """Options of an enhancer that know at which levels it acts."""

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """Grid indices."""
        ...


@runtime_checkable
class HasCheck(Protocol):
    """Options of an enhancer that can be checked against a grid before a run."""

    def check(self, levels: Levels) -> None:
        """Raises ConfigError where they cannot work on this grid."""
        ...


@runtime_checkable
class HasUpsamplerCalls(Protocol):
    """Options of an upsampler with an iterated network of its own."""

    def calls(self) -> int:
        """Calls of its own network for each picture."""
        ...


@runtime_checkable
class HasBestGrid(Protocol):
    """Options of a solver that state the grid on which it measured best."""

    best_grid: Any


@runtime_checkable
class HasSolverCalls(Protocol):
    """Options of a solver whose cost is not steps times calls per step."""

    def calls(self, up: int, down: int, image: int) -> float:
        """Network calls of `up` steps up and `down` steps down, `image` of which touch rho = 0."""
        ...


@runtime_checkable
class HasSolverEditCalls(Protocol):
    """Options of a solver whose companions follow edits with network calls."""

    def edit_calls(self, levels: frozenset[int], top: int, base: int) -> float:
        """Network calls that edits at these levels add, on levels `base` to `top`."""
        ...


@runtime_checkable
class HasWeightsDigest(Protocol):
    """A prior whose weights have a digest."""

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 of the weights."""
        ...


@runtime_checkable
class Configured(Protocol):
    """A part that keeps the options it was made from."""

    options: Any


@runtime_checkable
class HasTrouble(Protocol):
    """A latent that knows which of its rows went wrong."""

    @property
    def trouble(self) -> Mapping[int, str]:
        """Row: what happened, the first thing only. Asking waits for the device."""
        ...


@runtime_checkable
class HasFailedRows(Protocol):
    """A solver's carry that knows which of its rows the solver gave up."""

    @property
    def failed(self) -> Mapping[int, str]:
        """Row: why."""
        ...


@runtime_checkable
class HasWeightsPath(Protocol):
    """What is known of a prior before it is loaded, where it is a network."""

    weights: Path
    """Its weights file."""


@runtime_checkable
class HasMaskAt(Protocol):
    """A mask of pasting that is a formula, so that it needs no picture."""

    def at(self, u: NDArray[np.float64], v: NDArray[np.float64], feather: float) -> NDArray[np.float32]:
        """The mask in [0, 1] at fractions (u, v) of the crop; `feather` is the width of its soft edge, a fraction."""
        ...


@runtime_checkable
class HasSeverity(Protocol):
    """Options of a corruption with a severity."""

    severity: int


@runtime_checkable
class HasLabel(Protocol):
    """A metric with a label for tables."""

    label: str


@runtime_checkable
class HasUnit(Protocol):
    """A metric with a unit."""

    unit: str


@runtime_checkable
class HasBest(Protocol):
    """A metric that is best at a value, not where it is largest or smallest."""

    best: float


@runtime_checkable
class IsLight(Protocol):
    """A metric of pairs that says whether it is quick and needs no network, so that processes can work it out."""

    light: bool


@runtime_checkable
class HasLeastSide(Protocol):
    """A metric that needs pictures of at least this side in pixels."""

    least_side: int


@runtime_checkable
class MeasuresMany(Protocol):
    """A metric of pairs that sees many pairs in one call."""

    def measure_many(self, restored: Sequence[Image], reference: Sequence[Image]) -> Sequence[float]:
        """One value per pair, in order."""
        ...
