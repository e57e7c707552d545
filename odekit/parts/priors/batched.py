"""The prior as stages use it: calls of a fixed batch size, counted, in the precision of the run."""

from __future__ import annotations

from odekit.core.abilities import HasWeightsDigest
from odekit.core.counter import Counter
from odekit.core.interfaces import Prior, State
from odekit.core.precision import precision
from odekit.core.schedule import NoiseSchedule


class BatchedPrior:
    """A prior asked about any number of rows, which asks the network about `slots` of them at a time.

    Pictures that need different numbers of updates can be held together: in every update those that still need it are
    packed into as few calls as possible. Every call has the same shape, so that no row depends on its batch mates. The
    precision of float32 products (`tf32` or exact) is set here, and nowhere else.
    """

    def __init__(
        self,
        prior: Prior,
        slots: int,
        counter: Counter | None = None,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        self.prior = prior
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule
        self.slots = slots
        self.counter = counter or Counter()
        self.precision = precision
        self.device = device
        self.rows = 0
        """Rows asked about so far."""
        self.room = 0
        """Slots of all calls so far; `rows / room` is how well they were filled."""

    def eps(self, x: State, t: float) -> State:
        """The prior's eps at x (N, 3, H, W), in ceil(N / slots) calls; spare rows are grey."""
        import torch

        parts = []
        for start in range(0, len(x), self.slots):
            part = x[start : start + self.slots]
            self.rows += len(part)
            self.room += self.slots
            if len(part) == self.slots:
                parts.append(self._call(part, t))
                continue
            spare = torch.zeros((self.slots - len(part), *x.shape[1:]), dtype=x.dtype, device=x.device)
            parts.append(self._call(torch.cat([part, spare]), t)[: len(part)])
        return torch.cat(parts) if len(parts) > 1 else parts[0] if parts else x

    def _call(self, x: State, t: float) -> State:
        self.counter.count()
        with precision(self.precision, self.device):
            return self.prior.eps(x, t)

    @property
    def fill(self) -> float:
        """Share of the slots that held a row; 0 before the first call."""
        return self.rows / self.room if self.room else 0.0

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 of the network's weights; None where it has none."""
        return self.prior.weights_digest if isinstance(self.prior, HasWeightsDigest) else None
