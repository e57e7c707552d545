"""How far restored faces moved from their originals in identity, for the records."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.chains.tools import PartTools
from odekit.core.options import Part
from odekit.core.result import Result
from odekit.plugins.catalog import BUILT_IN

if TYPE_CHECKING:
    from odekit.plugins.catalog import Catalog

METRIC = "face-distance"


class IdentityCheck:
    """Writes `face_distance` into the record of each face that was changed.

    It is the metric `face-distance` between the face as it entered the chain and the result: the same person below
    0.45. None where the metric means nothing (`FaceDistanceMetric.between`). Of a heavily damaged face the descriptor
    sees little, so a large value means that the result shows what the original does not, not always another person.
    """

    def __init__(self, catalog: Catalog, device: str) -> None:
        # tools of its own: what only measures results is not listed with the weights that they depend on
        self.tools = PartTools(catalog, device, "float32")
        self.part = Part("metric", METRIC, catalog.get("metric", METRIC, (BUILT_IN,)).options())

    @functools.cached_property
    def metric(self) -> Any:
        """The metric; its network is loaded with the first face."""
        return self.tools.make(self.part)

    def note(self, results: Sequence[Result]) -> None:
        """Add the distances to the records of these results of a chain of faces."""
        for result in results:
            before, after = result.source, result.output
            if after is None or np.array_equal(before.pixels, after.pixels):
                continue
            result.record["face_distance"] = self.metric.between(before, after)
