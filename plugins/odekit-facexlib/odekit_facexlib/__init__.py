"""facexlib's RetinaFace and ParseNet (MIT) for odekit: a face detector, and masks of aligned faces."""

from __future__ import annotations

from odekit.plugins import PluginCatalog, hookimpl
from odekit_facexlib.options import ParsenetMask, Retinaface

RELEASES = "https://github.com/xinntao/facexlib/releases/download/"
MIRROR = "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/"


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the detector, the mask and their weights."""
    catalog.detector(
        "retinaface",
        "odekit_facexlib.detector:RetinafaceDetector",
        Retinaface,
        "RetinaFace (ResNet-50): boxes and five points, also for small and rotated faces",
        results=1,
    )
    catalog.mask(
        "parsenet",
        "odekit_facexlib.mask:ParsenetMasker",
        ParsenetMask,
        "ParseNet: outline of face and hair, without hat and clothes",
        results=1,
    )
    catalog.weights(
        "retinaface-resnet50",
        urls=[RELEASES + "v0.1.0/detection_Resnet50_Final.pth", MIRROR + "detection_Resnet50_Final.pth"],
        sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
        size=109_497_761,
        licence="MIT",
        commercial_use=True,
        summary="face detector, trained on WIDER FACE",
    )
    catalog.weights(
        "parsenet",
        urls=[RELEASES + "v0.2.2/parsing_parsenet.pth", MIRROR + "parsing_parsenet.pth"],
        sha256="3d558d8d0e42c20224f13cf5a29c79eba2d59913419f945545d8cf7b72920de2",
        size=85_331_193,
        licence="MIT",
        commercial_use=True,
        summary="face parsing, 19 classes",
        notice="trained on CelebAMask-HQ, whose pictures are for non-commercial research",
    )
