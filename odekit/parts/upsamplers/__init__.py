"""Upsamplers, which add detail to restored faces."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.upsamplers.face_guided import FaceGuided
from odekit.parts.upsamplers.face_x4 import FaceX4
from odekit.parts.upsamplers.resize import Resize
from odekit.plugins.catalog import PluginCatalog

FACE_X4_SHA256 = "cedbbd84e6ed1c96a0094cc33a665a92f9e58821532c60b9c24c5e56ef1b06a4"

FACE_GUIDED_SHA256 = "98f19cc1391981d1d121e9b4b1679fb1e55c76e6614e8dadecaff99de8054a31"


def register(catalog: PluginCatalog) -> None:
    """Register the built-in upsamplers and their weights."""
    package = f"{__name__}."
    catalog.upsampler("resize", package + "resize:ResizeUpsampler", Resize, "Lanczos, bicubic or box resampling")
    catalog.upsampler("face-x4", package + "face_x4:FaceX4Upsampler", FaceX4, "built-in, for faces: 64 to 256 px")
    catalog.weights(
        "face-x4", path=ASSETS / "face-x4" / "model.safetensors", sha256=FACE_X4_SHA256, licence="MIT",
        commercial_use=True, summary="built-in face upsampler",
    )  # fmt: skip
    catalog.upsampler(
        "face-guided", package + "face_guided:FaceGuidedUpsampler", FaceGuided,
        "built-in, for faces: 256 or 512 px from the restored face and the original", results=2,
    )  # fmt: skip
    catalog.weights(
        "face-guided", path=ASSETS / "face-guided" / "model.safetensors", sha256=FACE_GUIDED_SHA256, licence="MIT",
        commercial_use=True, summary="built-in face upsampler that sees the original",
    )  # fmt: skip
