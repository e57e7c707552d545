"""The stages of a chain: restore, upsample, faces, save."""

from __future__ import annotations

from odekit.parts.faces.options import Faces
from odekit.parts.stages.options import Restore, Save, Upsample
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """All built-in stages but those of `odekit.parts.repair`."""
    here = f"{__name__}."
    catalog.stage("restore", here + "restore:RestoreStage", Restore, "invert, enhance, return (Algorithm 1)")
    catalog.stage("upsample", here + "upsample:UpsampleStage", Upsample, "add detail with one upsampler")
    catalog.stage("save", here + "save:SaveStage", Save, "how results are written; comes last")
    catalog.stage(
        "faces", here + "faces:FacesStage", Faces, "find the faces of a photograph, restore each, put them back"
    )
