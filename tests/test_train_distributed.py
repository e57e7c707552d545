"""Training in several processes (with accelerate) equals training in one; choice of device and precision."""

import csv
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch

from odekit.errors import ConfigError, DeviceError
from odekit.training import distributed, loop
from odekit.training.data import faces
from odekit.training.options.base import AugmentOptions, OptimiserOptions, PriorOptions, UNetOptions
from odekit.training.tasks.prior import PriorTask

SMALL = PriorOptions(
    side=16,
    network=UNetOptions(channels=(8, 16), attention=(False, True), layers=1, head=8, groups=4),
    augment=AugmentOptions(share=0.5),
    optimiser=OptimiserOptions(lr=1e-3, warmup=2),
    batch=8,
    steps=6,
    precision="float32",
    validate_every=3,
    save_every=2,
    validation_levels=2,
    samples=0,
)


def start(folder, size, *more):
    """`odekit train prior` in `size` processes, as torchrun or `accelerate launch` would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from odekit.cli.train import app; app(standalone_mode=False)"
    command = [
        sys.executable,
        "-c",
        code,
        "prior",
        str(folder / "f.npz"),
        "-c",
        str(folder / "c.yaml"),
        "--device",
        "cpu",
    ]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }
    processes = []
    for rank in range(size):
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
        processes.append(subprocess.Popen([*command, *more], env={**os.environ, **shared, **ranks}))
    assert [process.wait() for process in processes] == [0] * size


def column(path, name="loss"):
    with path.open() as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def test_two_processes_take_the_steps_of_one(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "f.npz", images=images, split=np.array(["train"] * 20 + ["val"] * 4))
    (tmp_path / "c.yaml").write_text(json.dumps(SMALL.model_dump(mode="json")))
    loop.train(
        PriorTask(faces.load(tmp_path / "f.npz", 16), SMALL), tmp_path / "one", team=distributed.SingleProcess("cpu")
    )
    start(tmp_path, 2, "-o", str(tmp_path / "two"), "--steps", "6")
    for file, name in (("log.csv", "loss"), ("log.csv", "norm"), ("validation.csv", "loss")):
        one, two = (column(tmp_path / n / file, name) for n in ("one", "two"))
        np.testing.assert_allclose(two, one, rtol=1e-3)


def test_a_single_process_averages_nothing_and_names_missing_devices():
    alone = distributed.SingleProcess("cpu")
    gradient = torch.ones(3)
    alone.average_gradients([gradient])
    assert gradient.tolist() == [1, 1, 1]
    assert (alone.mean(2.0), alone.broadcast(3.0), alone.world_size) == (2.0, 3.0, 1)
    with pytest.raises(DeviceError, match="tpu"):
        distributed.SingleProcess("tpu")


def test_several_processes_need_accelerate_and_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"pip install 'odekit\[train\]'"):
        distributed.join_process_group("cpu")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert isinstance(distributed.join_process_group("cpu"), distributed.SingleProcess)


def test_precision_as_asked_or_as_the_hardware_has_it():
    cpu = torch.device("cpu")
    assert distributed.precision("float16", cpu) == "float16"
    assert distributed.precision("auto", cpu) in ("float32", "bfloat16")
    weight = torch.ones(2, 2)
    for kind, dtype in {"float32": torch.float32, "bfloat16": torch.bfloat16}.items():
        with distributed.autocast(kind, cpu):
            assert (weight @ weight).dtype == dtype
