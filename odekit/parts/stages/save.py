"""The stage `save`: the run reads its options when it writes."""

from __future__ import annotations

from collections.abc import Sequence

from odekit.core.image import Image
from odekit.core.interfaces import StageContext, Tools
from odekit.parts.stages.options import Save


class SaveStage:
    """Changes nothing."""

    def __init__(self, options: Save, tools: Tools) -> None:
        self.options = options

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """The batch as it is."""
        return list(batch)
