"""`odekit bench speed|profile`, and the plain loop that odekit is measured against."""

import inspect
import json

import pytest
import torch
from conftest import EXACT
from goldens import read_golden

from odekit.bench import golden_flow as flow
from odekit.bench import plain_loop as module
from odekit.bench.clock import Clock
from odekit.bench.plain_loop import plain_loop
from odekit.bench.speed import flops_of
from odekit.goldens import deviation


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
    assert deviation(seen[50][1], golden.arrays["mix_encode_i49"]) <= 1e-4
    assert deviation(back.numpy(), golden.arrays["mix_decode_clean"]) <= 1e-4


def test_the_loop_is_at_most_sixty_lines_long():
    assert len(inspect.getsource(module).splitlines()) <= 60


def test_the_loop_updates_where_it_is_told_by_the_variance_rule():
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


def test_operations_are_counted_as_products_and_sums():
    net = torch.nn.Conv2d(3, 8, 3, padding=1)
    call = type("Net", (torch.nn.Module,), {"forward": lambda self, x, t, return_dict: net(x)})()
    assert flops_of(call, torch.zeros(2, 3, 16, 16)) == 2 * 2 * 3 * 9 * 8 * 16 * 16


@pytest.mark.long
def test_speed_prints_rows_and_goals_for_both(cli):
    done = cli("bench", "speed", "--batch-size", 2, "--steps", 2, "--iterations", 1, "--rounds", 1, "--json")
    assert done.code == 0, done.err
    tree = json.loads(done.out)
    rows = {(row["method"], row["precision"]): row for row in tree["rows"]}
    assert {"odekit", "diffusers loop"} == {method for method, _ in rows}
    assert all(row["calls"] == 6 and row["seconds"] > 0 and row["memory"] > 0.1 for row in rows.values())
    assert rows["diffusers loop", "float32"]["ratio"] == 1 and rows["odekit", "float32"]["ratio"] > 0.8
    assert len(tree["goals"]) == 4
    faster = next(goal for goal in tree["goals"] if "odedit-fast" in goal["name"])
    assert float(faster["value"].split()[0]) == pytest.approx(12 * rows["odekit", "float32"]["ratio"], rel=0.02)


def test_steps_that_both_cannot_share_are_refused(cli):
    done = cli("bench", "speed", "--steps", 7)
    assert done.code == 2 and "divisor of 1000" in done.err


@pytest.mark.long
def test_speed_compares_a_compiled_network_too(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    done = cli(
        "bench", "speed", "--batch-size", 1, "--steps", 2, "--iterations", 1, "--rounds", 1, "--compile", "--json"
    )
    rows = {row["method"]: row for row in json.loads(done.out)["rows"]}
    assert set(rows) == {"odekit", "odekit, compiled", "diffusers loop"}
    assert rows["odekit, compiled"]["compiling"] > 0 and rows["odekit"]["compiling"] is None


def test_latency_is_that_of_one_face_after_warm_up(cli, tmp_path):
    chain = tmp_path / "small.yaml"
    chain.write_text(EXACT)
    done = cli("bench", "latency", chain, "--threads", 1, "--rounds", 2, "--json")
    assert done.code == 0, done.err
    tree = json.loads(done.out)
    (row,) = tree["rows"]
    assert row["threads"] == 1 and row["calls"] > 0 and row["processor"] > 0
    assert tree["goals"][0]["goal"] == "<= 2.5 s"


@pytest.mark.long
def test_profile_names_convolutions_first(cli):
    done = cli("bench", "profile", "--batch-size", 1, "--top", 3, "--json")
    rows = json.loads(done.out)["rows"]
    assert len(rows) == 3 and rows[0]["operation"] == "conv2d" and rows[0]["count"] == 40
    assert rows[2]["total"] == pytest.approx(sum(row["share"] for row in rows), abs=0.1)
