"""`odekit bench`: hidden; prints the commands that replaced it."""

from __future__ import annotations

import typer

from odekit.cli.show import print_message
from odekit.core.spelling import nearest

ANYTHING = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Context settings with which every old command line is accepted."""
EXPERIMENTS = ("table1", "synergy", "sweep", "tradeoff")
MEASUREMENTS = (
    "aligner", "before-after", "blur", "busy", "colour", "cracks", "detail", "digests", "edit", "enhancers", "figures",
    "first-call", "jobs", "knobs", "latency", "licences", "memory", "mend", "nfe", "noise", "order", "overhead", "page",
    "photo", "prior", "profile", "rates", "roundtrip", "scale", "sides", "speed", "start", "strength",
    "strength-gallery", "upsampler", "video",
)  # fmt: skip
"""Names of `python -m benchmarks NAME`, which is not installed with odekit."""
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
    elif name in MEASUREMENTS:
        lines = [f"'odekit bench {name}' is now 'python -m benchmarks {name}', from a checkout"]
    else:
        names = (*EXPERIMENTS, *MEASUREMENTS)
        lines = [f"there is no measurement '{name}'{nearest(name, names)}"]
    for line in lines:
        print_message(line)
    raise typer.Exit(2)
