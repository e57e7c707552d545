"""Remove uniform blur from a photograph: a Wiener filter for the blur estimated from the power spectrum.

How blur shows in the spectrum, and is fitted: see `odekit.parts.repair.blur_fit`. Any sharp region keeps the power
high, so a blurred background alone does not count as blur. The fit is rejected if its error is large, or if directions
disagree, as in pictures with camera shake or compression.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from odekit.core.image import Image, Pixels
from odekit.core.threads import in_threads
from odekit.images.colour import luma
from odekit.parts.repair.blur_fit import MIN_RESPONSE, NO_BLUR, RING_EDGES, Blur, Floats, disc_response, fit_blur

PART_SIDE, MAX_PARTS = 512, 3
"""Side of the parts whose spectra are averaged, and largest number of parts along an axis."""
NOISE_FREQUENCY = 0.55
"""Frequency above which the spectrum is dominated by noise (its corners)."""
MIN_NOISE = 1 / 36 / 255**2
"""Smallest noise variance assumed: a third of that of rounding to 8 bits."""
MAX_MISFIT = 0.4
"""Largest root mean square error of the fit in log power, after subtraction of the statistical error."""
MAX_ANISOTROPY = 0.25
"""Largest relative difference between the blur in one direction and in all."""
TILE, MARGIN = 1024, 96

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
    transform = np.fft.rfft2((y - y.mean(dtype=np.float64)) * window)
    half = (transform.real**2 + transform.imag**2) / np.square(window).sum()
    mirrored = np.roll(half[::-1, (y.shape[1] - 1) // 2 : 0 : -1], 1, axis=0)  # the power at -f is that at f
    power: Floats = np.concatenate([half, mirrored], axis=1)
    return power


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
