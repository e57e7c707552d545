"""Image quality of restored faces: PSNR, SSIM and SWD of a set of images, and the rows and margins made from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Row
from odekit.core.psnr import psnr
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.metrics.swd import repeated_distances
from odekit.training.calibration.restored_cases import psnr_and_ssim

PSNR_CAP = 40.0
"""dB above which differences are invisible; PSNR is capped here."""
MARGINS = {"psnr": 0.2, "ssim": 0.01, "swd": 0.05}
"""Differences within which a setting counts as no worse: dB, SSIM, and the fraction of the SWD."""
SWD_DRAWS = 4
"""Draws of patches and directions for each SWD."""
COLUMNS = {"arm": "setting", "calls": "calls", "psnr": "PSNR, dB", "ssim": "SSIM", "swd": "SWD"}
Array = NDArray[np.float64]


def pixel_psnr(pixels: NDArray[Any], reference: NDArray[Any]) -> float:
    """PSNR in dB of values in [0, 1], computed in float64; infinite where both are equal."""
    return psnr(pixels.astype(np.float64), reference)


def capped_psnr(pixels: NDArray[Any], reference: NDArray[Any]) -> float:
    """PSNR in dB, at most `PSNR_CAP`."""
    return min(PSNR_CAP, pixel_psnr(pixels, reference))


def mean_swd(pictures: Pictures, clean: Pictures) -> float:
    """The SWD of two sets of images, averaged over `SWD_DRAWS` draws."""
    return float(np.mean([one.mean for one in repeated_distances(pictures, clean, SWD_DRAWS)]))


def quality_row(arm: str, calls: float, pictures: Pictures, clean: Pictures) -> tuple[Row, Array, Array]:
    """A row of `COLUMNS`, and the PSNR and SSIM of each image."""
    psnrs, ssims = psnr_and_ssim(pictures, clean)
    figures = {"psnr": float(psnrs.mean()), "ssim": float(ssims.mean()), "swd": mean_swd(pictures, clean)}
    return {"arm": arm, "calls": calls, **figures}, psnrs, ssims


def damaged_row(damaged: Pictures, clean: Pictures) -> Row:
    """The row of the damaged faces without restoration."""
    return quality_row("damaged", 0.0, damaged, clean)[0]


def describe_faces(chain: str, clean: Pictures) -> str:
    """The chain and the damaged faces in one line."""
    return f"chain {chain}; {len(clean)} faces, each with one of 20 kinds of damage at severity 4"
