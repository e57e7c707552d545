"""Errors in the words of the page."""

from __future__ import annotations

import odekit
from odekit.core.console_advice import without_console_advice

INSTALL = "; who runs this page can install what is missing"


def page_message(error: odekit.OdekitError) -> str:
    """The message without commands to type, in one line."""
    message = str(error)
    words = without_console_advice(message)
    lacks = isinstance(error, (odekit.WeightsError, odekit.PluginError)) and words != message
    return f"{words}{INSTALL if lacks else ''}"
