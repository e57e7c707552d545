"""HEIC and HEIF by libheif: through the package pi-heif (decoder only), or pillow-heif if that is installed instead.

libheif applies the rotation and mirroring of the file while it decodes; both packages reset the EXIF orientation, so
that it is not applied twice (ISO/IEC 23000-22, 7.3.6.7: the orientation of a HEIF image is that of its properties).
"""

from __future__ import annotations

import importlib
from functools import cache

from PIL.ImageFile import ImageFile

from odekit.images.formats.deep import Refusal

PACKAGES = ("pi_heif", "pillow_heif")


@cache
def _class(package: str) -> type[ImageFile] | None:
    """The Pillow class of a package; None if it is not installed, or its library cannot be loaded."""
    try:
        module = importlib.import_module(package)
        module.libheif_version()  # a package without its library fails only when it is called
        return module.HeifImageFile  # type: ignore[no-any-return]
    except Exception:
        return None


def opener() -> type[ImageFile]:
    """The class that opens HEIF files. Raises Refusal if no package for them is installed."""
    for package in PACKAGES:
        if (found := _class(package)) is not None:
            return found
    raise Refusal("is a HEIC picture; to read these, pip install 'odekit[heif]'")
