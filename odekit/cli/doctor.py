"""`odekit doctor`: what this installation can do, and what is missing for which command."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show versions, plugins, extras, chains, devices with their precisions, and folders: what is there, what is not.

    Exit code 3 if a part of odekit itself is missing or a plugin fails; missing extras and weights are no fault.

    Example: odekit doctor
    """
    from odekit.chains.diagnosis import as_tree, diagnose, is_broken
    from odekit.cli.show import print_json, print_table
    from odekit.parts.installed import catalog

    findings = diagnose(catalog())
    if as_json:
        print_json(as_tree(findings))
    else:
        rows = [(row.topic, row.name, row.state, row.advice) for row in findings]
        print_table("", ("what", "name", "state", "about"), rows)
    if is_broken(findings):
        raise typer.Exit(3)
