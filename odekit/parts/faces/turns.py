"""Photographs and faces that lie on their side or stand on their head: searches in quarter turns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from odekit.core.image import Pixels
from odekit.parts.faces.geometry import Frame, Points
from odekit.parts.faces.search import SearchSize, moved, search, search_scaled
from odekit.parts.faces.warp import crop_face
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet, to_bgr

TURNS = (0, 90, 180, 270)
"""Clockwise turns of a picture, in degrees."""
SURROUNDINGS = 2.0
"""Side of the part that is turned around one proposal, in sides of its box."""
FACE_SIDE = 96
"""A proposal's larger side in the part that is turned, in pixels; smaller faces are enlarged at most twice."""
NEAR = 0.35
"""Greatest distance of the centre of a turned face from that of the proposal, in sides of its box."""

LEVEL_SIDE = 160
"""Side of a crop in which a tilted face is brought upright, in pixels."""


def search_turned(network: YuNet, photo: BgrPicture, size: SearchSize, turn: int, finer: bool = True) -> list[Proposal]:
    """Faces of a photograph that is turned clockwise for the search, in pixels of the photograph as it is."""
    height, width = photo.shape[:2]
    found = search(network, turned(photo, turn), size, finer)
    return [turned_back(proposal, turn, height, width) for proposal in found]


def turned_around(network: YuNet, photo: BgrPicture, proposal: Proposal, turn: int) -> list[Proposal]:
    """What YuNet sees in a proposal's place in the other turns than `turn`: at most one face each."""
    x0, y0, x1, y1 = proposal.box
    side, middle = max(x1 - x0, y1 - y0), centre(proposal)
    reach = SURROUNDINGS * side / 2
    left, top = (max(0, round(v - reach)) for v in middle)
    part = photo[top : max(0, round(middle[1] + reach)), left : max(0, round(middle[0] + reach))]
    found: list[Proposal] = []
    if min(part.shape[:2]) < 2:
        return found
    height, width = part.shape[:2]
    for other in TURNS:
        if other != turn:
            seen = search_scaled(network, turned(part, other), min(2.0, FACE_SIDE / side))
            here = [moved(turned_back(p, other, height, width), left, top) for p in seen]
            near = [p for p in here if np.hypot(*(centre(p) - middle)) < NEAR * side]
            found += sorted(near, key=lambda p: -p.score)[:1]
    return found


def levelled(network: YuNet, pixels: Pixels, frame: Frame) -> list[Proposal]:
    """What YuNet sees in a frame of a photograph (3, H, W) when it is brought upright: at most one face.

    YuNet scores tilted faces lower, and its points lag behind the tilt.
    """
    wide = Frame.from_centre(frame.centre, 2 * frame.side, frame.angle)
    crop = crop_face(pixels, wide, LEVEL_SIDE, "edge")
    seen = network.propose(to_bgr(crop))
    near = [p for p in seen if np.hypot(*(centre(p) / LEVEL_SIDE - 0.5)) < NEAR / 2]
    found = []
    for proposal in sorted(near, key=lambda p: -p.score)[:1]:
        x0, y0, x1, y1 = proposal.box
        corners = wide.place(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) / LEVEL_SIDE)
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        box = float(left), float(top), float(right), float(bottom)
        found.append(replace(proposal, box=box, points=wide.place(proposal.points / LEVEL_SIDE)))
    return found


def turned(picture: BgrPicture, turn: int) -> BgrPicture:
    """The picture turned clockwise by so many degrees, a multiple of 90."""
    return np.ascontiguousarray(np.rot90(picture, -turn // 90))


def turned_back(proposal: Proposal, turn: int, height: int, width: int) -> Proposal:
    """A face of a picture that was turned clockwise, in pixels of the picture (height, width) as it was."""
    corners = points_turned_back(np.array(proposal.box).reshape(2, 2), turn, height, width)
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    box = float(x0), float(y0), float(x1), float(y1)
    return replace(proposal, box=box, points=points_turned_back(proposal.points, turn, height, width))


def points_turned_back(points: Points, turn: int, height: int, width: int) -> Points:
    """Points (N, 2) of a picture that was turned clockwise, in the picture as it was; origin at the corner."""
    x, y = points[:, 0], points[:, 1]
    back = {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[turn]
    return np.stack(back, 1)


def turn_of(frame: Frame) -> int:
    """Clockwise turn in degrees, a multiple of 90, that brings a face nearest to upright."""
    return round(-math.degrees(frame.angle) / 90) * 90 % 360


def centre(proposal: Proposal) -> Points:
    """Centre of a proposal's box."""
    middle: Points = np.array(proposal.box).reshape(2, 2).mean(0)
    return middle
