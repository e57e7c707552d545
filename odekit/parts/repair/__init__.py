"""Classical repair of whole pictures: noise, JPEG blocks, blur, scratches, colour."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.repair.options import Denoise, Mend
from odekit.plugins.catalog import PluginCatalog

SCRATCH_NETWORK_SHA256 = "b9814cf7be103a05fb170e67f36ce8bbe1e8a3ccbf0db92a923d45c147a7e9c0"


def register(catalog: PluginCatalog) -> None:
    """Register the stages `denoise` and `mend`, and the weights of the scratch network."""
    package = f"{__name__}."
    catalog.stage(
        "denoise", package + "denoise:DenoiseStage", Denoise,
        "remove noise from a photograph; a clean one stays unchanged",
    )  # fmt: skip
    catalog.stage(
        "mend", package + "mend:MendStage", Mend,
        "remove JPEG blocks and blur (and scratches, on request) from a photograph; an undamaged one stays unchanged",
    )  # fmt: skip
    catalog.weights(
        "mend", path=ASSETS / "mend" / "model.safetensors", sha256=SCRATCH_NETWORK_SHA256, licence="MIT",
        commercial_use=True,
        summary="detects scratches and cracks in scans of prints",
    )  # fmt: skip
