"""Threads of the network wait asleep: the command line sets OpenMP's variables before torch is loaded."""

import os
import subprocess
import sys

SHOW = """
import os, sys
from odekit.cli import waiting
if "load" in sys.argv:
    import torch
waiting.watch.others = lambda: float(os.environ.get("OTHERS", "0"))
print(waiting.prepare_threads(), *(os.environ.get(name) for name in waiting.WAITING))
"""
QUOTA = """
import os
from odekit.cli import waiting
waiting.read_quota, waiting.usable_processors = lambda: 3.0, lambda: 3
waiting.prepare_threads()
print(os.environ["OMP_NUM_THREADS"])
"""


def run(code, *arguments, **variables):
    names = ("OMP_WAIT", "OMP_NUM", "GOMP", "KMP")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(names)} | variables
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def test_variables_that_are_not_set_are_set():
    assert run(SHOW) == ["True", "PASSIVE", "10000", "0"]


def test_on_a_busy_machine_threads_sleep_at_once():
    assert run(SHOW, OTHERS="1000") == ["True", "PASSIVE", "0", "0"]


def test_the_users_own_values_stay():
    assert run(SHOW, OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="100") == ["True", "ACTIVE", "100", "0"]


def test_after_torch_is_loaded_nothing_is_set():
    assert run(SHOW, "load") == ["False", "None", "None", "None"]


def test_a_quota_limits_the_threads_unless_the_user_has_set_them():
    assert run(QUOTA) == ["3"]
    assert run(QUOTA, OMP_NUM_THREADS="7") == ["7"]


def test_the_command_line_sets_them_before_torch_is_loaded():
    """`odekit --version` loads no torch; the variables are seen by a module that is imported after it."""
    code = (
        "import os, sys; sys.argv[1:] = ['--version']\n"
        "from odekit.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    )
    assert run(code)[-1] == "PASSIVE"


def test_the_machine_is_watched_from_the_start_so_that_a_command_does_not_wait():
    code = (
        "import time\nfrom odekit.cli import waiting\ntime.sleep(0.1)\nbegan = time.monotonic()\n"
        "others = waiting.watch.others()\nprint(time.monotonic() - began < 0.04, others >= 0)"
    )
    assert run(code) == ["True", "True"]
