"""The only place that imports basicsr, and that knows what stands in the way.

- `basicsr.data.degradations` imports `torchvision.transforms.functional_tensor`, which torchvision removed in 0.17
  (XPixelGroup/BasicSR issue 663). While basicsr is imported, and no longer, a module of that name holds the one
  function that it takes from there.
- Importing basicsr switches numpy's warnings about division off for the whole process. They are switched on again.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from odekit.errors import PluginError

ALIAS = "torchvision.transforms.functional_tensor"
INSTALL = "pip install odekit-basicsr && pip install --no-deps --no-build-isolation basicsr==1.4.2"


@contextlib.contextmanager
def alias() -> Iterator[None]:
    """Inside, `torchvision.transforms.functional_tensor` can be imported; old torchvision's own is left alone."""
    try:
        importlib.import_module(ALIAS)
    except ModuleNotFoundError:
        stand_in = ModuleType(ALIAS)
        home = importlib.import_module("torchvision.transforms.functional")
        stand_in.rgb_to_grayscale = home.rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[ALIAS] = stand_in
        try:
            yield
        finally:
            sys.modules.pop(ALIAS, None)
    else:
        yield


@functools.cache
def module(name: str) -> ModuleType:
    """A module of basicsr, such as "data.degradations".

    Raises:
        PluginError: it cannot be imported; the message says what to install.
    """
    try:
        with alias(), np.errstate(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that basicsr takes from scipy's and torch's old places
            return importlib.import_module(f"basicsr.{name}")
    except ImportError as error:
        raise PluginError(
            f"odekit-basicsr needs the package basicsr, but: {error}; install it by: {INSTALL}"
        ) from error
