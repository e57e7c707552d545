"""Checks for plugin authors: conformance of parts, exact problems, goldens."""

from odekit.testing.conformance import *  # noqa: F403
from odekit.testing.conformance import __all__ as __all__
