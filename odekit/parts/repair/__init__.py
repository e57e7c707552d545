"""Repair of whole pictures: noise, JPEG blocks, blur, scratches, colour."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.repair.options import Denoise, Mend
from odekit.plugins.catalog import PluginCatalog

MEND_SHA256 = "e166b43db114651f04b1d0e6e6ae49a9f4d4aae100bb3274567ed72bbbb2eb20"


def register(catalog: PluginCatalog) -> None:
    """The stages `denoise` and `mend`, and the weights of the scratch network."""
    here = f"{__name__}."
    catalog.stage("denoise", here + "denoise:DenoiseStage", Denoise, "take noise off a photograph; a clean one stays")
    catalog.stage(
        "mend", here + "mend:MendStage", Mend, "take JPEG blocks and scratches off a photograph; an undamaged one stays"
    )
    catalog.weights(
        "mend", path=ASSETS / "mend" / "model.safetensors", sha256=MEND_SHA256, licence="MIT", commercial_use=True,
        summary="sees scratches in photographs, and what lies under them",
    )  # fmt: skip
