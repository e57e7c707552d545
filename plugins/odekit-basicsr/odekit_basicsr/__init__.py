"""basicsr (Apache-2.0) for odekit: the degradation that blind face restorers train on, and NIQE."""

from __future__ import annotations

from odekit.plugins import PluginCatalog, hookimpl
from odekit_basicsr.options import Bfr, Niqe


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """One corruption and one metric; basicsr is imported when one of them is made."""
    catalog.corruption(
        "bfr",
        "odekit_basicsr.bfr:BlindFace",
        Bfr,
        "blur, downsampling, noise, JPEG: the training recipe of GFPGAN and CodeFormer",
        licence="Apache-2.0 (basicsr)",
    )
    catalog.metric(
        "niqe",
        "odekit_basicsr.niqe:NiqeMetric",
        Niqe,
        "naturalness without a reference, from 192 x 96 px on",
        licence="Apache-2.0 (basicsr)",
    )
