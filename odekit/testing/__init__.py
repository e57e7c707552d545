"""Checks for plugin authors: conformance of parts, problems with exact solutions, goldens."""

from odekit.testing.conformance import *  # noqa: F403
from odekit.testing.conformance import __all__ as __all__
