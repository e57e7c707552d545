"""Imports basicsr and works around two side effects.

- `basicsr.data.degradations` imports `torchvision.transforms.functional_tensor`, which torchvision removed in 0.17
  (XPixelGroup/BasicSR issue 663). Only during the import of basicsr, a module of that name provides the one
  function that basicsr uses.
- Importing basicsr disables numpy's warnings about division for the whole process. They are enabled again.
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
def functional_tensor_alias() -> Iterator[None]:
    """Make `torchvision.transforms.functional_tensor` importable; the module of an old torchvision is unchanged."""
    try:
        importlib.import_module(ALIAS)
    except ModuleNotFoundError:
        substitute = ModuleType(ALIAS)
        functional = importlib.import_module("torchvision.transforms.functional")
        substitute.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
        sys.modules[ALIAS] = substitute
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
        PluginError: the import fails; the message has the install command.
    """
    try:
        with functional_tensor_alias(), np.errstate(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # basicsr uses deprecated names of scipy and torch
            return importlib.import_module(f"basicsr.{name}")
    except ImportError as error:
        raise PluginError(f"odekit-basicsr needs the package basicsr ({error}); install it with: {INSTALL}") from error
