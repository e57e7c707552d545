"""One Ray and one S3 server for all tests, small faces, an exact chain."""

import os

import pytest
from on_ray import EXACT, FOUND_BY_WORKERS, save_face


@pytest.fixture
def exact(tmp_path):
    path = tmp_path / "exact.yaml"
    path.write_text(EXACT)
    return path


@pytest.fixture
def faces(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(7):
        save_face(folder / f"face{number}.png", number)
    return folder


@pytest.fixture(scope="session")
def bucket():
    """A server that answers like S3, and the name of a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.get_host_and_port()[1]}", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    import fsspec

    fsspec.filesystem("s3").mkdir("odekit")
    yield "odekit"
    server.stop()


@pytest.fixture(scope="session")
def ray_here(bucket):
    """One Ray for the jobs of this process; its workers find the modules of these tests."""
    from odekit_ray.cluster import Cluster, connected

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = FOUND_BY_WORKERS
    with connected(Cluster(actors=2)):
        yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
