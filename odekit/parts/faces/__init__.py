"""Faces in photographs: detection, alignment, choice, cutting out and pasting back."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.faces.masks import Ellipse, Square
from odekit.parts.faces.options import BuiltinDetector
from odekit.plugins.catalog import PluginCatalog

ALIGNER_SHA256 = "f0f54f43a0a13794fe5c67355e4e1b969536b3c720583af59247779892a733dd"


def register(catalog: PluginCatalog) -> None:
    """The built-in detector, the masks of pasting, and the aligner's weights."""
    here = f"{__name__}."
    catalog.detector(
        "builtin", here + "detector:Builtin", BuiltinDetector, "OpenCV's cascades, checked by a learned aligner"
    )
    catalog.mask("ellipse", here + "masks:EllipseMask", Ellipse, "an ellipse about the face")
    catalog.mask("square", here + "masks:SquareMask", Square, "the whole crop")
    catalog.weights(
        "aligner", path=ASSETS / "aligner" / "model.safetensors", sha256=ALIGNER_SHA256, licence="MIT",
        commercial_use=True, summary="finds the points of a face in a box, and tells faces from others",
    )  # fmt: skip
