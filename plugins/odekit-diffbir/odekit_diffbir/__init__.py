"""DiffBIR (Lin et al., ECCV 2024, arXiv:2308.15070) for odekit. This page registers it; nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

import odekit
from odekit.plugins import PluginCatalog
from odekit_diffbir import store
from odekit_diffbir.options import Diffbir


@odekit.hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """The upsampler, its weights, ready chains, and what it computes for the goldens."""
    catalog.upsampler(
        "diffbir",
        "odekit_diffbir.upsampler:DiffbirUpsampler",
        Diffbir,
        "a cleaner, then Stable Diffusion 2.1 led by a ControlNet",
        licence=store.LICENCE,
    )
    store.register(catalog)
    here = "odekit_diffbir.parity:"
    catalog.golden("diffbir_swinir_face", here + "swinir_face")
    catalog.golden("diffbir_tiny_cldm", here + "tiny_cldm", tolerance=1e-5)
    catalog.golden("diffbir_tiny_vae", here + "tiny_vae", tolerance=1e-5)
    samplers = "odekit_diffbir.parity_samplers:"
    catalog.golden("diffbir_sampler", samplers + "sampler", skip=("eps_edm_dpmpp_2m10_final",))
    catalog.golden("diffbir_schedule", samplers + "schedule")
    for name in ("diffbir", "odedit-diffbir", "photo-diffbir"):
        catalog.chain(name, Path(__file__).parent / f"{name}.yaml")
