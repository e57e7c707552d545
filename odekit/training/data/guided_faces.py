"""Training faces of the guided upsampler: the restored small face, the damaged original, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odekit.images import io
from odekit.images.colour import luma
from odekit.images.resize import square_resize
from odekit.parts.corruptions.photo import STRENGTHS, damage
from odekit.training.data.spectacles import draw_at_random, put_on
from odekit.training.data.things_in_front import put_in_front
from odekit.training.options.guided import GuidedDamageOptions

Picture = NDArray[np.uint8]
"""(S, S, 3)."""
Floats = NDArray[np.float32]
"""(3, S, S) in [0, 1]."""


@dataclass(frozen=True)
class Pair:
    """Files of one face."""

    damaged: Path
    restored: Path
    """By a chain, at the small side."""
    truth: Path | None
    """What should come back, where that is not the training picture."""


@dataclass(frozen=True)
class GuidedFace:
    """One training example."""

    small: Floats
    """The restored face at the small side."""
    original: Floats
    """The damaged face."""
    truth: Floats


def draw_face(
    picture: Picture,
    pair: Pair | None,
    side: int,
    small_side: int,
    options: GuidedDamageOptions,
    rng: np.random.Generator,
) -> GuidedFace:
    """Damage a face at random.

    Args:
        picture: the face, at `side` or larger.
        pair: files of the same face damaged and restored; None if there are none.
        side: of the faces.
        small_side: of restored faces.
        options: of the damage.
        rng: of this example.
    """
    truth = square_resize(unit_planes(picture), side)
    use_pair, clean, ideal, noisy = (
        rng.random() < p for p in (options.share, options.clean, options.ideal, options.noisy)
    )
    frequencies = np.array(options.severities)
    severity = 1 + int(rng.choice(5, p=frequencies / frequencies.sum()))
    mixing, damage_rng = rng.uniform(0.5, 1), np.random.Generator(np.random.Philox(rng.integers(2**62)))
    recolour = draw_recolouring(options, rng)
    if pair is not None and use_pair:
        original, small = (unit_planes(io.read(path).to_uint8()) for path in (pair.damaged, pair.restored))
        if pair.truth is not None:
            truth = square_resize(unit_planes(io.read(pair.truth).to_uint8()), side)
        return GuidedFace(recolour(small), recolour(original), recolour(truth))
    if rng.random() < options.spectacles:
        truth = put_on(truth, draw_at_random(rng))
    truth = bare = recolour(truth)
    if rng.random() < options.in_front:
        truth = put_in_front(truth, rng)
        bare = truth if rng.random() < 0.5 else bare  # a restoration keeps the thing, or draws a face over it
    if clean:
        return GuidedFace(square_resize(truth, small_side), truth, truth)
    levels = np.ascontiguousarray((truth.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8))
    original = unit_planes(damage(levels, STRENGTHS[severity], damage_rng))
    if noisy:
        noise = damage_rng.uniform(0.02, 0.15) * damage_rng.standard_normal(original.shape, dtype=np.float32)
        original = np.clip(original + noise, 0, 1).astype(np.float32)
    small = square_resize(original, small_side)
    if ideal:
        small = small + np.float32(mixing) * (square_resize(bare, small_side) - small)
    return GuidedFace(small, original, truth)


@dataclass(frozen=True)
class Recolouring:
    """A change of the colours of a face, the same for its truth, its original and its restored version."""

    gain: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    tone: NDArray[np.float32] | None = None
    """(3,): colour of a toned picture relative to its luma."""
    hue: float = 0.0
    """Angle in radians by which the colours are turned about the grey axis."""

    def __call__(self, pixels: Floats) -> Floats:
        """The face (3, S, S) with these colours, clipped to [0, 1]."""
        if self.hue:
            pixels = np.tensordot(hue_rotation(self.hue), pixels, 1).astype(np.float32)
        grey = luma(pixels)[None]
        out = grey + np.float32(self.saturation) * (pixels - grey)
        if self.tone is not None:  # strongest in the middle tones, as toning is
            out = out + self.tone[:, None, None] * (4 * grey * (1 - grey))
        out = (out - np.float32(0.5)) * np.float32(self.contrast) + np.float32(0.5)
        clipped: Floats = np.clip(out * np.float32(self.gain), 0, 1).astype(np.float32)
        return clipped


def draw_recolouring(options: GuidedDamageOptions, rng: np.random.Generator) -> Recolouring:
    """Grey, toned, or jittered colours, or none, with the probabilities of the options."""
    kind, jitter = rng.random(), rng.random() < options.jitter
    gain, contrast, saturation = rng.uniform(0.8, 1.2), rng.uniform(0.75, 1.15), rng.uniform(0.5, 1.3)
    strength = rng.uniform(0.02, 0.1)
    turned, hue = rng.random() < options.hue, rng.normal(0, 0.7)
    if not jitter:
        gain, contrast, saturation = 1.0, 1.0, 1.0
    if kind < options.grey:
        return Recolouring(gain, contrast, 0.0)
    if kind < options.grey + options.toned:
        return Recolouring(gain, contrast, 0.0, np.array([1.0, 0.1, -1.0], np.float32) * np.float32(strength))
    return Recolouring(gain, contrast, saturation, hue=hue if turned else 0.0)


def hue_rotation(angle: float) -> NDArray[np.float64]:
    """(3, 3): rotation of RGB about the grey axis (1, 1, 1) by an angle in radians (Rodrigues' formula)."""
    axis = np.full(3, 3**-0.5)
    cross = np.cross(np.eye(3), axis)
    rotation: NDArray[np.float64] = (
        np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    )
    return rotation


def find_pairs(options: GuidedDamageOptions, names: tuple[str, ...]) -> Mapping[int, Pair]:
    """Files of damaged and restored faces by the index of their name; suffixes are ignored."""
    if options.damaged is None or options.restored is None:
        return {}
    damaged, restored, truths = (
        {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in io.IMAGE_SUFFIXES}
        if folder is not None
        else {}
        for folder in (options.damaged, options.restored, options.truth)
    )
    stems = {i: Path(name).stem for i, name in enumerate(names)}
    return {i: Pair(damaged[s], restored[s], truths.get(s)) for i, s in stems.items() if s in damaged and s in restored}


def unit_planes(picture: Picture) -> Floats:
    """A picture (H, W, 3) of 8 bits as (3, H, W) in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
