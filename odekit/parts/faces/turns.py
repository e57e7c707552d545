"""Faces that lie on their side or stand on their head: the search in quarter turns of a photograph, or of a part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from odekit.parts.faces.geometry import Points
from odekit.parts.faces.search import SearchSize, box_width, moved, search, search_scaled
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet

TURNS = (90, 180, 270)
"""Clockwise turns of a picture, in degrees."""
SURROUNDINGS = 2.0
"""Side of the part that is turned around one proposal, in sides of its box."""
FACE_SIDE = 96
"""A proposal's larger side in the part that is turned, in pixels; smaller faces are enlarged at most twice."""
NEAR = 0.35
"""Greatest distance of the centre of a turned face from that of the proposal, in sides of its box."""


def search_turned(network: YuNet, photo: BgrPicture, size: SearchSize) -> list[Proposal]:
    """Faces that appear when the photograph is turned, in pixels of the photograph as it is. Not in tiles."""
    height, width = photo.shape[:2]
    return [
        turned_back(proposal, turn, height, width)
        for turn, picture in quarter_turns(photo)
        for proposal in search(network, picture, size, finer=max(height, width) <= size.largest)
    ]


def turned_around(network: YuNet, photo: BgrPicture, proposal: Proposal) -> list[Proposal]:
    """What the network sees in a proposal's place when its surroundings are turned: at most one face a turn."""
    x0, y0, x1, y1 = proposal.box
    side, x, y = max(x1 - x0, y1 - y0), (x0 + x1) / 2, (y0 + y1) / 2
    reach = SURROUNDINGS * side / 2
    left, top = max(0, round(x - reach)), max(0, round(y - reach))
    part = photo[top : max(0, round(y + reach)), left : max(0, round(x + reach))]
    found: list[Proposal] = []
    if min(part.shape[:2]) < 2:
        return found
    height, width = part.shape[:2]
    for turn, picture in quarter_turns(part):
        seen = [
            moved(turned_back(p, turn, height, width), left, top)
            for p in search_scaled(network, picture, min(2.0, FACE_SIDE / side))
        ]
        near = [p for p in seen if np.hypot(*(centre(p) - (x, y))) < NEAR * side and 0.5 < box_width(p.box) / side < 2]
        found += sorted(near, key=lambda p: -p.score)[:1]
    return found


def quarter_turns(picture: BgrPicture) -> Iterator[tuple[int, BgrPicture]]:
    """The picture turned clockwise by 90, 180 and 270 degrees."""
    for turn in TURNS:
        yield turn, np.ascontiguousarray(np.rot90(picture, -turn // 90))


def turned_back(proposal: Proposal, turn: int, height: int, width: int) -> Proposal:
    """A face of a picture that was turned clockwise, in pixels of the picture (height, width) as it was."""
    corners = unturn(np.array(proposal.box).reshape(2, 2), turn, height, width)
    (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
    box = float(x0), float(y0), float(x1), float(y1)
    return replace(proposal, box=box, points=unturn(proposal.points, turn, height, width), turn=turn)


def unturn(points: Points, turn: int, height: int, width: int) -> Points:
    """Points of a turned picture in the picture (height, width) as it was, both with the origin at the corner."""
    x, y = points[:, 0], points[:, 1]
    back = {0: (x, y), 90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}[turn]
    return np.stack(back, 1)


def centre(proposal: Proposal) -> Points:
    """Centre of a proposal's box."""
    middle: Points = np.array(proposal.box).reshape(2, 2).mean(0)
    return middle
