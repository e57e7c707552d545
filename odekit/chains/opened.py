"""What progress and records need of an open session. `odekit.chains.session` defines the session, and uses both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from odekit.chains.execution import Execution
from odekit.chains.resolve import ChainSpec
from odekit.core.counter import CallCounter
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.plugins.catalog import Catalog


class OpenSession(Protocol):
    """See `odekit.chains.session.Session`."""

    spec: ChainSpec
    catalog: Catalog
    seed: int
    execution: Execution
    batch_size: int
    counter: CallCounter
    on_phase: Callable[[str, float, int], None] | None

    @property
    def window(self) -> int:
        """Number of pictures to pass at once."""
        ...

    def run(self, images: Sequence[Image]) -> list[Result]:
        """Run a batch."""
        ...

    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights in use."""
        ...
