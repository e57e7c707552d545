"""Options of the inverter `sdedit`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.errors import ConfigError
from odekit.plugins import Levels, NoiseSchedule, Options, make_grid


class Sdedit(Options):
    """Noise up to level t0, then every level of the schedule on the way back."""

    part = "sdedit"
    t0: int = Field(default=400, ge=2)
    """How many of the schedule's levels are walked: more is more realistic and less faithful."""
    variance: Literal["fixedsmall", "fixedlarge"] = "fixedsmall"
    """Of the ancestral step: the posterior's (`fixedsmall`) or beta (`fixedlarge`)."""

    def levels(self, schedule: NoiseSchedule) -> Levels:
        """The lowest t0 levels of the schedule, every one of them."""
        if self.t0 > len(schedule):
            raise ConfigError(f"t0 is {self.t0}: the prior's schedule has {len(schedule)} levels")
        grid = make_grid("uniform-t", len(schedule), schedule)
        return Levels(grid.rho[: self.t0], grid.t[: self.t0], schedule)

    def calls(self, nfe_per_step: float) -> float:
        """Network calls per image and round."""
        return float(self.t0)
