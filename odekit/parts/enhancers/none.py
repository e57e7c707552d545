"""No enhancement: inversion and decoding only."""

from __future__ import annotations

from odekit.core.grid import Levels
from odekit.core.interfaces import Prior, State
from odekit.core.noise import Rng
from odekit.core.options import Options


class NoneOptions(Options):
    """`none` has no options."""

    part = "none"

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """No levels."""
        return frozenset()

    def calls(self, levels: Levels) -> int:
        """0: no network calls."""
        return 0


class NoEnhancer:
    """Leaves the latent unchanged."""

    def __init__(self, options: NoneOptions | None = None) -> None:
        self.options = options or NoneOptions()

    def acts_on(self, levels: Levels) -> frozenset[int]:
        """No levels."""
        return frozenset()

    def enhance(self, x: State, level: int, levels: Levels, prior: Prior, rng: Rng) -> State:
        """x, unchanged."""
        return x
