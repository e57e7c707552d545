"""basicsr (Apache-2.0) for odekit: the degradation that blind face restorers train on, and NIQE."""

from __future__ import annotations

from odekit.plugins import PluginCatalog, hookimpl
from odekit_basicsr.options import Bfr, Niqe


@hookimpl
def odekit_parts(catalog: PluginCatalog) -> None:
    """Register a corruption and a metric. basicsr is imported when one of them is constructed."""
    catalog.corruption(
        "bfr",
        "odekit_basicsr.bfr:BlindFace",
        Bfr,
        "blur, downsampling, noise, JPEG: the training recipe of GFPGAN and CodeFormer",
        results=1,
        licence="Apache-2.0 (basicsr)",
    )
    catalog.metric(
        "niqe",
        "odekit_basicsr.niqe:NiqeMetric",
        Niqe,
        "naturalness without a reference, for pictures of 192 x 96 px or more",
        results=1,
        licence="Apache-2.0 (basicsr)",
    )
