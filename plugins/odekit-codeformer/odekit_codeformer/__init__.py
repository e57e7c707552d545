"""CodeFormer (Zhou et al., NeurIPS 2022, arXiv:2206.11253) for odekit."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_codeformer.options import Codeformer

LICENCE = "S-Lab 1.0 (non-commercial)"


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the upsampler, its weights and chains."""
    catalog.upsampler(
        "codeformer",
        "odekit_codeformer.upsampler:CodeformerUpsampler",
        Codeformer,
        "face restoration with a code book, 512 px, fidelity 0 to 1",
        licence=LICENCE,
        results=1,
        commercial_use=False,
    )
    catalog.weights(
        "codeformer",
        licence=LICENCE,
        commercial_use=False,
        urls=["https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth"],
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        size=376_637_898,
        filename="codeformer.pth",
        summary="CodeFormer v0.1.0, 94.1 M parameters",
        notice="Non-commercial use only; redistribution with the S-Lab notice. Trained on FFHQ (CC BY-NC-SA pictures).",
    )
    for name in ("codeformer", "odedit-codeformer", "photo-codeformer"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
