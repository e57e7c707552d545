"""`odekit bench`: hidden; prints the commands that replaced it."""

from __future__ import annotations

import sys

import typer

ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Context settings with which every old command line is accepted."""
EXPERIMENTS = ("table1", "synergy", "sweep", "tradeoff")
CALIBRATIONS = {"strength": "meter", "colour": "colour", "enhancers": "spectrum"}


def bench(context: typer.Context) -> None:
    """Print the command that replaced `odekit bench NAME`; exit code 2."""
    name = next((word for word in context.args if not word.startswith("-")), "NAME")
    if name in EXPERIMENTS:
        lines = [f"'odekit bench {name}' is now 'odekit experiment {name}'"]
    elif name in CALIBRATIONS and "--calibrate" in context.args:
        lines = [f"'odekit bench {name} --calibrate' is now 'odekit calibrate {CALIBRATIONS[name]}'"]
    elif name == "parity":
        lines = ["'odekit bench parity' is now 'make goldens', from a checkout"]
    elif name == "NAME":
        lines = [
            "'odekit bench' was removed: use 'odekit experiment NAME' for experiments, 'odekit calibrate NAME' for",
            "calibrations, and 'python -m benchmarks NAME', from a checkout, for all other measurements",
        ]
    else:
        lines = [f"'odekit bench {name}' is now 'python -m benchmarks {name}', from a checkout"]
    sys.stderr.writelines(f"odekit: {line}\n" for line in lines)
    raise typer.Exit(2)
