"""The peak memory of a process is its own."""

import subprocess
import sys

from odekit.core.device import peak_memory_bytes

CHILD = "from odekit.core.device import peak_memory_bytes; print(peak_memory_bytes())"
PARENT = f"""import subprocess, sys
held = bytearray(700_000_000)
print(subprocess.run([sys.executable, "-c", {CHILD!r}], capture_output=True, text=True).stdout)
"""


def test_it_does_not_count_what_the_program_used_that_started_it():
    done = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=True)
    assert 5e6 < float(done.stdout) < 600e6


def test_it_counts_what_was_used_and_given_back():
    before = peak_memory_bytes()
    held = bytearray(round(before) + 200_000_000)
    del held
    assert peak_memory_bytes() > before + 150e6
