"""DiffBIR (Lin et al., ECCV 2024, arXiv:2308.15070) for odekit: registers its parts without importing torch."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_diffbir import store
from odekit_diffbir.options import Diffbir


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register the upsampler, its weights and chains."""
    catalog.upsampler(
        "diffbir",
        "odekit_diffbir.upsampler:DiffbirUpsampler",
        Diffbir,
        "SwinIR, then Stable Diffusion 2.1 conditioned by a ControlNet",
        licence=store.LICENCE,
        results=1,
    )
    store.register(catalog)
    for name in ("diffbir", "odedit-diffbir", "photo-diffbir"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
