"""`python -m benchmarks scale`: what its figures are made of."""

import pytest

from benchmarks.network_share import Clock, idle
from benchmarks.scale import generate, plain_loop


def test_the_share_leaves_out_the_first_batch_and_counts_the_gap_before_the_second():
    clock = Clock()
    for wall, own in (((0, 9), (0, 9)), ((10, 12), (9, 9.5)), ((12, 13), (9.5, 10))):
        clock.calls.append(((wall[0], own[0]), (wall[1], own[1])))
    assert clock.share(1) == pytest.approx((2 + 1) / (13 - 9))
    assert clock.share(1, 1) == pytest.approx(1.0)


def test_a_run_keeps_the_network_at_work_and_says_how_it_was_measured():
    few = ["restore.inverter.steps=2", "restore.enhancer.iterations=1"]
    figure = idle(6, "cpu", 2, few)
    assert 0 < figure.value < 100
    assert figure.goal == 5.0
    for said in ("odedit-fast", "6 files", "batch size 2", "cpu", "processor time"):
        assert said in figure.note


def test_generated_files_differ_and_the_bare_loop_writes_each(tmp_path):
    paths = generate(tmp_path / "in", 20)
    assert len({path.read_bytes() for path in paths}) == 20
    assert 0 < plain_loop(paths, tmp_path / "out") < 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [path.name for path in paths]
