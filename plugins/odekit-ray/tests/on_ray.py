"""What the tests of this plugin share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image

HERE = Path(__file__).parent
EXACT = """\
odekit: 1
name: exact
priors: {face: {use: mixture, side: 8}}
chain:
  - restore:
      inverter: {use: ode, steps: 10}
      enhancer: {use: langevin, levels: [0, 3], iterations: 4, rule: variance}
"""
FOUND_BY_WORKERS = os.pathsep.join([str(HERE), *(path for path in sys.path if path)])


def save_face(path, number, side=32):
    """A smooth picture with a pattern of its own."""
    noise = np.random.Generator(np.random.Philox(number)).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).resize((side, side), PIL.Image.Resampling.BICUBIC).save(path)


def odekit(*words, check=True):
    """`odekit WORDS... --json` in a process of its own; what it printed."""
    command = [sys.executable, "-m", "odekit", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": FOUND_BY_WORKERS})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0 or not check, done.stderr
    return json.loads(done.stdout) if done.returncode == 0 else done
