"""`odekit status`: the event logs of running, finished and dead runs."""

import json

import pytest

from odekit.runs.events import EventLog, read_events
from odekit.runs.lock import lock_output_folder


def said(cli, out):
    done = cli("status", out, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_finished_run_and_its_failures(cli, exact, faces, tmp_path):
    (faces / "face2.png").write_bytes(b"no picture")
    cli("run", exact, faces, "-o", tmp_path / "out")
    (run,) = said(cli, tmp_path / "out")
    assert (run["state"], run["inputs"], run["done"], run["failed"], run["left"]) == ("finished", 7, 6, 1, 0)
    assert "finished" in cli("status", tmp_path / "out").out


def test_a_resume_counts_what_was_done_before(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 3)
    cli("run", exact, faces, "-o", tmp_path / "out", "--resume")
    (run,) = said(cli, tmp_path / "out")
    assert (run["inputs"], run["done"], run["left"]) == (7, 7, 0)


@pytest.fixture
def half(tmp_path):
    """A log whose run is in the middle: two of five files in ten seconds."""
    out = tmp_path / "out"
    out.mkdir()
    lines = [
        {"time": 1000.0, "event": "begin", "inputs": 5, "done": 1},
        {"time": 1005.0, "event": "restored", "input": "a"},
        {"time": 1010.0, "event": "failed", "input": "b"},
    ]
    (out / "run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"time": 1011.0, "ev')
    return out


def test_a_run_whose_process_is_gone_died(cli, half):
    (run,) = said(cli, half)
    assert (run["state"], run["done"], run["failed"], run["left"]) == ("died", 2, 1, 2)


def test_a_living_run_has_a_rate_and_an_end(cli, half):
    with lock_output_folder(half):
        (run,) = said(cli, half)
    assert run["state"] == "running"
    assert run["rate"] == pytest.approx(0.2)
    assert run["ends"]


def test_each_shard_has_a_line(cli, exact, faces, tmp_path):
    runs = [cli("run", exact, faces, "-o", tmp_path / "out", "--shard", part, "--json") for part in ("1/2", "2/2")]
    made = [len(json.loads(run.out)["restored"]) for run in runs]
    found = [(run["name"], run["done"]) for run in said(cli, tmp_path / "out")]
    assert found == [("run-1-of-2", made[0]), ("run-2-of-2", made[1])]
    assert sum(made) == len(list(faces.iterdir()))


def test_a_folder_without_a_run_is_reported(cli, tmp_path):
    done = cli("status", tmp_path)
    assert done.code == 2
    assert "no run has written here" in done.err


def test_a_torn_last_line_is_mended_by_the_next_run(half):
    log = EventLog(half / "run.jsonl")
    log.add("end", reason="finished")
    log.close()
    assert [event["event"] for event in read_events(half / "run.jsonl")] == ["begin", "restored", "failed", "end"]


@pytest.mark.parametrize("line", ["[]", "3", '{"event": 1, "time": 2}', '{"event": "x", "time": "y"}', "{", ""])
def test_lines_that_are_no_event_are_left_out(tmp_path, line):
    (tmp_path / "run.jsonl").write_text(line + "\n")
    assert list(read_events(tmp_path / "run.jsonl")) == []
