"""The end of a command that has loaded torch: exit codes, output and exit handlers are those of any other end."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from odekit.cli.startup import quick_exit

class Named:  # takes part in the clearing up of modules
    def __del__(self):
        sys.__stderr__.write("cleared up")

def late():
    time.sleep(0.3)
    print("thread")

atexit.register(print, "earlier handler")
with quick_exit():
    sys.modules.setdefault("torch", {torch})
    kept = Named()
    atexit.register(print, "handler")
    threading.Thread(target=late).start()
    print("output", end="")
    {end}
"""


def ended(end, torch="sys"):
    program = PROGRAM.format(end=end, torch=torch)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("end", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit(130)", 130), ("raise SystemExit(True)", 1)],
)
def test_threads_and_handlers_end_first_and_the_code_is_that_of_the_program(end, code):
    assert ended(end) == (code, "outputthread\nhandler\nearlier handler\n", "")


def test_what_python_has_to_say_is_said():
    assert ended("sys.exit('a message')") == (1, "outputthread\nhandler\nearlier handler\n", "a message\ncleared up")
    code, output, errors = ended("raise ValueError('odd')")
    assert code == 1 and "handler" in output and "ValueError: odd" in errors


def test_without_torch_the_end_is_python_s_own():
    program = PROGRAM.replace('    sys.modules.setdefault("torch", {torch})\n', "").format(end="pass", torch="")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "outputthread\nhandler\nearlier handler\n" and done.stderr == "cleared up"


def test_output_that_nobody_takes_is_no_quiet_end():
    program = PROGRAM.format(end="pass", torch="sys")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = ["sh", "-c", '"$0" -c "$1" > /dev/full', sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=buffered)
    assert done.returncode == 120 and "No space left" in done.stderr
