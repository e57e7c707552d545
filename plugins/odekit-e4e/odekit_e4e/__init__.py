"""encoder4editing (Tov et al., SIGGRAPH 2021, arXiv:2102.02766) for odekit."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_e4e.options import E4e

LICENCE = "none stated, with non-commercial parts"
NOTICE = (
    "The authors state no licence for this file. Its generator is NVIDIA's StyleGAN2 for FFHQ (non-commercial), whose "
    "pictures are CC BY-NC-SA; its encoder started from a network trained on MS-Celeb-1M, which was withdrawn."
)
MIRRORS = (
    "https://huggingface.co/zhengchong/e4e/resolve/main/e4e_ffhq_encode.pt",
    "https://huggingface.co/AIRI-Institute/HairFastGAN/resolve/main/pretrained_models/encoder4editing/e4e_ffhq_encode.pt",
)


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the upsampler, its weights and chains."""
    catalog.upsampler(
        "e4e",
        "odekit_e4e.upsampler:E4eUpsampler",
        E4e,
        "projection onto the faces of StyleGAN2 (GAN inversion), 1024 px",
        licence=LICENCE,
        results=1,
        commercial_use=False,
    )
    catalog.weights(
        "e4e-ffhq",
        licence=LICENCE,
        commercial_use=False,
        urls=list(MIRRORS),
        sha256="2ace1d9a8c05c10a399bcd500b8dda118f759ff1aac89dbdab7435f2136a0999",
        size=1_201_649_680,
        filename="e4e_ffhq_encode.pt",
        summary="encoder4editing for FFHQ: encoder (267.1 M parameters) and StyleGAN2 generator (30.4 M)",
        notice=NOTICE,
    )
    for name in ("e4e", "odedit-e4e"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
