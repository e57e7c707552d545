"""Where weights lie and where networks run, with the tools of a run or without."""

from __future__ import annotations

from pathlib import Path

from odekit.core.interfaces import Tools


def device_of(tools: Tools | None) -> str:
    """The run's device; the CPU outside of runs."""
    return "cpu" if tools is None else tools.device


def weights_of(name: str, tools: Tools | None) -> Path:
    """The verified local file of named weights.

    Raises:
        WeightsError: unknown, absent, or another file; the message has the command that mends it.
    """
    if tools is not None:
        return Path(tools.weights(name))
    from odekit.parts.installed import catalog
    from odekit.plugins.weights.lookup import path_of

    return path_of(name, catalog())
