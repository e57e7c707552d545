"""A stranger's parts, written against the public interfaces alone."""

from __future__ import annotations

from pydantic import Field

import odekit


class RalstonOptions(odekit.Options):
    """Where inside the step the slope is taken."""

    part = "ralston"
    at: float = Field(default=2 / 3, gt=0, le=1)


class NearestOptions(odekit.Options):
    """Whole-number enlargement."""

    part = "nearest"
    scale: int = Field(default=2, ge=1, le=16)


@odekit.hookimpl
def odekit_parts(catalog) -> None:
    catalog.solver(
        "ralston", "stranger_parts.parts:Ralston", options=RalstonOptions, summary="Runge-Kutta, 2 calls per step"
    )
    catalog.upsampler(
        "nearest",
        "stranger_parts.parts:Nearest",
        options=NearestOptions,
        summary="repeats pixels",
        licence="BSD-3-Clause",
    )
