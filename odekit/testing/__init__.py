"""Checks for plugin authors: conformance of parts, problems with exact solutions, goldens."""

import warnings
from typing import Any

from odekit.testing import conformance
from odekit.testing.conformance import *  # noqa: F403
from odekit.testing.conformance import __all__ as __all__

RENAMED = {
    "PlainTools": "StandaloneTools",
    "TwinField": "MixtureField",
    "check_other_rows": "check_row_independence",
    "noise": "batch_noise",
    "points": "random_states",
    "travel": "solve",
}
"""Name used before version 0.2: current name."""


def __getattr__(name: str) -> Any:
    """The current object of an old name, with one FutureWarning for each name."""
    if name not in RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = f"'{__name__}.{name}' is now '{RENAMED[name]}'; the old name will be removed in the next minor version"
    warnings.warn(message, FutureWarning, stacklevel=2)
    globals()[name] = current = getattr(conformance, RENAMED[name])
    return current
