"""Threads of the network wait asleep: the command line sets OpenMP's variables before torch is loaded."""

import os
import subprocess
import sys

SHOW = """
import os, sys
from odekit.cli.waiting import PASSIVE, wait_passively
if "load" in sys.argv:
    import torch
print(wait_passively(), *(os.environ.get(name) for name in PASSIVE))
"""


def shown(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_WAIT", "GOMP", "KMP"))}
    return subprocess.run(
        [sys.executable, "-c", SHOW, *arguments],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def test_variables_that_are_not_set_are_set():
    assert shown() == ["True", "PASSIVE", "0", "0"]


def test_the_users_own_values_stay():
    assert shown(OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="100") == ["True", "ACTIVE", "100", "0"]


def test_after_torch_is_loaded_nothing_is_set():
    assert shown("load") == ["False", "None", "None", "None"]


def test_the_command_line_sets_them_before_torch_is_loaded():
    """`odekit --version` loads no torch; the variables are seen by a module that is imported after it."""
    code = (
        "import os, sys; sys.argv[1:] = ['--version']\n"
        "from odekit.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMP_WAIT")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "PASSIVE"
