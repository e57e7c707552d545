"""Faces in photographs: detection, alignment, selection, cropping and pasting back."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.faces.masks import Ellipse, Square
from odekit.parts.faces.options import BuiltinDetector
from odekit.plugins.catalog import PluginCatalog

ALIGNER_SHA256 = "f0f54f43a0a13794fe5c67355e4e1b969536b3c720583af59247779892a733dd"


def register(catalog: PluginCatalog) -> None:
    """Register the built-in detector, the paste masks, and the aligner's weights."""
    package = f"{__name__}."
    catalog.detector(
        "builtin",
        package + "detector:BuiltinFaceDetector",
        BuiltinDetector,
        "OpenCV's cascades, checked by a learned aligner",
    )
    catalog.mask("ellipse", package + "masks:EllipseMask", Ellipse, "an ellipse around the face")
    catalog.mask("square", package + "masks:SquareMask", Square, "the whole crop")
    catalog.weights(
        "aligner", path=ASSETS / "aligner" / "model.safetensors", sha256=ALIGNER_SHA256, licence="MIT",
        commercial_use=True, summary="finds the landmarks of a face in a box, and scores how face-like it is",
    )  # fmt: skip
