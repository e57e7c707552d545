"""Values that the shell completes."""

from __future__ import annotations


def complete_chain(incomplete: str) -> list[str]:
    """Names of the installed chains that start with what was typed; for none, the shell completes files."""
    from odekit.cli.show import reserved_stdout
    from odekit.errors import OdekitError
    from odekit.parts.installed import catalog

    try:
        with reserved_stdout():  # the shell reads the names from stdout
            return sorted(name for name in catalog().chains if name.startswith(incomplete))
    except OdekitError:
        return []
