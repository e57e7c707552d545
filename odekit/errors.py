"""The error family. Every message says what is wrong, where, and what to do next."""

from __future__ import annotations


class OdekitError(Exception):
    """Base of all errors that the command line shows as one line, without a traceback."""


class ConfigError(OdekitError):
    """Invalid chain, option or command line: wrong name, type or value."""


class OptionError(ConfigError, ValueError):
    """An option that was given in Python: unknown, missing, or of the wrong type or value."""


class InputError(OdekitError):
    """An image that cannot be read, or that the chain does not accept."""


class WeightsError(OdekitError):
    """Weights that are missing, damaged, unsafe, or made for another network."""


class PluginError(OdekitError):
    """A plugin that fails, conflicts with another plugin, or violates an interface."""


class OutputError(OdekitError):
    """The machine takes no more, such as a full disk, for results or in a stage: the command is right. Exit code 4."""


class DeviceError(OdekitError):
    """A device or precision that is not available."""


PLUGIN_FAULTS = (Exception, SystemExit)
"""What code of a plugin may raise without ending the run; `sys.exit` is no `Exception`."""


def fault_text(error: BaseException) -> str:
    """Type and first line of an error that code of a plugin raised."""
    lines = str(error).strip().splitlines()
    if lines and isinstance(error, StrayInterrupt):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class StrayInterrupt(Exception):
    """Code of a plugin raised KeyboardInterrupt, although nobody pressed Ctrl-C, or the like."""


class Stopped(BaseException):
    """A progress callback asks a running batch to stop; the batch then has no results.

    It is no `Exception`, so that code that isolates the failure of one image, or retries, does not catch it.
    """


class OdekitWarning(UserWarning):
    """A problem that does not stop the run; shown once, as one line."""


class NoFaceWarning(OdekitWarning):
    """No face of a photograph was restored. A run says so in the line of the photograph instead."""
