"""Networks called with a fixed number of slots whatever the number of rows: rows are packed, spare slots are grey."""

from __future__ import annotations

from odekit.interfaces import Prior, State
from odekit.schedule import NoiseSchedule


class SlottedPrior:
    """A prior asked about any number of rows, which asks the network about `slots` of them at a time.

    Pictures that need different numbers of updates can so be held together: in every update those that still need it
    are packed into as few calls as possible. Every call has the same shape, so that no row depends on its mates.
    """

    def __init__(self, prior: Prior, slots: int) -> None:
        self.prior = prior
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule
        self.slots = slots
        self.rows = 0
        """Rows asked about so far."""
        self.room = 0
        """Slots of all calls so far; `rows / room` is how well they were filled."""

    def eps(self, x: State, t: float) -> State:
        """The prior's eps at x (N, 3, H, W), in ceil(N / slots) calls."""
        import torch

        parts = []
        for start in range(0, len(x), self.slots):
            part = x[start : start + self.slots]
            self.rows += len(part)
            self.room += self.slots
            if len(part) == self.slots:
                parts.append(self.prior.eps(part, t))
                continue
            spare = torch.zeros((self.slots - len(part), *x.shape[1:]), dtype=x.dtype, device=x.device)
            parts.append(self.prior.eps(torch.cat([part, spare]), t)[: len(part)])
        return torch.cat(parts) if len(parts) > 1 else parts[0] if parts else x

    @property
    def fill(self) -> float:
        """Share of the slots that held a row; 0 before the first call."""
        return self.rows / self.room if self.room else 0.0
