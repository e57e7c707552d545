"""Errors in the words of the page."""

from __future__ import annotations

import re

import odekit
from odekit.core.console_advice import without_console_advice

INSTALLING = re.compile(r"\bpip (?:install|download)\b|\bodekit weights\b")


def page_message(error: odekit.OdekitError) -> str:
    """The message without commands to type, in one line."""
    message = str(error)
    who = "; who runs this page can install what is missing" if INSTALLING.search(message) else ""
    return without_console_advice(message) + who
