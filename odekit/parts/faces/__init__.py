"""Faces in photographs: detection, alignment, selection, cropping and pasting back."""

from __future__ import annotations

from odekit.core.files import ASSETS
from odekit.parts.faces.masks import Ellipse, Square
from odekit.parts.faces.options import BuiltinDetector, YunetDetector
from odekit.plugins.catalog import PluginCatalog

ALIGNER_SHA256 = "f0f54f43a0a13794fe5c67355e4e1b969536b3c720583af59247779892a733dd"
YUNET_SHA256 = "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31"


def register(catalog: PluginCatalog) -> None:
    """Register the built-in detectors, the paste masks, and the weights of the aligner and of YuNet."""
    package = f"{__name__}."
    catalog.detector(
        "builtin",
        package + "detector:BuiltinFaceDetector",
        BuiltinDetector,
        "YuNet, checked by a learned aligner",
        licence="MIT; Apache-2.0 (YuNet)",
    )
    catalog.detector(
        "yunet",
        package + "detector:YunetFaceDetector",
        YunetDetector,
        "YuNet without the aligner's check",
        licence="MIT; Apache-2.0 (YuNet)",
    )
    catalog.mask("ellipse", package + "masks:EllipseMask", Ellipse, "an ellipse around the face")
    catalog.mask("square", package + "masks:SquareMask", Square, "the whole crop")
    catalog.weights(
        "aligner", path=ASSETS / "aligner" / "model.safetensors", sha256=ALIGNER_SHA256, licence="MIT",
        commercial_use=True, summary="finds the landmarks of a face in a box, and scores how face-like it is",
    )  # fmt: skip
    catalog.weights(
        "yunet", path=ASSETS / "yunet" / "yunet_n_640_640.onnx", sha256=YUNET_SHA256, licence="Apache-2.0",
        commercial_use=True, summary="YuNet: finds faces and their five points in a picture", size=317466,
    )  # fmt: skip
