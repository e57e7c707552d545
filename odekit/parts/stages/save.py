"""The stage `save`. It only carries options: the run reads them when it writes the result."""

from __future__ import annotations

from collections.abc import Sequence

from odekit.core.image import Image
from odekit.core.interfaces import StageContext, Tools
from odekit.parts.stages.options import Save


class SaveStage:
    """Passes images through unchanged."""

    def __init__(self, options: Save, tools: Tools) -> None:
        self.options = options

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """Return the batch unchanged."""
        return list(batch)
