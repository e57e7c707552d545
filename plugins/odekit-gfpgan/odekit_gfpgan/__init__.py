"""GFPGAN (Wang et al., CVPR 2021, arXiv:2101.04061) for odekit."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_gfpgan.options import Gfpgan

LICENCE = "Apache-2.0, with notices of others"
NOTICE = (
    "GFPGAN's own licence is Apache-2.0; its LICENSE file also carries NVIDIA's StyleGAN2 terms (non-commercial) and "
    "DFDNet's (CC BY-NC-SA) for the parts taken from there. Trained on FFHQ (CC BY-NC-SA pictures)."
)
RELEASES = "https://github.com/TencentARC/GFPGAN/releases/download/"
FILES = {
    "1.4": (
        "e2cd4703ab14f4d01fd1383a8a8b266f9a5833dacee8e6a79d3bf21a1b6be5ad",
        ["v1.3.0/GFPGANv1.4.pth", "v1.3.4/GFPGANv1.4.pth"],
    ),
    "1.3": ("c953a88f2727c85c3d9ae72e2bd4846bbaf59fe6972ad94130e23e7017524a70", ["v1.3.0/GFPGANv1.3.pth"]),
}


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the upsampler, its weights and chains."""
    catalog.upsampler(
        "gfpgan",
        "odekit_gfpgan.upsampler:GfpganUpsampler",
        Gfpgan,
        "face restoration with StyleGAN2 as prior, 512 px",
        licence=LICENCE,
        results=1,
    )
    for version, (sha256, places) in FILES.items():
        catalog.weights(
            f"gfpgan-{version}",
            licence=LICENCE,
            commercial_use=True,
            urls=[RELEASES + place for place in places],
            sha256=sha256,
            size=348_632_874,
            filename=f"GFPGANv{version}.pth",
            summary=f"GFPGAN v{version}, 86.4 M parameters",
            notice=NOTICE,
        )
    for name in ("gfpgan", "odedit-gfpgan", "photo-gfpgan"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
