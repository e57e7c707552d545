"""The job book: any engine plans, settles and finishes a job as `odekit run` does."""

import json
import os
import pickle
import threading

import numpy as np
import pytest

from odekit import Chain
from odekit.core.files import read_json
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import ConfigError
from odekit.runs.engine import Engine
from odekit.runs.index import COLUMNS, row_of
from odekit.runs.inputs import RealPaths
from odekit.runs.jobs import JobBook, JobTicket
from odekit.runs.layout import hashed_name, layout_of
from odekit.runs.record import BLOCK
from odekit.runs.runner import Runner
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions


def results(folder):
    return {os.path.relpath(path, folder): path.read_bytes() for path in folder.rglob("*.png")}


def begun(exact, faces, out, **options):
    """A book whose job is settled, and its jobs."""
    book = JobBook(Chain.load(str(exact)), RunOptions(out, batch_size=2, **options))
    jobs = book.plan([faces])
    return book, jobs


def work(exact, ticket, jobs):
    """What a worker of any engine does; names of what it has written."""
    book = JobBook.join(Chain.load(str(exact)), pickle.loads(pickle.dumps(ticket)))
    engine, written = Engine(book.session()), []
    for job in jobs:
        if not book.done(job.name, job.file):
            image, source = book.read(job)
            written.append(book.finish(job, engine.run([image])[0], source))
    return written


def test_workers_with_a_ticket_write_what_a_run_writes(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    out = tmp_path / "out"
    book, jobs = begun(exact, faces, out)
    with book.opened():
        book.settlement.write(book.settle(jobs))
        ticket = book.ticket()
        assert isinstance(ticket, JobTicket)
        assert work(exact, ticket, jobs[:4]) == [job.name for job in jobs[:4]]
        assert work(exact, ticket, jobs) == [job.name for job in jobs[4:]], "what is done is done for all workers"
    assert results(out) == results(tmp_path / "whole")
    assert read_json(out / "run.json") == read_json(tmp_path / "whole" / "run.json")
    strip = {"seconds", "output", "stages"}
    for job in jobs:
        one, other = (read_json(folder / f"{job.name}.json") for folder in (out, tmp_path / "whole"))
        assert {k: v for k, v in one.items() if k not in strip} == {k: v for k, v in other.items() if k not in strip}
        assert list(one) == list(other)
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []


def test_a_folder_goes_on_under_another_engine_and_back(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--batch-size", 2, "--limit", 2)
    book, jobs = begun(exact, faces, out, resume=True)
    with book.opened():
        book.settlement.write(book.settle(jobs))
        assert len(work(exact, book.ticket(), jobs[:5])) == 3
    done = json.loads(cli("run", exact, faces, "-o", out, "--resume", "--json").out)
    assert (len(done["restored"]), len(done["skipped"])) == (len(jobs) - 5, 5)


def test_two_runs_do_not_share_temporary_files(exact, faces, tmp_path):
    first, second = (begun(exact, faces, tmp_path / "out")[0] for _ in range(2))
    assert first.output.scratch != second.output.scratch
    with first.opened():
        assert first.output.scratch.is_dir()
        with pytest.raises(ConfigError, match="another run"), second.opened():
            pass
        assert first.output.scratch.is_dir()
    with second.opened():
        assert not first.output.scratch.exists() and second.output.scratch.is_dir()


def test_a_worker_with_other_weights_or_files_is_refused(exact, faces, tmp_path):
    book, jobs = begun(exact, faces, tmp_path / "out")
    with book.opened():
        book.settle(jobs)
        ticket = book.ticket()
        changed = dict(ticket.settings.depends) | {
            "parts": {"odekit": {"dist": "odekit", "version": "0", "results": -1}}
        }
        vars(ticket.settings)["depends"] = changed
        with pytest.raises(ConfigError, match="on this machine"):
            JobBook.join(Chain.load(str(exact)), ticket)


def test_settings_of_books_that_settle_together_are_one(exact, faces, tmp_path):
    """Shards that settle at the same time: whoever is second takes the seed of the first, or is refused."""
    out, outcomes = tmp_path / "out", []
    out.mkdir()

    def settle(number):
        chain = Chain.load(str(exact))
        book = JobBook(chain, RunOptions(out, seed=number, batch_size=2, shard=f"{number}/8"))
        try:
            with book.opened():
                outcomes.append(book.settle(book.share(book.plan([faces])), 7).seed)
                gate.wait(60)
        except ConfigError:
            outcomes.append(None)
            gate.wait(60)

    gate = threading.Barrier(4)
    threads = [threading.Thread(target=settle, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(outcomes, key=str) == [outcome for outcome in outcomes if outcome] + [None] * 3
    assert read_json(out / "run.json")["seed"] == next(outcome for outcome in outcomes if outcome)


def test_the_hashed_layout_spreads_results_and_is_kept(cli, exact, faces, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    cli("run", exact, faces, "-o", whole, "--batch-size", 2)
    assert cli("run", exact, faces, "-o", out, "--batch-size", 2, "--layout", "hashed", "--limit", 3).code == 0
    assert read_json(out / "run.json")["layout"] == "hashed"
    done = json.loads(cli("run", exact, faces, "-o", out, "--resume", "--json").out)
    assert len(done["skipped"]) == 3, "a resume keeps the layout"
    assert results(out) == {hashed_name(name): data for name, data in results(whole).items()}
    refused = cli("run", exact, faces, "-o", out, "--resume", "--layout", "tree")
    assert refused.code == 2 and "--layout hashed" in refused.err
    (out / "run.json").unlink()
    again = json.loads(cli("run", exact, faces, "-o", out, "--resume", "--json").out)
    assert (again["restored"], len(again["skipped"])) == ([], 7), "the records tell the layout"
    assert cli("run", exact, faces, "-o", tmp_path / "x", "--layout", "flat").code == 2


def test_hashed_names_are_even_and_case_does_not_matter():
    names = [hashed_name(f"{number:07}.jpg") for number in range(40_960)]
    sizes = {}
    for name in names:
        folder = name.partition("/")[0]
        sizes[folder] = sizes.get(folder, 0) + 1
    assert len(sizes) > 4_090 and max(sizes.values()) < 35, "10 on average in 4,096 folders"
    assert hashed_name("A.JPG").partition("/")[0] == hashed_name("a.jpg").partition("/")[0]
    assert layout_of(f"{names[0]}.json") == "hashed" and layout_of("abc/a.png") == layout_of("a.png") == "tree"


def test_records_become_one_table(cli, exact, faces, tmp_path):
    out, path = tmp_path / "out", tmp_path / "records.jsonl"
    cli("run", exact, faces, "-o", out, "--batch-size", 2)
    (out / "face5.png.json").write_text("half")
    assert cli("records", out, "--to", path).out == f"{path}: 6 records\n"
    rows = {row["name"]: row for row in map(json.loads, path.read_text().splitlines())}
    assert set(rows) == {f"face{number}.png" for number in range(7)} - {"face5.png"}
    record = read_json(out / "face1.png.json")
    assert rows["face1.png"]["output_sha256"] == record["output"]["sha256"]
    assert rows["face1.png"]["calls"] == record["calls"]
    for wrong in ("records.csv", "records"):
        assert cli("records", out, "--to", tmp_path / wrong).code == 2
    nothing = cli("records", tmp_path / "none", "--to", path)
    assert nothing.code == 2 and "has no records" in nothing.err


def test_a_record_of_anything_is_a_row():
    row = row_of(
        "a.png", {"input": [], "output": {"bytes": True, "path": 5}, "seed": 1 << 70, "seconds": "x", "stages": 3}
    )
    assert row == dict.fromkeys(COLUMNS) | {"name": "a.png", "findings": row["findings"], "restored": row["restored"]}
    assert row_of("\udcff.png", {})["name"] == "\\udcff.png"


def test_the_plan_of_many_names_hashes_each_of_them_once(exact, tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr("odekit.runs.output_names.hashed_name", lambda name: hashed.append(name) or hashed_name(name))
    for number in range(20):
        (tmp_path / f"{number}.png").touch()
    book = JobBook(Chain.load(str(exact)), RunOptions(tmp_path / "out", layout="hashed"))
    names = [job.name for job in book.plan([tmp_path])]
    assert sorted(names) == sorted(hashed_name(f"{number}.png") for number in range(20))
    assert len(hashed) == 20


def test_the_plan_resolves_folders_of_results_from_their_parents(exact, tmp_path, monkeypatch):
    """In a deep place, each of thousands of folders would cost a call of the system for every level."""
    place = tmp_path / "a" / "b" / "c"
    for number in range(20):
        (place / str(number)).mkdir(parents=True)
        (place / str(number) / "x.png").touch()
    book = JobBook(Chain.load(str(exact)), RunOptions(tmp_path / "a" / "out"))
    resolved, real = [], os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda path, **given: resolved.append(path) or real(path, **given))
    assert len(book.plan([place])) == 20
    assert len(resolved) < 5


def test_folders_that_are_resolved_from_their_parents_are_the_real_ones(tmp_path, monkeypatch):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "broken").symlink_to("nowhere/else")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    texts = ["", ".", "link", "link/deep", "link/deep/..", "link/../x", "real/up/link/deep", "none/of/it", "broken/x",
             "real/", "real//deep", "./link/./deep", "../" + tmp_path.name + "/link", "loop/x",
             "link" + "/d" * 1500]  # fmt: skip
    found = RealPaths()
    for text in [*texts, *(os.path.join(tmp_path, text) for text in texts), "/", "//", "/tmp/../tmp"]:
        assert found.folder(text) == os.path.realpath(text), text


def test_a_small_result_is_read_once_to_find_it_done(cli, exact, faces, tmp_path, monkeypatch):
    cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 2)
    book, jobs = begun(exact, faces, tmp_path / "out", resume=True)
    book.settle(jobs)
    reads, real = [], os.pread
    monkeypatch.setattr("os.pread", lambda *given: reads.append(given) or real(*given))
    assert all(book.done(job.name, job.file) for job in jobs)
    small = sum((tmp_path / "out" / job.name).stat().st_size <= BLOCK for job in jobs)
    assert len(reads) == 2 * len(jobs) - small and small


def test_an_engine_asks_for_the_window_of_its_session_once_a_call():
    """The session counts the rows of all stages for it."""

    class Asked:
        batch_size, fill, asked = 2, None, 0

        @property
        def window(self):
            self.asked += 1
            return 2

        def run(self, images):
            return [Result(image, image, {"stages": []}) for image in images]

    session = Asked()
    images = [Image(np.zeros((3, 4, 4), np.float32))] * 6
    assert len(Engine(session).run(images)) == 6 and session.asked == 3


def test_a_resume_keeps_no_findings_of_pictures_in_which_nothing_was_done(faces, tmp_path):
    """Of a million pictures they take 280 MB; only --require-change shows them."""
    (tmp_path / "identity.yaml").write_text("odekit: 1\nchain:\n  - save: {format: png}\n")
    chain, kept = Chain.load(str(tmp_path / "identity.yaml")), []
    for options in ({}, {"resume": True}, {"resume": True, "require_change": True}):
        runner = Runner(chain, RunOptions(tmp_path / "out", **options), Silent())
        runner.run([faces])
        kept.append({id(findings) for _, findings in runner.unchanged_before})
        assert len(runner.summary.unchanged) == 7
    assert [len(ids) for ids in kept] == [0, 1, 7]
