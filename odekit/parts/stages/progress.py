"""Progress of `edit`, from the rows that its prior has evaluated."""

from __future__ import annotations

import math

from odekit.core.abilities import HasEnhancerCalls, report_phase
from odekit.core.grid import Levels
from odekit.core.interfaces import Fitted, StageContext
from odekit.core.options import Options
from odekit.parts.priors.batched import BatchedPrior

PHASE = "restoring faces"


class EditProgress:
    """Reports the phase `restoring faces` after every network call of one `edit`, or of one of its rounds.

    Inversion and decoding take the same number of rows, except with
    `TreatsRowsApart`; the updates are known from the enhancer's options, or, for an
    adaptive enhancer, from its decisions.

    Args:
        context: of the stage.
        prior: evaluates the rows.
        levels: of the inverter.
        enhancer: its options.
        rows: rows of the batch, padding included.
        before: faces finished before this batch.
        members: faces of this batch.
        total: faces of the stage.
        rounds: of the edit.
        apart: the inverter has `TreatsRowsApart`; each row takes at most one call per level.
    """

    def __init__(
        self, context: StageContext, prior: BatchedPrior, levels: Levels, enhancer: Options, *,
        rows: int, before: float, members: float, total: float, rounds: int, apart: bool = False,
    ) -> None:  # fmt: skip
        self.context, self.prior, self.levels = context, prior, levels
        self.before, self.members, self.total, self.rounds = before, members, total, rounds
        self.round = 0
        self.share = 0.0
        """Largest share reported so far: the estimate of the rows may grow after the inversion."""
        self.start = prior.rows
        calls = enhancer.calls(levels) if isinstance(enhancer, HasEnhancerCalls) else math.nan
        self.updates = 0.0 if math.isnan(calls) else calls * rows
        self.apart = apart
        self.up = self.down = float(len(levels) * rows)
        """Rows of inversion and decoding: estimated until the inversion has ended."""

    def __enter__(self) -> EditProgress:
        self.prior.on_call = self.report
        self.report()
        return self

    def __exit__(self, *error: object) -> None:
        self.prior.on_call = None

    def inverted(self) -> None:
        """The inversion of a round has ended. An inversion without network calls tells nothing about the decoding."""
        self.up = float(self.prior.rows - self.start)
        if self.up and not self.apart:
            self.down = self.up

    def decided(self, fitted: Fitted) -> None:
        """The strength of every row is known."""
        self.updates = float(sum(fitted.calls(row, self.levels) for row in range(len(fitted.decisions))))

    def restored(self) -> None:
        """A round has ended."""
        self.round += 1
        self.start = self.prior.rows

    def report(self) -> None:
        """Report the share of the rows evaluated so far, in faces."""
        expected = max(1.0, self.up + self.down + self.updates)
        share = (self.round + min(1.0, (self.prior.rows - self.start) / expected)) / self.rounds
        self.share = max(self.share, min(1.0, share))
        report_phase(self.context, PHASE, self.before + self.members * self.share, round(self.total))
