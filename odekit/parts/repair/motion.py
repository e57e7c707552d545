"""Remove motion blur from an aligned face: the line is found in its power spectrum, and a Wiener filter undoes it.

The kernels are lines at any angle: of even weight, as an even motion leaves, or fading to one side like half a
Gaussian, as ImageMagick defines motion blur. They are ranked by the Whittle likelihood of the face's power spectrum: at
each frequency f the power is exponential with the mean a |H(f)|^2 P(f) + noise, where P is that of sharp faces and the
level a is fitted (Whittle 1953, doi:10.1007/BF02590998). No blur and Gaussian blur compete. The spectrum says nothing
about the side to which a line fades; of both results the one with sparser gradients is kept. If neither is clearly
sparser, the face is left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.images.colour import luma

Floats = NDArray[np.float64]
SIDE = 64
"""Side of the faces; others are left alone."""
SIGMAS, LENGTHS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), (3, 4, 5, 6, 7, 8, 9)
"""Lines that are tried: standard deviation of the fading ones, pixels of the even ones."""
TOO_LONG, CLEARLY_SHORTER = (10, 12, 14, 16), 2000.0
"""Even lines of these lengths are not undone: their results are worse than the faces. Their zeros include those of
lines half as long, so a line must exceed them all by this log likelihood. On 20 validation faces fading lines do so by
2,030 and more; of 100 faces with even lines of 10 to 20 pixels three were changed, and lost 0.8 to 1.5 dB."""
ANGLES = tuple(range(-90, 90, 5))
"""Angles of the lines, in degrees; 0 is to the right, 90 down."""
GAUSSIANS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Standard deviations of the round blurs that compete; 0 is no blur."""
TAPS = 21
"""Pixels of a fading line, as ImageMagick counts them for a radius of 10."""
NOISE = 1.5 / 12 / 255**2
"""Power of the noise: rounding to 8 bits, and half as much again."""
LOWEST = 1.5 / SIDE
"""Frequencies up to this are the face's own shape, and are not compared."""
LEVEL_STEPS = 6
"""Steps of the fit of the level."""
MARGIN = 600.0
"""Log likelihood by which a line must exceed the best round blur. 1,458 undamaged faces have at most 498, 20 validation
faces of each of 13 kinds of damage at severities 2 and 4 at most 538, with motion blur at least 639. Masked lines
exceed it; they are left alone since neither side is sparser."""
SPECTRUM = (
    (-6.2303, 0.4137, 0.2636), (-4.3607, 1.6364, -0.1184), (-0.3353, 1.0206, 0.0241), (0.0218, 0.1615, 0.0101),
)  # fmt: skip
"""Logarithm of the power of sharp faces: coefficients of (log f)^i cos(2 j angle), i from 0 to 3, j from 0 to 2.
Fitted to the training faces of the built-in prior, with an error of 0.2."""
MIN_ROUGHER = 1.03
"""How much rougher the result for the wrong side of a fading line must be; else the face is left alone. Of even motion
of other lengths than those tried, which looks like a fading line, both results are nearly equally rough."""
WIENER_NOISE = 0.003
"""Standard deviation of the noise for the Wiener filter, on the scale 0 to 1: rounding, and errors of the kernel."""
SLOPE, LEVEL = 2.8, 3e-5
"""Power law of the Wiener filter: variance of a DCT coefficient at half a period per pixel, and its fall."""
ITERATIONS = 40
"""Steps of conjugate gradients."""


@dataclass(frozen=True)
class Line:
    """A blur along a line."""

    size: float
    """Standard deviation of a fading line, or length of an even one, in pixels."""
    angle: float
    """In degrees; 0 is to the right, 90 down. A fading line takes its values from this side."""
    fades: bool

    def taps(self) -> list[tuple[int, int, float]]:
        """Offsets down and right, and weight, of each pixel of the line; the weights' sum is 1."""
        if self.fades:
            places = np.arange(TAPS, dtype=np.float64)
            weights = np.exp(-(places**2) / (2 * self.size**2))
        else:
            places = np.arange(self.size) - (self.size - 1) / 2
            weights = np.ones(len(places))
        turn = math.radians(self.angle)
        return [
            (math.ceil(place * math.sin(turn) - 0.5), math.ceil(place * math.cos(turn) - 0.5), float(weight))
            for place, weight in zip(places, weights / weights.sum(), strict=True)
            if weight > 1e-6
        ]

    def response(self) -> Floats:
        """(64, 64): squared magnitude of the frequency response."""
        kernel = np.zeros((SIDE, SIDE))
        for down, right, weight in self.taps():
            kernel[down % SIDE, right % SIDE] += weight
        power: Floats = np.abs(np.fft.fft2(kernel)) ** 2
        return power

    def matrix(self) -> Any:
        """The blur as a sparse matrix (4096, 4096) of a plane's pixels in rows; edge pixels are repeated."""
        from scipy.sparse import csr_array

        rows, columns = np.mgrid[:SIDE, :SIDE]
        to = (rows * SIDE + columns).ravel()
        parts = []
        for down, right, weight in self.taps():
            source = np.clip(rows + down, 0, SIDE - 1) * SIDE + np.clip(columns + right, 0, SIDE - 1)
            parts.append((np.full(SIDE**2, weight), to, source.ravel()))
        weights, to, source = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return csr_array((weights, (to, source)), shape=(SIDE**2, SIDE**2))


def frequencies() -> tuple[Floats, Floats]:
    """(64, 64) each: frequency in periods per pixel, and its angle."""
    down, across = np.meshgrid(*(np.fft.fftfreq(SIDE),) * 2, indexing="ij")
    return np.hypot(down, across), np.arctan2(down, across)


def power(pixels: NDArray[np.float32]) -> Floats:
    """Power spectrum (64, 64) of the luma of a picture (3, 64, 64), under a Hann window."""
    window = np.hanning(SIDE + 2)[1:-1]
    window = window[:, None] * window
    y = luma(pixels).astype(np.float64)
    spectrum: Floats = np.abs(np.fft.fft2((y - y.mean()) * window)) ** 2 / (window**2).sum()
    return spectrum


@cache
def candidates() -> tuple[tuple[Line | None, ...], Floats, NDArray[np.bool_]]:
    """The kernels (None: round), their responses times the power of sharp faces, and which frequencies are compared."""
    f, angle = frequencies()
    used = f > LOWEST
    f, angle = f[used], angle[used]
    terms = [np.log(f) ** i * np.cos(2 * j * angle) for i in range(4) for j in range(3)]
    sharp = np.exp(np.tensordot(np.ravel(SPECTRUM), np.stack(terms), 1))
    lines = [Line(size, angle, True) for size in SIGMAS for angle in ANGLES]
    lines += [Line(size, angle, False) for size in (*LENGTHS, *TOO_LONG) for angle in ANGLES]
    round_ones = [np.exp(-((2 * np.pi * sigma * f) ** 2)) for sigma in GAUSSIANS]
    responses = np.stack([*round_ones, *(line.response()[used] for line in lines)])
    return (*(None,) * len(round_ones), *lines), responses * sharp, used


def log_likelihoods(observed: Floats, expected: Floats) -> Floats:
    """The Whittle likelihoods (K,) of a power spectrum (F,) for spectra (K, F) of unknown level."""
    level = np.full((len(expected), 1), observed.sum() / expected[0].sum())
    for _ in range(LEVEL_STEPS):
        mean = level * expected + NOISE
        weight = level * expected / mean
        level = level * np.maximum((weight * observed / mean).sum(1) / weight.sum(1), 0.05)[:, None]
    mean = level * expected + NOISE
    likelihoods: Floats = -0.5 * (observed / mean + np.log(mean)).sum(1)
    return likelihoods


def find_line(pixels: NDArray[np.float32]) -> tuple[Line | None, float]:
    """The likeliest line of a face (3, 64, 64), or None; and by how much it exceeds no blur and round blur."""
    kernels, expected, used = candidates()
    observed = power(pixels)[used]
    if not observed.sum() > NOISE:
        return None, 0.0
    likelihoods = log_likelihoods(observed, expected)
    is_line = np.array([kernel is not None for kernel in kernels])
    long = np.array([kernel is not None and not kernel.fades and kernel.size in TOO_LONG for kernel in kernels])
    best = int(np.where(is_line & ~long, likelihoods, -np.inf).argmax())
    margin, line = float(likelihoods[best] - likelihoods[~is_line].max()), kernels[best]
    if line is None or margin <= MARGIN or likelihoods[best] - likelihoods[long].max() <= CLEARLY_SHORTER:
        return None, margin
    steps = (-0.25, 0.0, 0.25) if line.fades else (0.0,)
    near = [replace(line, size=line.size + d, angle=line.angle + turn) for d in steps for turn in (-3, -1.5, 0, 1.5, 3)]
    spectra = np.stack([one.response()[used] for one in near]) * expected[0]
    return near[int(log_likelihoods(observed, spectra).argmax())], margin


def remove_line(pixels: NDArray[np.float32], line: Line) -> Floats:
    """The mean of the sharp face (3, 64, 64) for a power law of its spectrum: a Wiener filter that knows the edges."""
    from scipy.fft import dctn, idctn

    matrix, k = line.matrix(), np.arange(SIDE)
    radius = np.maximum(np.hypot(k[:, None], k), 1) / (2 * SIDE)
    own, precision = radius**SLOPE / LEVEL, 1 / WIENER_NOISE**2
    kernel = np.zeros((2 * SIDE, 2 * SIDE))
    for down, right, weight in line.taps():
        kernel[down, right] += weight
    response = np.abs(np.fft.fft2(kernel)) ** 2
    diagonal = own + precision * (response[:SIDE, :SIDE] + response[:SIDE, -k]) / 2

    def blur(planes: Floats, turned: bool = False) -> Floats:
        flat = planes.reshape(3, -1).T
        out: Floats = np.asarray((matrix.T if turned else matrix) @ flat).T.reshape(planes.shape)
        return out

    def applied(e: Floats) -> Floats:
        out: Floats = own * e + precision * dctn(
            blur(blur(idctn(e, axes=(1, 2), norm="ortho")), turned=True), axes=(1, 2), norm="ortho"
        )
        return out

    mean = pixels.mean(axis=(1, 2), keepdims=True).astype(np.float64)
    b = precision * dctn(blur(pixels - mean, turned=True), axes=(1, 2), norm="ortho")
    e = b / diagonal
    residual = b - applied(e)
    direction = residual / diagonal
    energy = float((residual * direction).sum())
    for _ in range(ITERATIONS):
        moved = applied(direction)
        step = energy / max(float((direction * moved).sum()), 1e-300)
        e = e + step * direction
        residual = residual - step * moved
        before, energy = energy, float((residual**2 / diagonal).sum())
        direction = residual / diagonal + energy / max(before, 1e-300) * direction
    sharp: Floats = mean + idctn(e, axes=(1, 2), norm="ortho")
    return sharp


def roughness(pixels: Floats) -> float:
    """Mean square root of the gradients' magnitudes: small where they are sparse, as in sharp pictures."""
    changes = (np.diff(pixels, axis=1), np.diff(pixels, axis=2))
    return float(np.mean([np.sqrt(np.abs(change)).mean() for change in changes]))


def undo_motion(image: Image) -> tuple[Image, dict[str, float]]:
    """Remove motion blur from an aligned face.

    Returns:
        The sharpened face and facts for the record: `motion`, the length of the line as the standard deviation or the
        pixels, `angle` in degrees, `fades` 1 or 0; or the face itself, bit for bit, and no facts.
    """
    if image.pixels.shape != (3, SIDE, SIDE):
        return image, {}
    line, _ = find_line(image.pixels)
    if line is None:
        return image, {}
    sides = [line, replace(line, angle=line.angle + 180)] if line.fades else [line]
    results = [remove_line(image.pixels, side) for side in sides]
    rough = [roughness(result) for result in results]
    best = int(np.argmin(rough))
    if line.fades and max(rough) < MIN_ROUGHER * rough[best]:
        return image, {}
    facts = {"motion": sides[best].size, "angle": sides[best].angle, "fades": float(line.fades)}
    return image.with_pixels(np.clip(results[best], 0, 1).astype(np.float32)), facts
