"""The prior as stages use it: fixed batch size, counted calls, the precision of the run."""

from __future__ import annotations

from collections.abc import Callable

from odekit.core.abilities import HasWeightsDigest
from odekit.core.counter import CallCounter
from odekit.core.interfaces import Prior, State
from odekit.core.precision import precision
from odekit.core.schedule import NoiseSchedule


class BatchedPrior:
    """Splits any number of rows into network calls of a fixed batch size (`batch_size` rows), padded with zeros.

    Images that need different numbers of updates can be processed together: each update packs the rows that still need
    it into as few calls as possible. Every call has the same shape, so that no row depends on the other rows of its
    batch. The precision of float32 products (`tf32` or exact) is set for these calls only; upsamplers, metrics and the
    scratch network set it for their own calls.
    """

    def __init__(
        self,
        prior: Prior,
        batch_size: int,
        counter: CallCounter | None = None,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        self.prior = prior
        self.shape: tuple[int, int, int] = prior.shape
        self.schedule: NoiseSchedule = prior.schedule
        self.batch_size = batch_size
        self.counter = counter or CallCounter()
        self.precision = precision
        self.device = device
        self.rows = 0
        """Rows evaluated so far."""
        self.capacity = 0
        """Rows of all calls so far, padding included; `rows / capacity` is the fill rate."""
        self.on_call: Callable[[], None] | None = None
        """Progress callback, called after each network call."""

    def eps(self, x: State, t: float) -> State:
        """The prior's eps at x (N, 3, H, W), in ceil(N / batch_size) calls; padding rows are zero (mid-grey)."""
        import torch

        batches = []
        for start in range(0, len(x), self.batch_size):
            batch = x[start : start + self.batch_size]
            self.rows += len(batch)
            self.capacity += self.batch_size
            if len(batch) == self.batch_size:
                batches.append(self._call(batch, t))
                continue
            padding = torch.zeros((self.batch_size - len(batch), *x.shape[1:]), dtype=x.dtype, device=x.device)
            batches.append(self._call(torch.cat([batch, padding]), t)[: len(batch)])
        return torch.cat(batches) if len(batches) > 1 else batches[0] if batches else x

    def _call(self, x: State, t: float) -> State:
        self.counter.count()
        with precision(self.precision, self.device):
            eps = self.prior.eps(x, t)
        if self.on_call is not None:
            self.on_call()
        return eps

    @property
    def fill(self) -> float:
        """Fraction of batch rows that were not padding; 0 before the first call."""
        return self.rows / self.capacity if self.capacity else 0.0

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 of the network's weights; None if it has none."""
        return self.prior.weights_digest if isinstance(self.prior, HasWeightsDigest) else None
