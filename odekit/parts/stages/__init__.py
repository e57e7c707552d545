"""The stages of a chain: restore, upsample, keep-identity, faces, save."""

from __future__ import annotations

from odekit.parts.faces.options import Faces
from odekit.parts.stages.options import KeepIdentity, Restore, Save, Upsample
from odekit.plugins.catalog import PluginCatalog


def register(catalog: PluginCatalog) -> None:
    """Register the built-in stages, except those of `odekit.parts.repair`."""
    package = f"{__name__}."
    catalog.stage("restore", package + "restore:RestoreStage", Restore, "invert, enhance, decode (Algorithm 1)")
    catalog.stage("upsample", package + "upsample:UpsampleStage", Upsample, "add detail with one upsampler")
    catalog.stage(
        "keep-identity",
        package + "keep_identity:KeepIdentityStage",
        KeepIdentity,
        "mix results with their originals where the person would change",
    )
    catalog.stage("save", package + "save:SaveStage", Save, "how results are written; must be the last stage")
    catalog.stage(
        "faces", package + "faces:FacesStage", Faces, "detect the faces of a photograph, restore each, paste them back"
    )
