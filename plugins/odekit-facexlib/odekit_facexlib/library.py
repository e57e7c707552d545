"""Single modules of facexlib, without the rest of it.

`import facexlib` loads all of facexlib: a tracker under the GPL with its needs (filterpy, numba), OpenCV, and code that
downloads weights. The two networks need none of that; each lies in one file that imports torch and numpy alone, and
that file is loaded by itself, as a module of this plugin.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

from odekit.errors import PluginError

INSTALL = "pip install --no-deps facexlib==0.3.0"


@functools.cache
def module(file: str) -> ModuleType:
    """A file of the installed facexlib, such as "parsing/parsenet.py", as a module.

    Raises:
        PluginError: facexlib is not installed, or has no such file; the message says what to install.
    """
    # Finding a package does not run it.
    found = importlib.util.find_spec("facexlib")
    places = [] if found is None else [Path(place) / file for place in found.submodule_search_locations or ()]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        what = "is not installed" if not places else f"has no {file}; this plugin knows version 0.3.0"
        raise PluginError(f"odekit-facexlib needs the package facexlib, which {what}: {INSTALL}")
    spec = importlib.util.spec_from_file_location(f"odekit_facexlib.facexlib_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be loaded as Python: {INSTALL}")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
