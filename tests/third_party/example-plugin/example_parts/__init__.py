"""Parts of an example plugin. They use only the public interfaces."""

from __future__ import annotations

from pydantic import Field

from odekit.plugins import ChainRef, Cost, CostContext, Options, PluginCatalog, PriorName, hookimpl


class RalstonOptions(Options):
    """Where inside the step the slope is taken."""

    part = "ralston"
    at: float = Field(default=2 / 3, gt=0, le=1)


class NearestOptions(Options):
    """Whole-number enlargement."""

    part = "nearest"
    scale: int = Field(default=2, ge=1, le=16)


class MirrorOptions(Options):
    """Options of the stage `mirror`."""

    part = "mirror"
    each: ChainRef
    """Stages that run on the picture and on its mirror image."""

    def times(self, key: str) -> int:
        """Both ways cost network calls."""
        return 2

    def describe(self) -> str:
        """For `odekit explain`."""
        return "'each' on the picture and on its mirror image, averaged"


class EstimateOptions(Options):
    """Options of the stage `estimate`."""

    part = "estimate"
    prior: PriorName = None
    """Name of the prior; needed only where the chain has several."""
    timestep: float = Field(default=100.0, ge=0, le=999)
    """Of the noise that is added."""

    def cost(self, chain: CostContext) -> Cost:
        """One network call."""
        return Cost(1)


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    catalog.solver(
        "ralston", "example_parts.parts:Ralston", options=RalstonOptions, summary="Runge-Kutta, 2 calls per step"
    )
    catalog.upsampler(
        "nearest",
        "example_parts.parts:Nearest",
        options=NearestOptions,
        summary="repeats pixels",
        licence="BSD-3-Clause",
    )
    catalog.stage("mirror", "example_parts.stages:Mirror", MirrorOptions, "a chain on a picture and its mirror image")
    catalog.stage("estimate", "example_parts.stages:Estimate", EstimateOptions, "noise, and one estimate without it")
