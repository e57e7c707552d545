"""`python -m benchmarks speed|profile`, and the plain loop that odekit is measured against."""

import inspect
import json

import pytest
import torch
from conftest import EXACT
from goldens import golden_flow as flow
from goldens import read_golden

from benchmarks import peaks, speed_methods
from benchmarks import plain_loop as module
from benchmarks import speed as speed_module
from benchmarks.clock import Clock
from benchmarks.plain_loop import plain_loop
from benchmarks.speed import goals_of
from benchmarks.speed_methods import flops_of
from benchmarks.table import Table, draw_plot
from odekit.testing.goldens import relative_deviation


@pytest.fixture(scope="module")
def golden():
    return read_golden("ddim_diffusers_small.B")


def test_the_loops_round_trip_is_that_of_the_diffusers_goldens(golden):
    """Same network, input and 50 steps: the library's own latent on top, and its way back from there."""
    prior = flow.models(golden)["mix"]
    seen = []

    def model(x, t):
        seen.append((int(t), x.double().numpy()))
        return prior.eps(x.double(), float(t)).float()

    clean = torch.from_numpy(golden.input(flow.SHAPE))
    back = plain_loop(model, clean, 50)
    assert [t for t, _ in seen[:50]] == list(range(0, 1000, 20)) and len(seen) == 100
    assert relative_deviation(seen[50][1], golden.arrays["mix_encode_i49"]) <= 1e-4
    assert relative_deviation(back.numpy(), golden.arrays["mix_decode_clean"]) <= 1e-4


def test_the_loop_is_at_most_sixty_lines_long():
    assert len(inspect.getsource(module).splitlines()) <= 60


def test_the_loop_updates_at_the_levels_of_the_variance_rule():
    def model(x, t):
        model.calls += 1
        return torch.zeros_like(x)

    model.calls = 0
    torch.manual_seed(0)
    moved = plain_loop(model, torch.zeros(1, 3, 8, 8), 10, timesteps=(0,), iterations=3, temperature=1.0)
    assert model.calls == 2 * 10 + 3
    # Three draws of variance 2 sigma^2 / 100 at sigma 0.01, then divided by sqrt(abar), which is nearly 1.
    assert float(moved.std()) == pytest.approx(0.01 * (6 / 100) ** 0.5, rel=0.2)


def test_a_clock_keeps_the_least_round():
    clock, spins = Clock(), iter((200_000, 10, 200_000))
    for _ in range(3):
        clock.round(lambda: sum(range(next(spins))))
    assert 0 < clock.processor < 1e-3 and clock.wall < 1e-3
    assert clock.seconds("cpu") == clock.processor and clock.seconds("cuda:1") == clock.wall


def test_a_clock_tells_what_a_network_takes_of_a_round():
    net, clock = torch.nn.Linear(512, 512), Clock()
    hooks = clock.watch(net)
    clock.round(lambda: [net(torch.ones(512, 512)) for _ in range(5)])
    assert 0 < clock.inside <= clock.processor
    for hook in hooks:
        hook.remove()
    inside = clock.inside
    net(torch.ones(512, 512))
    assert clock.inside == inside


class Event:
    """A mark in the work of a card whose clock we hold: a call of the network takes 3 ms of it."""

    now = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = Event.now

    def elapsed_time(self, other):
        return other.at - self.at


def test_on_a_gpu_the_network_is_timed_by_gpu_events_without_synchronisation(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: pytest.fail("waited"))
    net, clock = torch.nn.Identity(), Clock()

    def call():
        net(0)
        Event.now += 100.0  # other work of the card

    net.register_forward_hook(lambda *_: setattr(Event, "now", Event.now + 3.0))
    hooks = clock.watch(net, "cuda:0")
    clock.round(lambda: [call() for _ in range(5)])
    clock.round(lambda: [call() for _ in range(5)])
    assert clock.inside == pytest.approx(0.015) and len(hooks) == 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "tf32"])
def test_the_peak_is_that_of_the_precision(monkeypatch, precision):
    """As many operations as were timed; float32 is exact, tf32 is float32 multiplied in TF32."""
    seen, own = [], torch.mm

    def mm(a, b, out):
        seen.append((a.dtype, torch.backends.cuda.matmul.allow_tf32))
        return own(a, b, out=out)

    monkeypatch.setattr(torch, "mm", mm)
    monkeypatch.setattr("odekit.core.precision.has_tf32_switches", lambda device: True)
    monkeypatch.setattr(Clock, "seconds", lambda clock, device: 2.0)
    assert peaks.matrix_peak("cpu", precision, side=64) == 2 * 64**3 / 2.0
    assert set(seen) == {(torch.bfloat16 if precision == "bfloat16" else torch.float32, precision == "tf32")}


def test_memory_on_a_card_is_of_the_weights_and_a_round(monkeypatch):
    """Others' networks lie there too."""
    held = {"now": 5e9, "most": 9e9}
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: held.update(most=held["now"]))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: held["most"])
    net = torch.nn.Linear(1000, 1000, bias=False)
    assert peaks.gpu_memory("cuda:0", net, lambda: held.update(most=7e9)) == pytest.approx(2.004)


def row(method="odekit", precision="float16", batch=8, ratio=6.0):
    return {"method": method, "precision": precision, "batch": batch, "ratio": ratio, "equal": 1.5, "overhead": 1.0}


def test_a_cards_goal_is_five_times_the_plain_loop():
    (goal,) = goals_of(row(ratio=4.9), "cuda:0")
    assert goal.bound == ">= 5 x" and not goal.reached and goals_of(row(ratio=5.1), "cuda:0")[0].reached
    assert len(goals_of(row())) == 4


def test_the_loop_as_a_user_writes_it_is_measured_against_what_its_convolutions_run_in(monkeypatch):
    """torch lets convolutions of float32 run in TF32 where a card has it."""
    monkeypatch.setattr(speed_methods, "has_tf32", lambda device: True)
    monkeypatch.setattr(speed_module.machine, "peak_memory_gb", lambda: 1.0)
    task = speed_methods.Task(1, 2, 1, "cpu")
    written, exact = (speed_methods.plain_method(task, name) for name in ("float32", "bfloat16"))
    assert (written.peak, exact.peak) == ("tf32", "bfloat16")
    for one in (written, exact):
        one.clock.processor = one.clock.inside = 1.0
    told = speed_module.row_of(written, task, {"float32": 1.0}, 1e9)
    assert (told["precision"], told["peak_of"]) == ("float32, convolutions in tf32", "tf32")


def test_larger_batches_that_do_not_fit_are_omitted_and_reported(monkeypatch):
    def measured(task, rounds, compile, precisions):
        if task.batch > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [{**dict.fromkeys(speed_module.COLUMNS), **row(batch=task.batch), "peak_of": "float16", "work": 1.0,
                 "least": 1.0}]  # fmt: skip

    monkeypatch.setattr(speed_module, "measure_speed", measured)
    monkeypatch.setattr(speed_module, "matrix_peak", lambda device, name: 1.0)
    table = speed_module.speed([1, 8, 64, 256])
    assert [one["batch"] for one in table.rows] == [1, 8] and table.how.endswith("batch 64 ran out of memory")
    assert table.rows[0]["peak"] == 100.0


def test_a_plot_has_a_line_for_each_method_and_precision(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    lines, own = [], Axes.plot
    monkeypatch.setattr(Axes, "plot", lambda self, *a, **named: lines.append(named["label"]) or own(self, *a, **named))
    rows = [row(m, p, b) | {"call": 1.0} for m in ("odekit", "loop") for p in ("tf32", "float16") for b in (1, 256)]
    draw_plot(Table("speed", "", speed_module.COLUMNS, rows, (), ("batch", ("call",))), tmp_path / "plot.png")
    assert lines == ["odekit tf32", "odekit float16", "loop tf32", "loop float16"]


def test_operations_are_counted_as_products_and_sums():
    net = torch.nn.Conv2d(3, 8, 3, padding=1)
    call = type("Net", (torch.nn.Module,), {"forward": lambda self, x, t, return_dict: net(x)})()
    assert flops_of(call, torch.zeros(2, 3, 16, 16)) == 2 * 2 * 3 * 9 * 8 * 16 * 16


@pytest.mark.long
def test_speed_prints_rows_and_goals_for_both(bench):
    less = ("--steps", 2, "--iterations", 1, "--rounds", 1, "--precision", "float32", "--json")
    done = bench("speed", "--batch-size", 2, *less)
    assert done.code == 0, done.err
    tree = json.loads(done.out)
    rows = {(row["method"], row["precision"]): row for row in tree["rows"]}
    assert {"odekit", "diffusers loop"} == {method for method, _ in rows}
    assert all(row["calls"] == 6 and row["seconds"] > 0 and row["memory"] > 0.1 for row in rows.values())
    assert rows["diffusers loop", "float32"]["ratio"] == 1 and rows["odekit", "float32"]["ratio"] > 0.8
    assert len(tree["goals"]) == 4
    faster = next(goal for goal in tree["goals"] if "odedit-fast" in goal["name"])
    assert float(faster["value"].split()[0]) == pytest.approx(600 / 28 * rows["odekit", "float32"]["ratio"], rel=0.02)


def test_steps_that_both_cannot_share_are_refused(bench):
    done = bench("speed", "--steps", 7)
    assert done.code == 2 and "divisor of 1000" in done.err


@pytest.mark.long
def test_speed_compares_a_compiled_network_too(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    done = bench("speed", "--batch-size", 1, "--steps", 2, "--iterations", 1, "--rounds", 1, "--compile", "--json")
    rows = {row["method"]: row for row in json.loads(done.out)["rows"]}
    assert set(rows) == {"odekit", "odekit, compiled", "diffusers loop"}
    assert rows["odekit, compiled"]["compiling"] > 0 and rows["odekit"]["compiling"] is None


def test_latency_is_that_of_one_face_after_warm_up(bench, tmp_path):
    chain = tmp_path / "small.yaml"
    chain.write_text(EXACT)
    done = bench("latency", chain, "--threads", 1, "--rounds", 2, "--json")
    assert done.code == 0, done.err
    tree = json.loads(done.out)
    (row,) = tree["rows"]
    assert row["threads"] == 1 and row["calls"] > 0 and row["processor"] > 0
    assert tree["goals"][0]["goal"] == "<= 2.5 s"


@pytest.mark.long
def test_profile_names_convolutions_first(bench):
    done = bench("profile", "--batch-size", 1, "--top", 3, "--json")
    rows = json.loads(done.out)["rows"]
    assert len(rows) == 3 and "conv" in rows[0]["operation"] and rows[0]["count"] > 30  # packed or plain
    assert rows[2]["total"] == pytest.approx(sum(row["share"] for row in rows), abs=0.1)


def test_with_int8_the_loop_runs_in_the_type_of_what_is_not_in_8_bits(monkeypatch):
    monkeypatch.setattr("odekit.core.precision.supported_16bit_types", lambda device: ("bfloat16",))
    monkeypatch.setattr(speed_module.machine, "peak_memory_gb", lambda: 1.0)
    one = speed_methods.Method("odekit", "int8", lambda: None, None)
    one.clock.processor = one.clock.inside = 1.0
    told = speed_module.row_of(one, speed_methods.Task(1, 2, 1, "cpu"), {"float32": 4.0, "bfloat16": 2.0}, 1e9)
    assert (told["precision"], told["peak_of"], told["ratio"], told["equal"]) == ("int8", "bfloat16", 4.0, 2.0)
    assert speed_methods.loop_precision("bfloat16") == "bfloat16"
