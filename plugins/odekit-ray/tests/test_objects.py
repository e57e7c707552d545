"""Inputs and outputs at addresses, against a local server that answers like S3."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from odekit_ray.cluster import Cluster
from odekit_ray.driver import RayJob
from odekit_ray.objects import Objects, ObjectStore, described, read_any
from on_ray import odekit

from odekit.chains.chain import Chain
from odekit.errors import ConfigError, InputError
from odekit.runs.jobs import JobBook
from odekit.runs.settings import read_settings
from odekit.runs.silent import Silent
from odekit.runs.summary import RunOptions


@pytest.fixture
def place(bucket):
    """An address of its own for each test."""
    return f"s3://{bucket}/{uuid.uuid4().hex[:8]}"


def job(exact, address, **options):
    options = RunOptions(Path(address), batch_size=2, **options)
    return RayJob(Chain.load(str(exact)), options, Cluster(actors=2), Silent(), address)


def test_from_bucket_to_bucket_gives_the_bytes_of_a_run(ray_here, exact, faces, place, tmp_path):
    s3 = fsspec.filesystem("s3")
    s3.put(f"{faces}/", f"{place}/in/", recursive=True)
    odekit("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    summary = job(exact, f"{place}/out").run([f"{place}/in"])
    assert (len(summary.restored), summary.failed, summary.stopped) == (7, [], "")
    for path in (tmp_path / "whole").glob("*.png"):
        assert s3.cat_file(f"{place}/out/{path.name}") == path.read_bytes()
    record = json.loads(s3.cat_file(f"{place}/out/face1.png.json"))
    assert record["input"]["path"] == f"{place}/in/face1.png" and record["input"]["etag"]
    assert record["output"]["path"] == f"{place}/out/face1.png"
    left = {name.rpartition("/")[2] for name in s3.find(f"{place}/out")}
    assert left == {f"face{n}.png{end}" for n in range(7) for end in ("", ".json")} | {"run.json", "run.jsonl"}
    with pytest.raises(ConfigError, match="use --resume"):
        job(exact, f"{place}/out").run([f"{place}/in"])
    s3.rm_file(f"{place}/out/face4.png")
    s3.pipe_file(f"{place}/in/face5.png", (faces / "face6.png").read_bytes())
    s3.pipe_file(f"{place}/in/half.png", b"\x89PNG\r\n\x1a\nhalf")
    again = job(exact, f"{place}/out", resume=True).run([f"{place}/in"])
    assert (sorted(again.restored), len(again.skipped)) == (["face4.png", "face5.png"], 5)
    assert [failure["input"] for failure in again.failed] == [f"{place}/in/half.png"]
    assert f"{place}/in/half.png: " in json.loads(s3.cat_file(f"{place}/out/failures.json"))[0]["error"]


def test_run_json_is_created_once_and_whoever_is_second_takes_it_or_is_refused(exact, faces, place, bucket):
    store = ObjectStore(place)
    chain = Chain.load(str(exact))

    def book(seed):
        return JobBook(
            chain, RunOptions(Path(place), seed=seed, batch_size=2, resume=True), None, store, Objects(place)
        )

    first, same, other = book(1), book(1), book(2)
    jobs = first.plan([faces])
    settled = [one.settle(jobs) for one in (first, same, other)]  # none has seen another's run.json
    assert first.settlement.write(settled[0]).seed == 1
    assert same.settlement.write(replace(settled[1], threads=settled[1].threads + 1)).machine == settled[0].machine
    with pytest.raises(ConfigError, match="another seed"):
        other.settlement.write(settled[2])
    assert json.loads(store.read("run.json"))["seed"] == 1
    with pytest.raises(FileExistsError):
        settled[2].write(store, first=True)


def test_records_are_listed_prefix_by_prefix_without_what_is_the_runs_own(place, bucket):
    store = ObjectStore(place)
    for name in (
        "a.png.json",
        "b/c.png.json",
        "run.json",
        "failures.json",
        ".odekit-tmp/x/y.json",
        "b/c.png",
        "b/run.json",
    ):
        store.put(name, b"{}")
    assert sorted(store.records()) == ["a.png.json", "b/c.png.json", "b/run.json"]
    assert store.names_in("b") == {"c.png", "c.png.json", "run.json"} and store.names_in("none") == frozenset()
    assert read_settings(store) is None


class Unconditional(MemoryFileSystem):
    """A store that writes whatever it is told."""

    protocol = "unconditional"
    store, pseudo_dirs = {}, [""]

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        super().pipe_file(path, value, mode="overwrite")


def test_a_store_without_conditions_is_refused_for_results(exact, faces):
    fsspec.register_implementation("unconditional", Unconditional, clobber=True)
    with pytest.raises(ConfigError, match="no conditional PUT"), ObjectStore("unconditional://out").held(None, "x"):
        pass
    with ObjectStore("memory://out").held(None, "x"):
        assert fsspec.filesystem("memory").exists("memory://out/x/condition")
    assert not fsspec.filesystem("memory").exists("memory://out/x/condition")


def test_an_input_that_has_changed_is_another_one(place, faces, bucket):
    s3, address = fsspec.filesystem("s3"), f"{place}/a.png"
    s3.put_file(str(faces / "face1.png"), address)
    image, recorded = read_any(address, 100.0)
    assert image.pixels.shape == (3, 32, 32) and recorded["bytes"] == (faces / "face1.png").stat().st_size
    source = Objects()
    assert source.is_same(recorded, address, verify=False) and source.is_same(recorded, address, verify=True)
    assert source.data(address, 3) == (faces / "face1.png").read_bytes()[:4]
    moved = recorded | {"etag": "another"}
    assert source.is_same(moved, address, verify=False), "the SHA-256 decides"
    s3.put_file(str(faces / "face2.png"), address)
    assert not source.is_same(recorded, address, verify=False)
    assert described(address)["path"] == address
    with pytest.raises(InputError, match="no such object"):
        read_any(f"{place}/none.png", 100.0)
    with pytest.raises(InputError, match=r"pixels|bytes"):
        read_any(address, 1e-9)


def test_results_below_the_inputs_are_no_inputs(place, faces, bucket):
    s3 = fsspec.filesystem("s3")
    s3.put(f"{faces}/", f"{place}/", recursive=True)
    s3.put(f"{faces}/", f"{place}/out/", recursive=True)
    jobs = Objects(f"{place}/out").list([place], Path()).jobs
    assert [one.name for one in jobs] == [f"face{number}.png" for number in range(7)]
    with pytest.raises(ConfigError, match="no pictures"):
        Objects().list([f"{place}/empty"], Path())


def test_a_protocol_without_a_package_is_named():
    with pytest.raises(ConfigError, match="odekit-ray"):
        Objects().list(["nosuch://x/y"], Path())
