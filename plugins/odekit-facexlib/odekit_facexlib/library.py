"""Imports single modules of facexlib, without the rest of the package.

`import facexlib` loads all of facexlib: a tracker under the GPL with its dependencies (filterpy, numba), OpenCV, and
code that downloads weights. The two networks do not need them. Each is in one file that imports only torch and numpy;
this module loads that file as a module of this plugin.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

from odekit.errors import PluginError
from odekit_facexlib.options import FACEXLIB

INSTALL = FACEXLIB.install


@functools.cache
def module(file: str) -> ModuleType:
    """Load a file of the installed facexlib, such as "parsing/parsenet.py", as a module.

    Raises:
        PluginError: facexlib is not installed, or has no such file; the message has the install command.
    """
    # find_spec does not import the package.
    package = importlib.util.find_spec("facexlib")
    candidates = [] if package is None else [Path(folder) / file for folder in package.submodule_search_locations or ()]
    path = next((folder for folder in candidates if folder.is_file()), None)
    if path is None:
        problem = "is not installed" if not candidates else f"has no {file}; this plugin requires version 0.3.0"
        raise PluginError(f"odekit-facexlib needs the package facexlib, which {problem}: {INSTALL}")
    spec = importlib.util.spec_from_file_location(f"odekit_facexlib.facexlib_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} cannot be loaded_module as Python: {INSTALL}")
    loaded_module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded_module)
    return loaded_module
