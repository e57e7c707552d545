"""Takes the blur off a photograph that is blurred all over and evenly: Wiener's filter, as wide as its spectrum tells.

The power of photographs falls with frequency f as about f^-a, a from 2 to 3 (Field 1987, doi:10.1364/JOSAA.4.002379;
van der Schaaf and van Hateren 1996, doi:10.1016/0042-6989(96)00002-8). A Gaussian blur of standard deviation s
multiplies it by exp(-4 pi^2 s^2 f^2), a lens out of focus by (2 J1(2 pi r f) / (2 pi r f))^2, r the radius of its disc.
Each is fitted to the logarithm of the mean power by frequency, where that stands out of the noise, and the better one
taken; what is sharp anywhere keeps the power high, so that a blurred background alone is no blur. The fit is refused
where it is bad, or where directions disagree: shaken pictures, compressed ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.images.colour import luma

LOOK, LOOKS = 512, 3
"""Side of the parts that the spectrum is the mean of, and how many of them along an axis at most."""
EDGES = np.linspace(0.02, 0.5, 49)
"""Of the rings of frequencies, in periods per pixel."""
NOISY = 0.55
"""Beyond it there is hardly any picture, but noise: in the corners of the spectrum."""
ROUNDED = 1 / 36 / 255**2
"""The least noise that is believed in: a third of that of rounding to 8 bits."""
CLEAR = 8.0
"""A ring counts where its power is so many times the noise's."""
FEWEST = 6
"""Rings that a fit needs."""
SLOPES = (1.6, 3.4)
"""Of photographs; a fit beyond is made anew with the nearer one."""
MISFIT = 0.4
"""Root mean square of the fit's error in the logarithm of the power, at most, beyond what chance makes of few waves."""
WAVES = 5.0
"""Waves of a windowed picture that tell as much as one would alone: neighbours, and both signs, tell the same."""
UNEVEN = 0.25
"""By so much of it the blur in some direction may differ from that in all."""
RADII = np.arange(1.5, 12, 0.1)
"""Of discs that are tried, in pixels."""
NEVER = 1e-3
"""What passes of the power where a disc lets nothing pass: rings of frequencies have some width."""
TILE, MARGIN = 1024, 96
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Blur:
    """What a photograph's spectrum tells."""

    sigma: float
    """Standard deviation along an axis, in pixels (of a disc half its radius); 0 where the photograph is not blurred,
    or not in a way that could be undone."""
    disc: bool
    """Out of focus; else a Gaussian's."""
    power: float
    """Of the unblurred picture at frequency 1, per pixel."""
    slope: float
    """How it falls: power f^-slope."""
    noise: float
    """Variance."""
    misfit: float
    """Beyond chance."""


FACE_LEAST, FACE_NOISE = 0.6, 8 * ROUNDED
"""An aligned face of 64 pixels is taken for blurred from this width up, and only where it has hardly any noise: of 17
kinds of damage nothing else was then taken for blur, but zoom and elastic at times."""
FACE_MISFIT = 0.16
"""Its width is told less surely than a photograph's, so that the fit counts as no better than this."""
SHARP = Blur(0, False, 0, 0, 0, 0)


def measured(pixels: Pixels) -> Blur:
    """The blur of a photograph (3, H, W) in [0, 1]; of pictures under 64 pixels none."""
    y = luma(pixels)
    if min(y.shape) < 64:
        return SHARP
    seen = [spectrum(part) for part in parts(y)]
    power, looks = np.mean(seen, axis=0), len(seen)
    down, across = (np.abs(np.fft.fftfreq(n)) for n in power.shape)
    frequency, angle = np.hypot(down[:, None], across), np.arctan2(down[:, None], across)
    corners = power[frequency > NOISY]
    noise = max(float(corners.mean()), ROUNDED)
    whole = best(power, frequency, noise, looks)
    if whole is None or whole.sigma <= 0 or whole.misfit > MISFIT:
        return SHARP
    for middle in (np.pi / 16, np.pi / 4, 7 * np.pi / 16):
        sector = np.abs(angle - middle) < np.pi / 8
        one = best(power[sector], frequency[sector], noise, looks, (whole.disc,))
        if one is not None and abs(one.sigma - whole.sigma) > UNEVEN * whole.sigma:
            return SHARP
    return whole


def parts(y: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Equal parts, evenly spread over (H, W)."""
    height, width = (min(n, LOOK) for n in y.shape)
    tops, lefts = (
        np.linspace(0, n - size, min(LOOKS, max(1, n // LOOK))).astype(int)
        for n, size in zip(y.shape, (height, width), strict=True)
    )
    for top in tops:
        for left in lefts:
            yield y[top : top + height, left : left + width]


def spectrum(y: NDArray[np.float32]) -> Floats:
    """Power by frequency under Hann's window, scaled so that white noise has its variance everywhere."""
    window = np.hanning(y.shape[0])[:, None] * np.hanning(y.shape[1])
    seen = np.fft.fft2((y - y.mean(dtype=np.float64)) * window)
    power: Floats = (seen.real**2 + seen.imag**2) / np.square(window).sum()
    return power


def best(
    power: Floats, frequency: Floats, noise: float, looks: int = 1, discs: Sequence[bool] = (False, True)
) -> Blur | None:
    """The better of a Gaussian and a disc, or the best of one of them; None where too little is seen.

    A standard deviation below 0 stands for a picture that is sharper than the law.
    """
    ring = np.digitize(frequency.ravel(), EDGES)
    count = np.bincount(ring, minlength=len(EDGES) + 1)[1:-1]
    mean = np.bincount(ring, power.ravel(), minlength=len(EDGES) + 1)[1:-1] / np.maximum(count, 1)
    clear = (mean > CLEAR * noise) & (count > 0)
    if clear.sum() < FEWEST:
        return None
    f, seen = ((EDGES[1:] + EDGES[:-1]) / 2)[clear], np.log(mean[clear] - noise)

    chance = WAVES * float(np.mean(1 / count[clear])) / looks

    def blur(of: float, disc: bool, found: tuple[float, float, float]) -> Blur:
        misfit = float(np.sqrt(max(found[2] ** 2 - chance, 0)))
        return Blur(of, disc, float(np.exp(found[0])), found[1], noise, misfit)

    columns = np.stack([np.ones(len(f)), -np.log(f), -4 * np.pi**2 * f**2], axis=1)
    square = float(np.linalg.lstsq(columns, seen, rcond=None)[0][2])
    law = photograph(f, seen + 4 * np.pi**2 * square * f**2)
    if not SLOPES[0] < law[1] < SLOPES[1]:
        rest = np.linalg.lstsq(columns[:, ::2], seen - law[1] * columns[:, 1], rcond=None)[0]
        square = float(rest[1])
        law = photograph(f, seen + 4 * np.pi**2 * square * f**2)
    found = [(float(np.sign(square) * np.sqrt(abs(square))), False, law)]
    if True in discs:
        lens = [(r / 2, True, photograph(f, seen - np.log(disc(r, f) ** 2 + NEVER))) for r in RADII]
        found = [*found, *lens] if False in discs else lens
    return blur(*min(found, key=lambda one: one[2][2]))


def photograph(f: Floats, seen: Floats) -> tuple[float, float, float]:
    """Logarithm of the power at frequency 1, slope and misfit of the law without any blur."""
    columns = np.stack([np.ones(len(f)), -np.log(f)], axis=1)
    found = np.linalg.lstsq(columns, seen, rcond=None)[0]
    slope = float(np.clip(found[1], *SLOPES))
    level = float(np.mean(seen + slope * np.log(f)))
    return level, slope, float(np.sqrt(np.mean((seen - level + slope * np.log(f)) ** 2)))


def disc(radius: float, f: Floats) -> Floats:
    """What a disc lets pass of a frequency: 2 J1(x) / x at x = 2 pi radius f, with Bessel's integral for J1."""
    x = 2 * np.pi * radius * np.maximum(np.asarray(f, np.float64), 1e-9)
    turn = (np.arange(64) + 0.5) * (np.pi / 64)
    j1 = sum(np.cos(t - x * np.sin(t)) for t in turn) / 64
    made: Floats = 2 * j1 / x
    return made


def undone(image: Image) -> tuple[Image, dict[str, float]]:
    """An aligned face without its blur, and what was told of it; the face itself, and nothing, where it has none."""
    found = measured(image.pixels)
    if found.sigma < FACE_LEAST or found.noise > FACE_NOISE:
        return image, {}
    doubted = replace(found, misfit=max(found.misfit, FACE_MISFIT))
    return image.with_pixels(deblurred(image, doubted)), {"sigma": round(found.sigma, 2), "lens": float(found.disc)}


def deblurred(image: Image, blur: Blur) -> Pixels:
    """The pixels without that blur. Only the luminance is filtered: colours are seen less sharply, and are noisier."""
    if blur.sigma <= 0:
        return image.pixels
    y = luma(image.pixels)
    change = np.empty_like(y)
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            part = y[max(0, top - MARGIN) : top + TILE + MARGIN, max(0, left - MARGIN) : left + TILE + MARGIN]
            wide = np.pad(part, MARGIN, mode="symmetric")
            seen = np.fft.rfft2(wide) * (gain(wide.shape, blur) - 1)
            added = np.fft.irfft2(seen, wide.shape)
            down, right = MARGIN + min(top, MARGIN), MARGIN + min(left, MARGIN)
            rows, columns = (slice(top, top + TILE), slice(left, left + TILE))
            height, width = change[rows, columns].shape
            change[rows, columns] = added[down : down + height, right : right + width]
    sharp: Pixels = np.clip(image.pixels + change, 0, 1)
    return sharp


def gain(shape: tuple[int, ...], blur: Blur) -> Floats:
    """Wiener's filter for the frequencies of `rfft2`, with more noise than there is where the fit is less good.

    So much more that a disc, whose spectrum has zeros where a Gaussian's has none, is sharpened and does not ring.
    """
    down, across = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    square = np.maximum(down[:, None] ** 2 + across**2, (EDGES[0] / 2) ** 2)
    passed = disc(2 * blur.sigma, np.sqrt(square)) if blur.disc else np.exp(-2 * np.pi**2 * blur.sigma**2 * square)
    picture = blur.power * square ** (-blur.slope / 2)
    trust = 4 ** (1 + max(0.0, blur.misfit - 0.06) / 0.08)
    made: Floats = passed * picture / (passed**2 * picture + trust * blur.noise)
    made[0, 0] = 1
    return made
