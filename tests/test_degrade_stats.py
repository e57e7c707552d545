"""Each corruption against the statistics of an independent program (see data/README-corruptions.md)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from degrade_faces import faces, psnr, ssim, stats

from odekit.parts.corruptions.kinds import KINDS, OLD_PHOTO_KINDS, SEVERITIES, corrupt

TEXTURED = ("frost", "snow", "fog")
"""2 dB and 0.1: their textures differ from the reference's. All others 1 dB and 0.05."""
EXACT = (
    "brightness", "contrast", "saturate", "pixelate", "jpeg", "gaussian_blur", "defocus_blur", "zoom_blur",
)  # fmt: skip
"""No random numbers: the same pictures as the reference, to the last digit of the file but one."""
MEASURED = [kind for kind in KINDS if kind not in OLD_PHOTO_KINDS]


def measure(kind: str, severity: int) -> tuple[float, float]:
    pairs = [(x, corrupt(x, kind, severity, np.random.default_rng([severity, i]))) for i, x in enumerate(faces())]
    return float(np.mean([psnr(x, y) for x, y in pairs])), float(np.mean([ssim(x, y) for x, y in pairs]))


def reference(kind: str, severity: int) -> tuple[Any, Any]:
    """Mean PSNR and SSIM of the independent program, each as near as ours should come to it."""
    wanted = stats()[kind][str(severity)]
    near = (0.01, 0.0005) if kind in EXACT else (2.0, 0.1) if kind in TEXTURED else (1.0, 0.05)
    return pytest.approx(wanted["psnr_mean"], abs=near[0]), pytest.approx(wanted["ssim_mean"], abs=near[1])


def test_every_kind_but_those_of_old_photographs_is_in_the_statistics():
    assert sorted(stats()) == sorted(MEASURED)


@pytest.mark.parametrize("kind", MEASURED)
def test_the_papers_severity_damages_all_128_faces_as_the_reference_does(kind):
    assert measure(kind, 4) == reference(kind, 4)


@pytest.mark.long
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("kind", MEASURED)
def test_every_severity_damages_all_128_faces_as_the_reference_does(kind, severity):
    assert measure(kind, severity) == reference(kind, severity)


@pytest.mark.parametrize("kind", KINDS)
def test_more_severe_is_worse_except_where_the_reference_says_otherwise(kind):
    ours = [
        np.mean([psnr(x, corrupt(x, kind, severity, np.random.default_rng([i]))) for i, x in enumerate(faces()[::8])])
        for severity in SEVERITIES
    ]
    published = (
        [stats()[kind][str(severity)]["psnr_mean"] for severity in SEVERITIES] if kind in stats() else [5, 4, 3, 2, 1]
    )
    for step in range(4):
        if published[step] - published[step + 1] > 0.3:  # steps within the sampling error of 16 faces say nothing
            assert ours[step] > ours[step + 1]
