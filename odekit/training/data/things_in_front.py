"""Things drawn in front of aligned faces for training: hands, bars, cups, leaves, all that hides a part of a face.

Few training faces are hidden by anything, so that a network draws eyes on a railing and a mouth on a hand.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.training.data.dead_leaves import dead_leaves
from odekit.training.data.straight_things import random_strip, soft

Floats = NDArray[np.float32]
Plane = NDArray[np.float32]
"""(S, S)."""
MOST_HIDDEN = 0.6
"""Largest share of the inner face that is hidden: of less than the rest nobody could be recognised."""
INNER = (0.3, 0.75)
"""The inner face: this part of the rows and of the columns."""


def put_in_front(face: Floats, rng: np.random.Generator) -> Floats:
    """The face (3, S, S) in [0, 1] with one thing in front of it."""
    side = face.shape[-1]
    cover = hiding(side, rng)
    thing = surface(face, rng)
    out = face
    if rng.random() < 0.5:  # its soft shadow
        reach = side * rng.uniform(0.01, 0.05)
        shift = np.array([[1, 0, rng.normal(0, reach)], [0, 1, rng.uniform(0, 2 * reach)]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(cover, shift, (side, side)), (0, 0), float(reach))
        out = out * (1 - np.float32(rng.uniform(0.1, 0.5)) * shadow)
    clipped: Floats = np.clip(out + cover * (thing - out), 0, 1).astype(np.float32)
    return clipped


def hiding(side: int, rng: np.random.Generator) -> Plane:
    """Coverage of a thing that hides a part of the inner face, but not most of it."""
    kinds: list[Callable[[int, np.random.Generator], Plane]] = [bar, hand, hand, blob, blob]
    inner = slice(int(INNER[0] * side), int(INNER[1] * side))
    while True:
        cover = kinds[int(rng.integers(len(kinds)))](side, rng)
        if 0.03 < float(cover[inner, inner].mean()) < MOST_HIDDEN:
            return cover


def bar(side: int, rng: np.random.Generator) -> Plane:
    """A bar, rope or pole across the picture."""
    half = side * float(np.exp(rng.uniform(np.log(0.015), np.log(0.13))))
    return soft(rng, random_strip(rng, side).across, half)


def hand(side: int, rng: np.random.Generator) -> Plane:
    """Fingers, with or without the palm, that come in from any side."""
    angle, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.25)
    towards = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-towards[1], towards[0]])
    tip = side * (0.5 + rng.uniform(-0.22, 0.22, 2))
    width = side * rng.uniform(0.05, 0.11)
    cover = np.zeros((side, side), np.uint8)
    fingers = int(rng.integers(1, 5))
    palm = tip - towards * side * rng.uniform(0.25, 0.4)
    for n in range(fingers):
        place = (n - (fingers - 1) / 2) * width * rng.uniform(1.0, 1.25)
        length = side * rng.uniform(0.22, 0.45)
        end = tip + across * (place * (1 + spread)) - towards * abs(place) * rng.uniform(0.2, 0.6)
        line(cover, end, end - (towards - across * spread * np.sign(place)) * length, width)
    if rng.random() < 0.7:
        line(cover, palm, palm - towards * side, width * rng.uniform(fingers * 0.9, fingers * 1.3))
    return softened(cover, rng)


def blob(side: int, rng: np.random.Generator) -> Plane:
    """A rounded or angular shape, such as a microphone, a cup, a leaf or a collar; at times with a stem."""
    corners = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    if rng.random() < 0.4:
        corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
    stretch, radius = float(np.exp(rng.normal(0, 0.3))), side * rng.uniform(0.06, 0.3)
    angle, centre = rng.uniform(0, 2 * np.pi), side * (0.5 + rng.uniform(-0.35, 0.35, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = np.stack([np.cos(corners) * stretch, np.sin(corners) / stretch], 1) @ turn.T * radius + centre
    cover = np.zeros((side, side), np.uint8)
    cv2.fillPoly(cover, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if rng.random() < 0.3:
        line(cover, centre, centre + turn[1] * 2 * side, radius * rng.uniform(0.15, 0.6))
    return softened(cover, rng)


def line(cover: NDArray[np.uint8], start: NDArray[np.float64], end: NDArray[np.float64], width: float) -> None:
    """Draw a line with round ends."""
    (x0, y0), (x1, y1) = np.rint(np.stack([start, end])).astype(int)
    cv2.line(cover, (int(x0), int(y0)), (int(x1), int(y1)), 255, max(1, round(width)), cv2.LINE_AA)


def softened(cover: NDArray[np.uint8], rng: np.random.Generator) -> Plane:
    """Coverage in [0, 1] with an edge as of a lens: sharp, or out of focus."""
    blur = len(cover) * (rng.uniform(0.002, 0.006) if rng.random() < 0.7 else rng.uniform(0.006, 0.025))
    soft_cover = cv2.GaussianBlur(cover.astype(np.float32) / np.float32(255), (0, 0), float(blur))
    return np.clip(np.asarray(soft_cover, np.float32), 0, 1)


def surface(face: Floats, rng: np.random.Generator) -> Floats:
    """What a thing (3, S, S) looks like: the colour of skin, of another part of the picture, or any; plain, or with
    texture of many scales.
    """
    side, kind = face.shape[-1], rng.random()
    if kind < 0.2:
        palette = (face.transpose(1, 2, 0) * 255).astype(np.uint8)
        leaves = dead_leaves(side, rng, palette).astype(np.float32).transpose(2, 0, 1) / np.float32(255)
        return np.ascontiguousarray(leaves)
    if kind < 0.65:  # skin: the nose and the cheeks of this face, or lighter and darker ones
        row, column = (int(side * rng.uniform(*span)) for span in ((0.5, 0.65), (0.38, 0.62)))
        reach = side // 32
        colour = face[:, row - reach : row + reach + 1, column - reach : column + reach + 1].mean((1, 2))
        colour = colour * rng.uniform(0.7, 1.25) + rng.normal(0, 0.02, 3)
    elif kind < 0.8:
        colour = face[:, int(rng.integers(side)), int(rng.integers(side))]
    else:
        colour = rng.random() + rng.normal(0, 0.15, 3)
    light = shading(side, rng)
    out: Floats = (colour.astype(np.float32)[:, None, None] * (1 + light)).astype(np.float32)
    return out


def shading(side: int, rng: np.random.Generator) -> Plane:
    """Light and texture (S, S) about 0: smooth noise of several scales, and at times stripes."""
    light = np.zeros((side, side), np.float32)
    for cells in (3, 8, 24, 64):
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        strength = np.float32(abs(rng.normal(0, 0.12 if cells < 10 else 0.05)))
        light += strength * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.3:
        y, x = (axis.astype(np.float32) for axis in np.mgrid[:side, :side])
        angle, period = rng.uniform(0, np.pi), side * rng.uniform(0.015, 0.12)
        wave = np.sin(np.float32(2 * np.pi / period) * (np.cos(angle) * x + np.sin(angle) * y))
        light += np.float32(rng.uniform(0.03, 0.2)) * wave.astype(np.float32)
    return light
