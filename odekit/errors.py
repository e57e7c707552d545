"""What can go wrong, as one family: every message says what, where and what to do next."""

from __future__ import annotations


class OdekitError(Exception):
    """Base of all errors that are shown to a person as one line, never as a traceback."""


class ConfigError(OdekitError):
    """A chain, an option or a command line that cannot be meant: wrong name, type or value."""


class InputError(OdekitError):
    """A picture that cannot be read, or that this chain does not accept."""


class WeightsError(OdekitError):
    """Weights that are missing, damaged, unsafe or of another network."""


class PluginError(OdekitError):
    """A plugin that fails, clashes with another, or breaks an interface."""


class DeviceError(OdekitError):
    """A device or precision that is not there."""


class OdekitWarning(UserWarning):
    """What a person should know while the work goes on; shown once, as one line."""
