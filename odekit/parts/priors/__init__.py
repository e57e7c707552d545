"""Priors: noise-prediction networks with the schedule they were trained on."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.priors import options
from odekit.plugins.catalog import PluginCatalog

FACE64_SHA256 = "270d76e04c31fd66e10bccc733cccf31163e3b294ced113f9bd680ef8885e3d7"


def register(catalog: PluginCatalog) -> None:
    """Register the built-in priors: networks, and exact models for tests."""
    factories, specs = f"{__name__}.factories:", f"{__name__}.options:"
    catalog.prior(
        "face64", factories + "face64", options.Face64Options, "built-in face prior, 64 px, 11.3 M parameters",
        spec=specs + "face64_spec",
    )  # fmt: skip
    catalog.prior(
        "diffusers", factories + "diffusers", options.DiffusersOptions, "any UNet2DModel folder, by path",
        spec=specs + "diffusers_spec", licence="of the weights",
    )  # fmt: skip
    catalog.prior(
        "gaussian",
        factories + "gaussian",
        options.GaussianOptions,
        "exact Gaussian, for tests",
        spec=specs + "exact_spec",
    )
    catalog.prior(
        "mixture",
        factories + "mixture",
        options.MixtureOptions,
        "exact mixture of Gaussians, for tests",
        spec=specs + "exact_spec",
    )
    catalog.adapter("prior", f"{__name__}.in_memory:adapt")
    catalog.weights(
        "face64", path=ASSETS / "face64", sha256=FACE64_SHA256, licence="MIT", commercial_use=True,
        summary="built-in face prior",
    )  # fmt: skip
