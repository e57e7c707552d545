"""odekit: blind face restoration by editing in the noise space of a face diffusion model."""

from __future__ import annotations

__version__ = "0.1.0"
