"""The latent of the inverter `blind`: what is known about each picture on the way, and what its record says."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from odekit.core.abilities import RowFinding
from odekit.core.interfaces import Latent

if TYPE_CHECKING:
    from torch import Tensor

    from odekit.parts.inverters.likelihood import Damage

MOSTLY_OUTLIERS = 0.6
"""Share of outliers above which the record says that most of the face is invented."""
STRANGE = 8.0
"""`excess` above which the record says that the picture is no face: noise, impulses and masks on faces reach 4.5."""


@dataclass(frozen=True)
class Work:
    """What is known about the pictures of a batch; all tensors have one row for each."""

    observed: Tensor
    repeats: Tensor
    """bool (N, 3, H, W): values that are outliers for certain, because they repeat as only a mask does."""
    centre: Tensor
    """c of the state x = sqrt(abar) (c + rho noise)."""
    noise: Tensor
    fresh: Tensor
    """The part of the noise that was drawn last, independent of c."""
    share: float
    """Factor of this part in the noise."""
    moved: Tensor
    """bool (N,): an enhancer moved the state, so that it is no longer c plus this noise."""
    gains: Tensor
    """(N, groups): the last estimate of the denoiser's derivatives."""
    rho: float
    """Noise level of these gains."""
    damage: Damage
    reliable: Tensor
    result: Tensor

    def select(self, rows: Tensor) -> Work:
        """The rows with these indices."""
        tensors = {name: getattr(self, name)[rows] for name in TENSORS}
        return replace(self, **tensors, damage=self.damage.select(rows))

    def update(self, rows: Tensor, new: Work) -> Work:
        """A copy with the rows of `new` at these indices."""
        tensors = {name: getattr(self, name).index_copy(0, rows, getattr(new, name)) for name in TENSORS}
        return replace(new, **tensors, damage=self.damage.update(rows, new.damage))

    def untouched(self, rows: Tensor) -> Work:
        """A copy in which these rows are finished, and their result is what was observed."""
        kept = self.observed[rows]
        return replace(
            self, centre=self.centre.index_copy(0, rows, kept), result=self.result.index_copy(0, rows, kept)
        )  # fmt: skip


TENSORS = ("observed", "repeats", "centre", "noise", "fresh", "moved", "gains", "reliable", "result")


@dataclass(frozen=True)
class Row:
    """The course of one picture."""

    open: bool = True
    """It is still compared with what was observed."""
    untouched: bool = False
    failed: bool = False
    excess: float = math.nan
    """Squared distance from the denoised version over the expected one."""
    calls: int = 0


@dataclass(frozen=True)
class BlindLatent(Latent):
    """A latent of `blind`, with what was found out about each picture."""

    rows: tuple[Row, ...] = ()
    floor: float = 0.0
    known: Tensor | None = None
    """(1 or N, 1, H, W): reliability given by a mask."""

    @property
    def row_findings(self) -> list[RowFinding]:
        """For each row: entries for its record, the map of its reliability, and its network calls."""
        return [self._finding(i, row) for i, row in enumerate(self.rows)]

    def _finding(self, i: int, row: Row) -> RowFinding:
        work: Work = self.carry
        facts: dict[str, Any] = {"untouched": row.untouched}
        if not math.isnan(row.excess):
            facts["excess"] = round(row.excess, 3)
        if not (row.untouched or row.failed):
            variance = work.damage.variance(work.result, self.floor)[i].mean()
            repeats = 0.0 if self.known is not None else float(work.repeats[i].double().mean())
            share = repeats + (1 - repeats) * float(work.damage.share[i])
            facts |= {"noise": round(float(variance) ** 0.5 / 2, 4), "outliers": round(share, 4)}
            if self.known is None and share > MOSTLY_OUTLIERS:
                facts["message"] = f"{share:.0%} of the values were taken for outliers; most of this face is invented"
            elif self.known is None and row.excess > STRANGE:
                facts["message"] = "this is no picture that noise could have made of a face; the result is invented"
        return RowFinding(facts, {} if row.untouched else {"reliability": work.reliable[i]}, row.calls)

    @property
    def row_failures(self) -> dict[int, str]:
        """Rows that cannot be restored."""
        return {i: "the picture holds values that are NaN or infinite" for i, row in enumerate(self.rows) if row.failed}
