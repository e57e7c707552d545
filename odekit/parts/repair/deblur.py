"""Remove uniform blur from a photograph: a Wiener filter for the blur estimated from the power spectrum.

The power of photographs falls with frequency f as about f^-a, a from 2 to 3 (Field 1987, doi:10.1364/JOSAA.4.002379;
van der Schaaf and van Hateren 1996, doi:10.1016/0042-6989(96)00002-8). A Gaussian blur of standard deviation s
multiplies it by exp(-4 pi^2 s^2 f^2), defocus by (2 J1(2 pi r f) / (2 pi r f))^2, r being the radius of the disc. Both
are fitted to the logarithm of the radial mean of the power, at frequencies where it exceeds the noise, and the better
fit is used. Any sharp region keeps the power high, so a blurred background alone does not count as blur. The fit is
rejected if its error is large, or if directions disagree, as in pictures with camera shake or compression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.core.threads import in_threads
from odekit.images.colour import luma

PART_SIDE, MAX_PARTS = 512, 3
"""Side of the parts whose spectra are averaged, and largest number of parts along an axis."""
RING_EDGES = np.linspace(0.02, 0.5, 49)
"""Borders of the frequency rings, in periods per pixel."""
NOISE_FREQUENCY = 0.55
"""Frequency above which the spectrum is dominated by noise (its corners)."""
MIN_NOISE = 1 / 36 / 255**2
"""Smallest noise variance assumed: a third of that of rounding to 8 bits."""
MIN_SIGNAL_TO_NOISE = 8.0
"""A ring is used if its power is at least this many times the noise."""
MIN_RINGS = 6
"""Smallest number of rings for a fit."""
SLOPE_RANGE = (1.6, 3.4)
"""Range of the slope; a fit outside is repeated with the slope fixed at the nearer end."""
MAX_MISFIT = 0.4
"""Largest root mean square error of the fit in log power, after subtraction of the statistical error."""
CORRELATED_FREQUENCIES = 5.0
"""Correlated frequencies per independent one: a window correlates neighbours, and both signs have equal power."""
MAX_ANISOTROPY = 0.25
"""Largest relative difference between the blur in one direction and in all."""
RADII = np.arange(1.5, 12, 0.1)
"""Disc radii tested, in pixels."""
MIN_RESPONSE = 1e-3
"""Lower bound of a disc's power response at its zeros, because frequency rings have a finite width."""
TILE, MARGIN = 1024, 96
Floats = NDArray[np.float64]

FACE_MIN_SIGMA, FACE_MAX_NOISE = 0.6, 8 * MIN_NOISE
"""Smallest blur and largest noise variance of an aligned face of 64 pixels that counts as blurred. Of 17 kinds of
damage, only zoom and elastic were sometimes confused with blur."""
FACE_MIN_MISFIT = 0.16
"""Lower bound of the misfit for faces, whose blur is estimated less accurately than that of photographs."""

MIN_FACTOR = 1.75
"""Side of a crop over that of the face from which its high frequencies can be examined."""
EXCESS_BANDS = ((0.7, 0.9), (0.9, 1.2), (1.2, 1.6))
"""Frequencies, in periods per pixel of the reduced face; the face itself holds those up to 0.5."""
AXIS_WIDTH = np.pi / 16
"""Largest angle to an axis of the frequencies that are examined."""
MAX_EXCESS = 2.5
"""Largest ratio of power there to that of a blurred face. Faces with Gaussian blur have at most 2.1, faces of 48 pixels
enlarged to 512 at least 22, blurred faces with JPEG of quality 95 at least 3.8."""

PHOTO_BANDS = ((0.2, 0.3), (0.3, 0.4), (0.4, 0.5))
"""The same for whole photographs, which are not reduced."""
PHOTO_MAX_RATIO, PHOTO_DISC_RATIOS = 6.5, (0.6, 1.6)
"""Largest ratio there for Gaussian blur, and range for a disc. Ten photographs with Gaussian blur have at most 3.4,
with JPEG of quality 95 on top 6.3; enlarged by four, most look like a disc of radius 2.5 with ratios from 0.2 to 6."""


@dataclass(frozen=True)
class Blur:
    """Parameters of the blur and of the spectrum, as fitted to a photograph."""

    sigma: float
    """Standard deviation along an axis, in pixels (for a disc: half its radius); 0 if there is no blur that can be
    corrected."""
    disc: bool
    """Defocus; else Gaussian blur."""
    power: float
    """Power of the unblurred picture at frequency 1, per pixel."""
    slope: float
    """Exponent of its fall: the power is `power f^-slope`."""
    noise: float
    """Variance of the noise."""
    misfit: float
    """Root mean square error of the fit in log power, after subtraction of the statistical error."""


NO_BLUR = Blur(0, False, 0, 0, 0, 0)
"""No blur."""


def estimate_blur(pixels: Pixels) -> Blur:
    """Estimate the blur of a photograph (3, H, W) in [0, 1]; none for pictures under 64 pixels."""
    if min(pixels.shape[1:]) < 64:
        return NO_BLUR
    spectra = in_threads(luma_spectrum, sample_parts(pixels))
    power, count = np.mean(spectra, axis=0), len(spectra)
    down, across = (np.abs(np.fft.fftfreq(n)) for n in power.shape)
    frequency, angle = np.hypot(down[:, None], across), np.arctan2(down[:, None], across)
    noise = max(float(power[frequency > NOISE_FREQUENCY].mean()), MIN_NOISE)
    blur = fit_blur(power, frequency, noise, count)
    if blur is None or blur.sigma <= 0 or blur.misfit > MAX_MISFIT:
        return NO_BLUR
    for direction in (np.pi / 16, np.pi / 4, 7 * np.pi / 16):
        sector = np.abs(angle - direction) < np.pi / 8
        directional = fit_blur(power[sector], frequency[sector], noise, count, (blur.disc,))
        if directional is not None and abs(directional.sigma - blur.sigma) > MAX_ANISOTROPY * blur.sigma:
            return NO_BLUR
    return blur


def sample_parts(pixels: Pixels) -> Iterator[Pixels]:
    """Parts of equal size, evenly spread over a picture (3, H, W)."""
    sides = pixels.shape[1:]
    height, width = (min(n, PART_SIDE) for n in sides)
    tops, lefts = (
        np.linspace(0, n - size, min(MAX_PARTS, max(1, n // PART_SIDE))).astype(int)
        for n, size in zip(sides, (height, width), strict=True)
    )
    for top in tops:
        for left in lefts:
            yield pixels[:, top : top + height, left : left + width]


def luma_spectrum(pixels: Pixels) -> Floats:
    """Power spectrum of the luma of a part (3, h, w), by a Hann window; for white noise it is the variance."""
    y = luma(pixels)
    window = np.hanning(y.shape[0])[:, None] * np.hanning(y.shape[1])
    transform = np.fft.fft2((y - y.mean(dtype=np.float64)) * window)
    power: Floats = (transform.real**2 + transform.imag**2) / np.square(window).sum()
    return power


def fit_blur(
    power: Floats, frequency: Floats, noise: float, spectra: int = 1, discs: Sequence[bool] = (False, True)
) -> Blur | None:
    """Fit a Gaussian and a disc to a power spectrum; returns the better one, or None if too few rings are usable.

    Args:
        power: of each frequency.
        frequency: in periods per pixel, of the same shape.
        noise: its variance.
        spectra: number of spectra that `power` is the mean of.
        discs: which models to fit: False is the Gaussian, True the disc.

    Returns:
        The blur. Its standard deviation is negative if the picture is sharper than the power law.
    """
    ring = np.digitize(frequency.ravel(), RING_EDGES)
    count = np.bincount(ring, minlength=len(RING_EDGES) + 1)[1:-1]
    mean = np.bincount(ring, power.ravel(), minlength=len(RING_EDGES) + 1)[1:-1] / np.maximum(count, 1)
    clear = (mean > MIN_SIGNAL_TO_NOISE * noise) & (count > 0)
    if clear.sum() < MIN_RINGS:
        return None
    f, log_power = ((RING_EDGES[1:] + RING_EDGES[:-1]) / 2)[clear], np.log(mean[clear] - noise)
    statistical_error = CORRELATED_FREQUENCIES * float(np.mean(1 / count[clear])) / spectra

    def blur(sigma: float, disc: bool, law: tuple[float, float, float]) -> Blur:
        level, slope, error = law
        misfit = float(np.sqrt(max(error**2 - statistical_error, 0)))
        return Blur(sigma, disc, float(np.exp(level)), slope, noise, misfit)

    # A Gaussian is linear in log power: columns of the level, the slope, and the variance sigma^2.
    columns = np.stack([np.ones(len(f)), -np.log(f), -4 * np.pi**2 * f**2], axis=1)
    variance = float(np.linalg.lstsq(columns, log_power, rcond=None)[0][2])
    law = fit_power_law(f, log_power + 4 * np.pi**2 * variance * f**2)
    if not SLOPE_RANGE[0] < law[1] < SLOPE_RANGE[1]:
        solution = np.linalg.lstsq(columns[:, ::2], log_power - law[1] * columns[:, 1], rcond=None)[0]
        variance = float(solution[1])
        law = fit_power_law(f, log_power + 4 * np.pi**2 * variance * f**2)
    fits = [(float(np.sign(variance) * np.sqrt(abs(variance))), False, law)]
    if True in discs:
        disc_fits = [
            (r / 2, True, fit_power_law(f, log_power - np.log(disc_response(r, f) ** 2 + MIN_RESPONSE))) for r in RADII
        ]
        fits = [*fits, *disc_fits] if False in discs else disc_fits
    return blur(*min(fits, key=lambda fit: fit[2][2]))


def fit_power_law(f: Floats, log_power: Floats) -> tuple[float, float, float]:
    """Fit the power law of sharp photographs to the log power at frequencies f.

    Returns:
        Logarithm of the power at frequency 1, slope, and root mean square error.
    """
    columns = np.stack([np.ones(len(f)), -np.log(f)], axis=1)
    solution = np.linalg.lstsq(columns, log_power, rcond=None)[0]
    slope = float(np.clip(solution[1], *SLOPE_RANGE))
    level = float(np.mean(log_power + slope * np.log(f)))
    return level, slope, float(np.sqrt(np.mean((log_power - level + slope * np.log(f)) ** 2)))


def disc_response(radius: float, f: Floats) -> Floats:
    """Frequency response of a disc: 2 J1(x) / x at x = 2 pi radius f, with Bessel's integral for J1."""
    x = 2 * np.pi * radius * np.maximum(np.asarray(f, np.float64), 1e-9)
    theta = (np.arange(64) + 0.5) * (np.pi / 64)
    j1 = sum(np.cos(t - x * np.sin(t)) for t in theta) / 64
    response: Floats = 2 * j1 / x
    return response


def deblur_face(image: Image, original: Image | None = None) -> tuple[Image, dict[str, float]]:
    """Remove the blur of an aligned face.

    Args:
        image: the face, 64 pixels.
        original: the same face before its reduction, if there is one; in it, enlargement and JPEG compression are told
            from blur.

    Returns:
        The sharpened face and facts for the record; the face itself and no facts if it is not blurred, or if it may be
        soft for another reason.
    """
    blur = estimate_blur(image.pixels)
    if blur.sigma < FACE_MIN_SIGMA or blur.noise > FACE_MAX_NOISE:
        return image, {}
    if original is not None and original.height > image.height:
        factor = original.height / image.height
        if factor < MIN_FACTOR or max(power_ratios(original.pixels, blur, EXCESS_BANDS, factor)) > MAX_EXCESS:
            return image, {}
    cautious = replace(blur, misfit=max(blur.misfit, FACE_MIN_MISFIT))
    return image.with_pixels(remove_blur(image, cautious)), {"sigma": round(blur.sigma, 2), "lens": float(blur.disc)}


def power_ratios(pixels: Pixels, blur: Blur, bands: Sequence[tuple[float, float]], factor: float = 1.0) -> list[float]:
    """Ratio of the power along the axes to that of the blurred picture's model and white noise, for each band.

    Interpolation leaves images of the spectrum around multiples of the old sampling frequency, JPEG compression steps
    at block borders, at any offset and scale: both add power along the axes, where a blurred picture has only noise.

    Args:
        pixels: (3, H, W).
        blur: estimated in a copy of the picture.
        bands: of frequencies, in periods per pixel of the copy; those that the picture cannot hold are left out.
        factor: the picture's side over the copy's.
    """
    power = np.mean(in_threads(luma_spectrum, sample_parts(pixels)), axis=0)
    down, across = (np.abs(np.fft.fftfreq(n)) for n in power.shape)
    frequency, angle = np.hypot(down[:, None], across), np.arctan2(down[:, None], across)
    noise = max(float(power[frequency > NOISE_FREQUENCY].mean()), MIN_NOISE)
    axes = np.minimum(angle, np.pi / 2 - angle) < AXIS_WIDTH
    f = frequency * factor
    disc, gaussian = disc_response(2 * blur.sigma, f) ** 2 + MIN_RESPONSE, np.exp(-((2 * np.pi * blur.sigma * f) ** 2))
    response = disc if blur.disc else gaussian
    model = factor**2 * blur.power * np.maximum(f, RING_EDGES[0]) ** -blur.slope * response + noise
    chosen = [axes & (f >= low) & (f < high) for low, high in bands]
    return [float(power[band].mean() / model[band].mean()) for band in chosen if band.any()]


def estimate_photo_blur(pixels: Pixels) -> Blur:
    """Estimate the blur of a whole photograph (3, H, W); none if it is soft because it was enlarged or compressed."""
    blur = estimate_blur(pixels)
    if blur.sigma <= 0:
        return blur
    ratios = power_ratios(pixels, blur, PHOTO_BANDS)
    low, high = PHOTO_DISC_RATIOS if blur.disc else (0.0, PHOTO_MAX_RATIO)
    return blur if low <= min(ratios) and max(ratios) <= high else NO_BLUR


def remove_blur(image: Image, blur: Blur) -> Pixels:
    """The pixels with this blur removed. Only luma is filtered: chroma needs less sharpness and has more noise."""
    if blur.sigma <= 0:
        return image.pixels
    y = luma(image.pixels)
    change = np.empty_like(y)

    def sharpen(corner: tuple[int, int]) -> None:
        top, left = corner
        part = y[max(0, top - MARGIN) : top + TILE + MARGIN, max(0, left - MARGIN) : left + TILE + MARGIN]
        padded = np.pad(part, MARGIN, mode="symmetric")
        added = np.fft.irfft2(np.fft.rfft2(padded) * (wiener_filter(padded.shape, blur) - 1), padded.shape)
        down, right = MARGIN + min(top, MARGIN), MARGIN + min(left, MARGIN)
        rows, columns = (slice(top, top + TILE), slice(left, left + TILE))
        height, width = change[rows, columns].shape
        change[rows, columns] = added[down : down + height, right : right + width]

    in_threads(sharpen, [(top, left) for top in range(0, image.height, TILE) for left in range(0, image.width, TILE)])
    sharp: Pixels = np.clip(image.pixels + change, 0, 1)
    return sharp


def wiener_filter(shape: tuple[int, ...], blur: Blur) -> Floats:
    """Wiener filter at the frequencies of `rfft2`. The noise is scaled up, the more so the larger the misfit.

    With the scaled noise a disc is sharpened without ringing, although its response has zeros.
    """
    down, across = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    square = np.maximum(down[:, None] ** 2 + across**2, (RING_EDGES[0] / 2) ** 2)
    response = (
        disc_response(2 * blur.sigma, np.sqrt(square)) if blur.disc else np.exp(-2 * np.pi**2 * blur.sigma**2 * square)
    )
    signal = blur.power * square ** (-blur.slope / 2)
    noise_factor = 4 ** (1 + max(0.0, blur.misfit - 0.06) / 0.08)
    wiener: Floats = response * signal / (response**2 * signal + noise_factor * blur.noise)
    wiener[0, 0] = 1
    return wiener
