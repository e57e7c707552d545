"""DiffBIR (Lin et al., ECCV 2024, arXiv:2308.15070) for odekit. This page registers it; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

from odekit.plugins import PluginCatalog, hookimpl
from odekit_diffbir import store
from odekit_diffbir.options import Diffbir


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """The upsampler, its weights and ready chains."""
    catalog.upsampler(
        "diffbir",
        "odekit_diffbir.upsampler:DiffbirUpsampler",
        Diffbir,
        "a cleaner, then Stable Diffusion 2.1 led by a ControlNet",
        licence=store.LICENCE,
    )
    store.register(catalog)
    for name in ("diffbir", "odedit-diffbir", "photo-diffbir"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
