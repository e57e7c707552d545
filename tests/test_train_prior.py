"""Complete runs of `odekit train prior` on 32 tiny pictures: learning, exact resume, and error handling."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from training import changed, column, one_thread, train  # noqa: F401  # a fixture of this module

from odekit.core.device import is_out_of_memory
from odekit.errors import ConfigError, DeviceError, WeightsError
from odekit.training import checkpoint, loop
from odekit.training.data import faces as data
from odekit.training.distributed import SingleProcess
from odekit.training.errors import TrainingError
from odekit.training.options.base import AugmentOptions, DiffusionOptions, OptimiserOptions, PriorOptions, UNetOptions
from odekit.training.tasks import prior_network
from odekit.training.tasks.prior import PriorTask

TINY = PriorOptions(
    side=16,
    network=UNetOptions(channels=(8, 16), attention=(False, True), layers=1, head=8, groups=4, dropout=0.1),
    optimiser=OptimiserOptions(lr=3e-3, warmup=2),
    batch=8,
    steps=12,
    precision="float32",
    validate_every=6,
    save_every=4,
    validation_levels=4,
    samples=4,
    sample_steps=4,
)


@pytest.fixture(scope="module")
def faces():
    """32 small smooth pictures: two colours on both sides of a line, with slight noise."""
    rng = np.random.default_rng(5)
    ramp = np.linspace(0, 1, 16)
    pictures = []
    for _ in range(32):
        a, b, angle = rng.uniform(40, 215, 3), rng.uniform(40, 215, 3), rng.uniform(0, 2 * np.pi)
        side = 1 / (1 + np.exp(-8 * (np.cos(angle) * (ramp[None] - 0.5) + np.sin(angle) * (ramp[:, None] - 0.5))))
        pictures.append(side[..., None] * a + (1 - side[..., None]) * b + rng.normal(0, 2, (16, 16, 3)))
    images = np.clip(pictures, 0, 255).astype(np.uint8)
    return data.Faces(images[:26], images[26:])


@pytest.fixture(scope="module")
def npz(faces, tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "faces.npz"
    split = np.array(["train"] * 26 + ["val"] * 6)
    np.savez(path, images=np.concatenate([faces.train, faces.val]), split=split)
    return path


def options(**changes):
    return changed(TINY, **changes)


def run(faces, folder, resume=False, watch=None, **changes):
    return train(PriorTask(faces, options(**changes)), folder, resume, watch)


class Messages(loop.NoProgress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    """The undisturbed run of 12 steps that others are compared with."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return folder, run(faces, folder)


# --- files of a run


def test_a_run_leaves_weights_log_plot_and_samples(whole):
    folder, summary = whole
    assert summary.why == "done"
    assert summary.step == 12
    assert [int(s) for s in column(folder, "step")] == list(range(1, 13))
    assert [int(s) for s in column(folder, "step", "validation.csv")] == [0, 6, 12]
    bands = {"t0-249", "t250-499", "t500-749", "t750-999"}
    assert bands <= set(next(csv.reader((folder / "validation.csv").open())))
    assert {p.name for p in (folder / "samples").iterdir()} == {"0000000.png", "0000006.png", "0000012.png"}
    assert (folder / "plot.png").stat().st_size > 1000
    assert not list(folder.rglob("*.new")) + list(folder.rglob("*.old"))
    facts = json.loads((folder / "best" / "train.json").read_text())
    assert facts["samples_seen"] == summary.best_step * 8
    assert facts["pictures"] == {"train": 26, "val": 6}
    assert facts["settings"]["batch"] == 8


def test_the_weights_load_in_diffusers_and_are_the_average(whole):
    from diffusers import UNet2DModel

    folder, _ = whole
    loaded = UNet2DModel.from_pretrained(folder / "last", torch_dtype=torch.float16, low_cpu_mem_usage=False)
    average = {k.removeprefix("module."): v for k, v in checkpoint.load(folder)["average"].items() if k != "n_averaged"}
    assert loaded.state_dict().keys() == average.keys()
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, average[name].half())
    assert loaded.config.dropout == 0.0
    about = json.loads((folder / "last" / "odekit.json").read_text())
    assert about["shape"] == [3, 16, 16]
    assert about["prediction"] == "v"


def test_fifty_steps_learn_and_the_same_seed_learns_the_same(faces, tmp_path):
    summary = run(faces, tmp_path / "a", steps=50, validate_every=25, samples=0)
    losses = [float(v) for v in column(tmp_path / "a", "loss", "validation.csv")]
    assert losses[-1] < 0.8 * losses[0]
    assert summary.best == min(losses)
    run(faces, tmp_path / "b", steps=50, validate_every=25, samples=0)
    assert column(tmp_path / "a") == column(tmp_path / "b")
    run(faces, tmp_path / "c", steps=3, seed=1, samples=0)
    assert column(tmp_path / "c") != column(tmp_path / "a")[:3]


@pytest.mark.parametrize(
    "changes",
    [
        {"diffusion": {"prediction": "epsilon", "min_snr": None, "kind": "cosine"}},
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"channels_last": False},
        {"network": {**TINY.network.model_dump(), "patch": 1}},
        {"optimiser": {**TINY.optimiser.model_dump(), "kind": "muon"}},
        {"optimiser": {**TINY.optimiser.model_dump(), "kind": "muon"}, "precision": "float16"},
    ],
    ids=["epsilon", "bfloat16", "float16", "contiguous", "no-patch", "muon", "muon-float16"],
)
def test_variants_train(faces, tmp_path, changes):
    run(faces, tmp_path / "r", steps=30, validate_every=30, samples=2, **changes)
    losses = [float(v) for v in column(tmp_path / "r", "loss", "validation.csv")]
    assert losses[-1] < losses[0]


def test_dropout_and_augmentation_change_the_steps(faces, tmp_path):
    for name, changes in {
        "plain": {"network": {**TINY.network.model_dump(), "dropout": 0.0}},
        "dropout": {},
        "flips": {"augment": AugmentOptions(share=0).model_dump()},
    }.items():
        run(faces, tmp_path / name, steps=2, samples=0, **changes)
    assert len({tuple(column(tmp_path / n)) for n in ("plain", "dropout", "flips")}) == 3


def test_compile_layout_and_snapshots_have_their_effect(faces, tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model: compiled.append(model) or model)
    run(faces, tmp_path / "r", steps=2, samples=0, compile=True, snapshots=True, validate_every=1)
    assert len(compiled) == 1
    assert {p.name for p in (tmp_path / "r" / "snapshots").iterdir()} == {"0000000", "0000001", "0000002"}
    weight = next(p for p in compiled[0].parameters() if p.ndim == 4 and p.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)


# --- resuming


def interrupted(faces, folder, after, **changes):
    """A run that is killed after this many steps, without saving anything."""

    class Dies(loop.NoProgress):
        def step_done(self, step, outcome):
            if step == after:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(faces, folder, watch=Dies(), **changes)


@pytest.mark.parametrize("after", [1, 5, 6, 11])
def test_an_interrupted_run_takes_the_same_steps(faces, tmp_path, whole, after):
    interrupted(faces, tmp_path / "r", after)
    summary = run(faces, tmp_path / "r", resume=True)
    assert summary == whole[1]
    for file in ("log.csv", "validation.csv"):
        assert column(tmp_path / "r", file=file) == column(whole[0], file=file)
    resumed, undisturbed = (prior_network.build(TINY) for _ in range(2))
    prior_network.warm_start(resumed, tmp_path / "r" / "best", TINY)
    prior_network.warm_start(undisturbed, whole[0] / "best", TINY)
    for a, b in zip(resumed.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_interrupted_run_with_muon_takes_the_same_steps(faces, tmp_path):
    muon = {"optimiser": {**TINY.optimiser.model_dump(), "kind": "muon"}, "samples": 0}
    run(faces, tmp_path / "whole", **muon)
    interrupted(faces, tmp_path / "r", 6, **muon)
    run(faces, tmp_path / "r", resume=True, **muon)
    assert column(tmp_path / "r") == column(tmp_path / "whole")


def test_a_killed_process_takes_the_same_steps(npz, faces, tmp_path, whole):
    """After SIGKILL and --resume, the log equals that of an undisturbed run."""
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps(TINY.model_dump(mode="json")))
    code = "from odekit.cli.train import app; app(standalone_mode=False)"
    command = [sys.executable, "-c", code, "prior", str(npz), "-o", str(tmp_path / "r"), "-c", str(config)]
    command += ["--steps", "12", "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    log = tmp_path / "r" / "log.csv"
    while process.poll() is None and (not log.is_file() or len(log.read_text().splitlines()) < 6):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run(data.load(npz, 16), tmp_path / "r", resume=True)
    assert column(tmp_path / "r") == column(whole[0])
    assert column(tmp_path / "r", file="validation.csv") == column(whole[0], file="validation.csv")


def test_a_signal_stops_after_the_step_in_hand(faces, tmp_path):
    class Asks(loop.NoProgress):
        def step_done(self, step, outcome):
            if step == 3:
                os.kill(os.getpid(), signal.SIGTERM)

    summary = run(faces, tmp_path / "r", watch=Asks())
    assert (summary.why, summary.step) == ("interrupted", 3)
    assert checkpoint.load(tmp_path / "r")["step"] == 3
    assert run(faces, tmp_path / "r", resume=True).step == 12


def test_a_finished_run_can_be_made_longer(faces, tmp_path):
    flat = OptimiserOptions(lr=3e-3, warmup=2, decay="none").model_dump()
    plain = AugmentOptions(share=0).model_dump()
    run(faces, tmp_path / "short", steps=4, samples=0, optimiser=flat, augment=plain)
    run(faces, tmp_path / "short", steps=8, samples=0, optimiser=flat, augment=plain, resume=True)
    run(faces, tmp_path / "long", steps=8, samples=0, optimiser=flat, augment=plain)
    assert column(tmp_path / "short") == column(tmp_path / "long")


def test_a_killed_start_and_half_written_files_do_no_harm(faces, tmp_path, whole):
    """Runs killed before the first checkpoint, or while one was written, resume."""
    folder = tmp_path / "r"
    interrupted(faces, folder, 5)
    (folder / "checkpoint.pt.new").write_bytes(b"half")
    (folder / "best").rename(folder / "best.old")  # killed between the two renames of a replacement
    run(faces, folder, resume=True)
    assert column(folder) == column(whole[0])
    (folder / "checkpoint.pt").unlink()
    run(faces, folder, resume=True)
    assert column(folder) == column(whole[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 4}, "batch = 8, the configuration has 4"),
        ({"diffusion": DiffusionOptions(prediction="epsilon").model_dump()}, "diffusion = "),
        ({"seed": 1}, "seed = 0, the configuration has 1"),
    ],
)
def test_another_configuration_is_not_resumed(faces, whole, changes, message):
    before = (whole[0] / "run.json").read_bytes()
    with pytest.raises(ConfigError, match=message):
        run(faces, whole[0], resume=True, **changes)
    assert (whole[0] / "run.json").read_bytes() == before


def test_folders_that_cannot_be_meant_are_refused(faces, whole, tmp_path):
    with pytest.raises(ConfigError, match="add --resume"):
        run(faces, whole[0])
    with pytest.raises(ConfigError, match="no run to resume"):
        run(faces, tmp_path / "new", resume=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    with pytest.raises(ConfigError, match="not empty and not a training run"):
        run(faces, tmp_path / "photos")
    with pytest.raises(ConfigError, match="other pictures"):
        run(data.Faces(faces.train[::-1].copy(), faces.val), whole[0], resume=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match="cannot be written"):
        run(faces, tmp_path / "file" / "below")


def test_a_damaged_checkpoint_is_named(faces, tmp_path):
    interrupted(faces, tmp_path / "r", 5, samples=0)
    path = tmp_path / "r" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"checkpoint.pt: the checkpoint cannot be read"):
        run(faces, tmp_path / "r", resume=True, samples=0)


def test_a_warm_start_begins_where_the_weights_are(faces, whole, tmp_path):
    summary = run(faces, tmp_path / "r", init=str(whole[0] / "last"), steps=1, samples=0)
    first = float(column(tmp_path / "r", "loss", "validation.csv")[0])
    last = float(column(whole[0], "loss", "validation.csv")[-1])
    assert first == pytest.approx(last, rel=1e-3)  # float16 on the way
    facts = json.loads((tmp_path / "r" / "last" / "train.json").read_text())
    assert facts["samples_seen"] == 12 * 8 + 8
    assert facts["samples_seen_here"] == 8
    assert "init" not in facts["settings"]
    assert summary.step == 1


# --- errors during a run


def exhausted(task, largest):
    """The task on a simulated device whose memory holds at most `largest` pictures."""
    inner = task.losses

    def losses(net, rows):
        if len(rows[0]) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory (raised by the test)")
        return inner(net, rows)

    task.losses = losses
    return task


def test_out_of_memory_halves_the_pieces_and_keeps_the_step(faces, tmp_path):
    o = options(network={**TINY.network.model_dump(), "dropout": 0.0}, samples=0)
    messages = Messages()
    train(PriorTask(faces, o), tmp_path / "free")
    train(exhausted(PriorTask(faces, o), 3), tmp_path / "tight", watch=messages)
    free, tight = (np.array([float(v) for v in column(tmp_path / n)]) for n in ("free", "tight"))
    np.testing.assert_allclose(tight, free, rtol=1e-3)
    assert any("with 2 pictures per pass, still 8 per step" in line for line in messages.lines)
    assert checkpoint.load(tmp_path / "tight")["piece"] == 2


def test_a_device_too_small_for_one_picture_is_reported(faces, tmp_path):
    with pytest.raises(DeviceError, match="too little memory for a single picture"):
        train(exhausted(PriorTask(faces, TINY), 0), tmp_path / "r")


def test_other_errors_are_not_taken_for_memory():
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good(faces, tmp_path):
    task = PriorTask(faces, TINY)
    inner, calls = task.losses, []

    def losses(net, rows):
        calls.append(1)
        return inner(net, rows) * (float("nan") if len(calls) == 7 else 1.0)

    task.losses = losses
    with pytest.raises(TrainingError, match=r"step 6: the loss is nan.*keeps the checkpoint of step 6"):
        train(task, tmp_path / "r")
    state = checkpoint.load(tmp_path / "r")
    assert state["step"] == 6
    assert all(torch.isfinite(v).all() for v in state["model"].values())
    assert len(column(tmp_path / "r")) == 6


def test_weights_that_are_no_numbers_never_replace_good_ones(faces, tmp_path):
    """If the update of step 8 gives weights that are not finite, the checkpoint of step 6 is kept."""

    task = PriorTask(faces, options(samples=0))
    running = loop.Loop
    original = running._save

    def save(self):
        if self.step == 8:
            with torch.no_grad():
                next(self.stepper.model.parameters()).fill_(float("nan"))
        original(self)

    running._save = save
    try:
        with pytest.raises(TrainingError, match="weights are no longer finite"):
            train(task, tmp_path / "r")
    finally:
        running._save = original
    assert checkpoint.load(tmp_path / "r")["step"] == 6


def test_a_full_disk_is_one_error_line(faces, tmp_path, monkeypatch):
    def full(folder, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(TrainingError, match=r"cannot be written .*No space left.*--resume"):
        run(faces, tmp_path / "r", samples=0)


def test_training_stops_early_and_says_so(faces, tmp_path):
    still = OptimiserOptions(lr=1e-12, warmup=0).model_dump()
    task = PriorTask(faces, options(optimiser=still, validate_every=1, patience=2, samples=0, steps=50))
    figures = iter([0.9, 0.8, 0.7, 0.75, 0.7, 0.6])
    task.validate = lambda average, cast: {"loss": next(figures)}
    summary = train(task, tmp_path / "r")
    assert (summary.why, summary.step, summary.best, summary.best_step) == ("early", 4, 0.7, 2)
    assert json.loads((tmp_path / "r" / "best" / "train.json").read_text())["steps"] == 2


def test_a_batch_that_cannot_be_shared_is_refused(faces, tmp_path):
    team = SingleProcess("cpu")
    team.world_size = 3
    with pytest.raises(ConfigError, match="batch 8 is not divisible by the 3 processes"):
        loop.train(PriorTask(faces, TINY), tmp_path / "r", team=team)


def test_the_parts_of_a_process_group_are_the_whole_batch(faces):
    task = PriorTask(faces, TINY)
    whole = task.batch(4, 0, 1)
    halves = [task.batch(4, rank, 2) for rank in range(2)]
    for i, rows in enumerate(whole):
        torch.testing.assert_close(rows[0::2], halves[0][i])
        torch.testing.assert_close(rows[1::2], halves[1][i])


# --- the command line


def test_command_line_trains_and_says_where_the_best_weights_are(npz, tmp_path):
    from typer.testing import CliRunner

    from odekit.cli.train import app

    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps(TINY.model_dump(mode="json")))
    arguments = ["prior", str(npz), "-o", str(tmp_path / "r"), "-c", str(config), "--steps", "3", "--device", "cpu"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'r' / 'best'}" in result.output.replace("\n", "")
    assert len(column(tmp_path / "r")) == 3
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, ConfigError)
    more = CliRunner().invoke(app, [*arguments[:-3], "5", "--device", "cpu", "--resume"])
    assert more.exit_code == 0
    assert len(column(tmp_path / "r")) == 5
