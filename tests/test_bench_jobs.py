"""`python -m benchmarks jobs`: what its figures are made of."""

import json

import pytest

from benchmarks.jobs import IDENTITY, archive, figures, work


@pytest.fixture
def simulated(tmp_path):
    """A folder with a simulated archive of a few jobs."""
    (tmp_path / "identity.yaml").write_text(IDENTITY)
    archive(tmp_path / "in", 12)
    return tmp_path


def test_jobs_of_a_simulated_archive_are_finished_once_and_found_done(simulated, capsys):
    work(str(simulated))
    work(str(simulated))
    first, again = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["done"], again["done"]) == (0, 12) and first["cpu"] > 0
    assert len(list((simulated / "out").rglob("*.png"))) == 12
    assert first["peak"] > first["before"] > 0 < again["planned"]


def test_the_archive_is_one_folder_so_that_the_layout_makes_no_folder_for_each_result(simulated, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.jobs.LINKS", 5)
    archive(simulated / "more", 12)
    names = sorted(path.name for path in (simulated / "more").iterdir())
    assert names == [f"{number:08}.png" for number in range(12)]
    assert len({path.read_bytes() for path in (simulated / "more").iterdir()}) == 3
    work(str(simulated))
    assert {len(path.relative_to(simulated / "out").parts) for path in (simulated / "out").rglob("*.png")} == {2}


def test_figures_tell_peak_memory_and_the_time_of_the_plan():
    first = {"growth": 1.0, "plan": 400.0, "before": 750.0, "peak": 1200.0, "cpu": 600.0, "wall": 700.0}
    again = {"peak": 1300.0, "planned": 11.0, "wall": 50.0, "cpu": 45.0, "done": 1_000_000}
    memory, cpu, resume = figures(1_000_000, first, again)
    assert "1200 and 1300 MB" in memory.note and "400 MB" in memory.note
    assert cpu.value == pytest.approx(0.6)
    assert (resume.value, resume.goal) == (50.0, 60.0) and "plan (11.0 s)" in resume.note


def test_figures_are_printed_before_the_files_are_removed(monkeypatch, tmp_path):
    """The removal of two million files takes minutes; whoever stops it has the figures."""
    from benchmarks import jobs

    there = []
    monkeypatch.setattr(jobs, "apart", lambda root: there.append(root))
    monkeypatch.setattr(jobs, "figures", lambda *given: given)
    monkeypatch.setattr(jobs, "print_figures", lambda *given: there.append(there[0].is_dir()))
    jobs.command(1000)
    assert there[2] is True and not there[0].exists()
