"""`odekit check --conformance KIND:NAME`: check whether a registered part follows the rules of its kind."""

from __future__ import annotations

import math
from collections.abc import Iterable

import typer

from odekit.cli.show import print_message


def print_conformance(text: str, settings: Iterable[str], as_json: bool) -> None:
    """Run the checks of `odekit.testing` on a part, and print the measured values.

    Raises:
        typer.Exit: with code 3 if the part breaks a rule, after one line that names the rule.
        OdekitError: there is no such part, or its weights are missing.
    """
    from odekit.cli.show import print_json, print_line, print_table
    from odekit.errors import OdekitError
    from odekit.parts.installed import catalog
    from odekit.testing.registered import check_part, find_part

    part = find_part(text, settings)
    label = f"{part.kind} '{part.name}' of {catalog().entry_of(part).dist}"
    figures, failure = {}, ""
    try:
        figures = check_part(part)
    except AssertionError as error:
        failure = " ".join(str(error).split())
    except OdekitError:
        raise
    except Exception as error:  # the part's own code
        failure = " ".join(f"raised {type(error).__name__}: {error}".split())
    if as_json:
        finite = {name: figure if math.isfinite(figure) else None for name, figure in figures.items()}
        print_json({"ok": not failure, "part": part.tree(), "figures": finite, "failure": failure or None})
    elif not failure:
        print_line(f"{label}: every check passed")
        print_table("", ("figure", "value"), [(name, format_figure(figure)) for name, figure in figures.items()])
    if failure:
        print_message(f"{label}: {failure}")
        raise typer.Exit(3)


def format_figure(figure: float) -> str:
    """A measured value as text; infinity means exact."""
    return "exact" if math.isinf(figure) else f"{figure:.4g}"
