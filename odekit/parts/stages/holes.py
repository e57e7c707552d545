"""Hidden parts of a face, drawn anew where a mask says so or where something is found in front of the face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import RELIABILITY, Image
from odekit.core.interfaces import StageContext
from odekit.parts.repair.occlusion import Area, accepted
from odekit.parts.stages.face_edit import EditPart, FaceEdit


class HoleFilling:
    """Draws hidden parts of faces from their surroundings."""

    def __init__(self, edit: FaceEdit) -> None:
        """With an edit whose inverter takes masks."""
        self.edit = edit

    def filled(
        self, images: Mapping[int, Image], keep: Mapping[int, NDArray[np.float64]], areas: Mapping[int, list[Area]],
        part: EditPart, context: StageContext,
    ) -> dict[int, Image]:  # fmt: skip
        """The faces with their holes filled; those without any as they are. Failures are left out.

        Args:
            images: faces at the prior's size, by index.
            keep: given masks, 1 where a face is kept.
            areas: what may hide a part of a face. The face is drawn anew behind all of them, and kept where it is
                likelier that something hides it.
            part: of the stage's work.
            context: of the stage.
        """
        given = {i: mask for i, mask in keep.items() if i in images}
        supposed = {i: found for i, found in areas.items() if found}
        masks = given | {i: observed(images[i], found) for i, found in supposed.items()}
        drawn = self._drawn(images, masks, part, context)
        hiding = {
            i: [one for one in found if accepted(one, images[i].pixels, drawn[i].pixels)]
            for i, found in supposed.items()
            if i in drawn
        }
        out = dict(images)
        for i in masks:
            if i not in drawn:
                del out[i]
            elif i in given or hiding[i]:
                mask = given[i] if i in given else observed(images[i], hiding[i])
                out[i] = with_reliability(images[i], drawn[i], mask)
                context.note(i, occlusions=round(float(1 - mask.mean()), 4))
            if i in supposed and len(hiding.get(i, ())) < len(supposed[i]):
                context.note(i, areas_left=len(supposed[i]) - len(hiding.get(i, ())))
        return out

    def _drawn(
        self, images: Mapping[int, Image], masks: Mapping[int, NDArray[np.float64]], part: EditPart,
        context: StageContext,
    ) -> dict[int, Image]:  # fmt: skip
        """The faces of these masks, drawn anew where a mask is 0."""
        if not masks:
            return {}
        part = replace(part, rows=len(masks)) if self.edit.packs else part
        return self.edit.run({i: images[i] for i in masks}, part, context, masks)


def observed(image: Image, areas: Iterable[Area]) -> NDArray[np.float64]:
    """(H, W): 0 where an area hides the face, else 1."""
    mask = np.ones((image.height, image.width))
    for area in areas:
        mask[area.hidden] = 0
    return mask


def with_reliability(image: Image, drawn: Image, keep: NDArray[np.float64]) -> Image:
    """The drawn face where `keep` (H, W) is 0, and the map of what was observed, for later stages."""
    pixels = np.where(keep > 0, image.pixels, drawn.pixels)
    return replace(image, pixels=pixels, extra={**image.extra, RELIABILITY: keep.astype(np.float32)})
