"""The published parameter tables: ImageNet-C for 224-pixel pictures, Tiny-ImageNet-C for 64-pixel pictures.

Source: D. Hendrycks, T. Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations",
ICLR 2019, and the parameters published with it for both sizes. Lengths are in pixels of the picture. The masks (CODE,
2024: a fraction of 0.08 per severity) and the two kinds of old photographs are the same in both tables.
"""

from __future__ import annotations

from collections.abc import Iterable

Row = tuple[float, ...]
Rows = tuple[Row, ...]

PARAMETER_NAMES: dict[str, tuple[str, ...]] = {
    "gaussian_noise": ("std",),
    "shot_noise": ("photons",),
    "impulse_noise": ("fraction",),
    "speckle_noise": ("std",),
    "gaussian_blur": ("sigma",),
    "defocus_blur": ("radius", "alias"),
    "glass_blur": ("sigma", "shift", "rounds"),
    "motion_blur": ("radius", "sigma"),
    "zoom_blur": ("stop", "step"),
    "snow": ("loc", "scale", "zoom", "threshold", "radius", "sigma", "mix"),
    "frost": ("picture", "frost", "scale"),
    "fog": ("strength", "decay"),
    "spatter": ("loc", "scale", "sigma", "threshold", "strength", "mud"),
    "brightness": ("add",),
    "contrast": ("factor",),
    "saturate": ("factor", "add"),
    "elastic": ("alpha", "sigma", "affine"),
    "pixelate": ("scale",),
    "jpeg": ("quality",),
    "mask_pixels": ("fraction",),
    "mask_lines": ("fraction",),
    "mask_gaussian": ("fraction",),
    "scratches": ("count", "strength"),
    "stains": ("count", "strength"),
}
"""The parameters of each kind, in the order of its rows below. Each can be set by name in `corrupt`."""


def _column(*values: float) -> Rows:
    """Rows of one parameter each."""
    return tuple((value,) for value in values)


def _times(side: float, *rows: Row) -> Rows:
    """Rows given in fractions of a side, in pixels."""
    return tuple(tuple(side * value for value in row) for row in rows)


_FRACTION = _column(0.08, 0.16, 0.24, 0.32, 0.40)
_SAME: dict[str, Rows] = {
    "brightness": _column(0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": _column(0.4, 0.3, 0.2, 0.1, 0.05),
    "mask_pixels": _FRACTION,
    "mask_lines": _FRACTION,
    "mask_gaussian": _FRACTION,
    "scratches": ((3, 0.5), (5, 0.6), (8, 0.7), (12, 0.8), (18, 0.9)),
    "stains": ((1, 0.35), (2, 0.45), (3, 0.55), (4, 0.7), (6, 0.85)),
}

SMALL_TABLE: dict[str, Rows] = _SAME | {
    "gaussian_noise": _column(0.04, 0.08, 0.12, 0.15, 0.18),
    "shot_noise": _column(250, 100, 50, 30, 15),
    "impulse_noise": _column(0.01, 0.02, 0.05, 0.08, 0.14),
    "speckle_noise": _column(0.15, 0.2, 0.25, 0.3, 0.35),
    "gaussian_blur": _column(0.5, 0.75, 1, 1.25, 1.5),
    "defocus_blur": ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
    "glass_blur": ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    "motion_blur": ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
    "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.8),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.6),
    ),
    "frost": ((1, 0.3, 0.2), (0.9, 0.4, 0.2), (0.8, 0.45, 0.2), (0.75, 0.5, 0.2), (0.7, 0.55, 0.2)),
    "fog": ((0.4, 3), (0.7, 3), (1, 2.5), (1.5, 2), (2, 1.75)),
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.6, 0),
        (0.65, 0.1, 0.8, 0.7, 0.6, 0),
        (0.65, 0.3, 1, 0.69, 0.6, 0),
        (0.65, 0.1, 0.7, 0.68, 0.6, 1),
        (0.65, 0.1, 0.5, 0.67, 0.6, 1),
    ),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
    "elastic": _times(64, (0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
    "pixelate": _column(0.9, 0.8, 0.7, 0.6, 0.5),
    "jpeg": _column(65, 58, 50, 40, 25),
}

LARGE_TABLE: dict[str, Rows] = _SAME | {
    "gaussian_noise": _column(0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": _column(60, 25, 12, 5, 3),
    "impulse_noise": _column(0.03, 0.06, 0.09, 0.17, 0.27),
    "speckle_noise": _column(0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": _column(1, 2, 3, 4, 6),
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": ((1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "spatter": (
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
    "elastic": _times(244, (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
    "pixelate": _column(0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg": _column(25, 18, 15, 10, 7),
}

LIMITS: dict[str, tuple[float, float]] = {
    "fraction": (0, 1),
    "angle": (-360, 360),
    "photons": (1e-6, 1e12),
    "quality": (1, 100),
    "step": (1e-4, 1),
    "decay": (1, 1e6),
    "loc": (-10, 10),
    "mix": (0, 1),
    "picture": (0, 1),
    "add": (-1, 1),
    "stop": (1, 10),
    "zoom": (1, 100),
    "strength": (0, 10),
    "rounds": (0, 100),
    "count": (0, 1000),
    "mud": (0, 1),
}
"""Range of a parameter given by name; the default is [0, 10000]."""

INTEGER_PARAMETERS: frozenset[str] = frozenset({"quality", "shift", "rounds", "mud", "count"})
"""Parameters that are whole numbers."""


def parameters(kind: str, severity: int, small: bool) -> dict[str, float]:
    """The published parameters of a kind by name, for small (64-pixel) or large (224-pixel) pictures."""
    values: Iterable[float] = (SMALL_TABLE if small else LARGE_TABLE)[kind][severity - 1]
    return dict(zip(PARAMETER_NAMES[kind], values, strict=True))
