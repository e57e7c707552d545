"""Options of the inverter `sdedit`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.errors import ConfigError
from odekit.plugins import Levels, NoiseSchedule, Options, make_grid


class Sdedit(Options):
    """Noise up to level t0, then one ancestral step per level of the schedule."""

    part = "sdedit"
    t0: int = Field(default=400, ge=2)
    """Number of levels of the schedule. A larger number gives more realistic but less faithful results."""
    variance: Literal["fixedsmall", "fixedlarge"] = "fixedsmall"
    """Variance of the ancestral step: that of the posterior (`fixedsmall`), or beta (`fixedlarge`)."""

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The lowest t0 levels of the schedule."""
        if self.t0 > len(schedule):
            raise ConfigError(f"t0 is {self.t0}: the prior's schedule has {len(schedule)} levels")
        grid = make_grid("uniform-t", len(schedule), schedule)
        return Levels(grid.rho[: self.t0], grid.t[: self.t0], schedule)

    def calls(self, nfe_per_step: float) -> float:
        """Network calls per image and round."""
        return float(self.t0)
