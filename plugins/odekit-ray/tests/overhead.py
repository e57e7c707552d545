"""What Ray costs beside two shards on the same machine: `python tests/overhead.py [FACES]`, in this plugin's environment.

Prints CPU seconds and wall-clock seconds of both, with all processes that they start.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from on_ray import FOUND_BY_WORKERS, save_face


def spent(commands):
    """(CPU seconds, wall-clock seconds) of commands that start together, and of all their processes."""
    environment = os.environ | {"PYTHONPATH": FOUND_BY_WORKERS, "OMP_NUM_THREADS": "1"}
    began, seen = time.perf_counter(), {}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for command in commands]
    while any(process.poll() is None for process in running):
        for process in running:
            try:
                tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                for one in tree:
                    times = one.cpu_times()
                    seen[one.pid] = times.user + times.system
            except psutil.Error:
                continue
        time.sleep(0.05)
    assert not any(process.returncode for process in running)
    return sum(seen.values()), time.perf_counter() - began


def main(count):
    """Run both, and print their costs."""
    with tempfile.TemporaryDirectory() as place:
        faces = Path(place) / "faces"
        faces.mkdir()
        for number in range(count):
            save_face(faces / f"{number:05}.png", number, 64)
        base = [sys.executable, "-m", "odekit"]
        common = ["odedit-fast", str(faces), "--batch-size", "8", "--precision", "float32", "--json"]
        shards = [
            [*base, "run", *common, "-o", f"{place}/shards", "--shard", f"{number}/2", "--workers", "0"]
            for number in (1, 2)
        ]
        ray = [[*base, "ray", *common, "-o", f"{place}/ray", "--actors", "2"]]
        for name, commands in (("two shards", shards), ("Ray, two actors", ray)):
            cpu, wall = spent(commands)
            print(f"{name}: {count} faces, {cpu:.0f} s of CPU, {wall:.0f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
