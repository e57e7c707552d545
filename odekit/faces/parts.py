"""Registers what belongs to whole photographs: the stage, the built-in detector, masks, the aligner's weights."""

from __future__ import annotations

from pathlib import Path

from odekit.faces.masks import Ellipse, Square
from odekit.faces.mend_options import Mend
from odekit.faces.options import BuiltinDetector, Denoise, Faces
from odekit.registry import PluginCatalog

ASSET = Path(__file__).parent.parent / "assets" / "aligner" / "model.safetensors"
MEND = Path(__file__).parent.parent / "assets" / "mend" / "model.safetensors"
MEND_SHA256 = "e166b43db114651f04b1d0e6e6ae49a9f4d4aae100bb3274567ed72bbbb2eb20"
SHA256 = "f0f54f43a0a13794fe5c67355e4e1b969536b3c720583af59247779892a733dd"


def register(catalog: PluginCatalog) -> None:
    """All of it."""
    catalog.stage(
        "faces", "odekit.faces_stage:FacesStage", Faces, "find the faces of a photograph, restore each, put them back"
    )
    catalog.stage(
        "denoise",
        "odekit.faces.denoise:DenoiseStage",
        Denoise,
        "take noise off a photograph; a clean one stays",
    )
    catalog.stage(
        "mend",
        "odekit.faces.mend:MendStage",
        Mend,
        "take JPEG blocks and scratches off a photograph; an undamaged one stays",
    )
    catalog.detector(
        "builtin", "odekit.faces.detector:Builtin", BuiltinDetector, "OpenCV's cascades, checked by a learned aligner"
    )
    catalog.mask("ellipse", "odekit.faces.masks:EllipseMask", Ellipse, "an ellipse about the face")
    catalog.mask("square", "odekit.faces.masks:SquareMask", Square, "the whole crop")
    catalog.weights(
        "aligner",
        path=ASSET,
        sha256=SHA256,
        licence="MIT",
        commercial_use=True,
        summary="finds the points of a face in a box, and tells faces from others",
    )
    catalog.weights(
        "mend",
        path=MEND,
        sha256=MEND_SHA256,
        licence="MIT",
        commercial_use=True,
        summary="sees scratches in photographs, and what lies under them",
    )
