"""Local files added to the weights store, and the verification of stored files."""

import errno
import os
import zipfile

import pytest
import torch
from loopback import sha256
from test_weights_pull import FILE, safetensors

from odekit.core import files
from odekit.errors import WeightsError
from odekit.plugins.catalog import Catalog, Weights
from odekit.plugins.weights import fetch as adding
from odekit.plugins.weights import lookup
from odekit.plugins.weights import store as receipt
from odekit.plugins.weights.fetch import add_weights
from odekit.plugins.weights.lookup import require_weights, verified_path, verify_weights
from odekit.plugins.weights.store import stored_path, weights_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(FILE)
    return tmp_path / "mine.safetensors"


def weights(name="net", known=True, **more):
    known = {"sha256": sha256(FILE), "size": len(FILE)} if known else {}
    facts = {"licence": "MIT", "commercial_use": True, "filename": f"{name}.safetensors"}
    return Weights(name, "somebody", **(facts | known | more))


def catalog(*stores):
    found = Catalog()
    found.weights = {store.name: store for store in stores}
    return found


def fault(call, *args, **how):
    with pytest.raises(WeightsError) as caught:
        call(*args, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_published_file_is_taken_and_found(file):
    what = weights()
    made = add_weights(what, file)
    assert (made.sha256, made.other, made.source) == (sha256(FILE), False, str(file))
    file.unlink()
    assert verified_path("net", catalog(what)) == stored_path(what) and stored_path(what).read_bytes() == FILE


def test_another_file_is_accepted_only_with_the_option(file):
    what = weights()
    for content in (safetensors(1), safetensors(1, 50)):
        file.write_bytes(content)
        message = fault(add_weights, what, file)
        assert "--allow-other" in message and "not the published file of 'net'" in message
        assert not stored_path(what).exists()
    assert add_weights(what, file, allow_other=True).other
    assert verified_path("net", catalog(what)).read_bytes() == safetensors(1, 50)
    stored_path(what).write_bytes(safetensors(2))
    assert "has changed" in fault(verified_path, "net", catalog(what))


def test_without_a_published_hash_a_file_is_remembered(file):
    what = weights(known=False)
    assert not add_weights(what, file).other
    assert receipt.read_receipt(weights_folder(what)).sha256 == sha256(FILE)
    sized = weights("sized", known=False, size=len(FILE) + 1)
    assert "bytes), not" in fault(add_weights, sized, file)


def test_cut_and_foreign_files_are_refused_even_when_others_are_allowed(file, tmp_path):
    file.write_bytes(FILE[:-1])
    assert "truncated" in fault(add_weights, weights(), file, allow_other=True)
    torch.save({"w": torch.zeros(1000)}, tmp_path / "net.pth")
    pickled = weights(filename="net.pth", known=False)
    add_weights(pickled, tmp_path / "net.pth")
    cut = tmp_path / "cut.pth"
    cut.write_bytes((tmp_path / "net.pth").read_bytes()[:-30])
    assert "truncated" in fault(add_weights, pickled, cut)
    torch.save({"w": torch.zeros(10)}, cut, _use_new_zipfile_serialization=False)
    add_weights(pickled, cut)
    for content in (b"<html>", b"# a text", b""):
        cut.write_bytes(content)
        assert str(cut) in fault(add_weights, pickled, cut)
    assert zipfile.is_zipfile(tmp_path / "net.pth")


def test_a_link_leaves_the_bytes_where_they_are(file):
    what = weights()
    add_weights(what, file, link=True)
    assert stored_path(what).is_symlink() and verified_path("net", catalog(what)).read_bytes() == FILE
    file.write_bytes(safetensors(1))
    assert "has changed" in fault(verified_path, "net", catalog(what))
    file.unlink()
    assert "not on this machine" in fault(verified_path, "net", catalog(what))
    file.write_bytes(FILE)
    add_weights(what, file)
    assert not stored_path(what).is_symlink(), "a copy takes the link's place"


def test_what_cannot_be_added_is_reported(file, tmp_path):
    assert "is no such file" in fault(add_weights, weights(), tmp_path / "absent")
    assert "is a folder" in fault(add_weights, weights(), tmp_path)
    assert "ship with somebody" in fault(add_weights, weights(path=file), file)


@pytest.mark.parametrize("code, said", [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "cannot be written")])
def test_a_full_disk_leaves_nothing_half_done(file, monkeypatch, code, said):
    what = weights()

    def fail(source, target):
        target.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(adding, "_copy", fail)
    message = fault(add_weights, what, file)
    assert said in message and "ODEKIT_HOME" in message
    assert [p.name for p in weights_folder(what).iterdir() if p.name != ".lock"] == []


def test_bytes_are_read_again_only_when_size_or_time_changed(file, monkeypatch):
    what, reads = weights(), []
    add_weights(what, file)
    real = files.sha256
    monkeypatch.setattr(lookup, "sha256", lambda path: (reads.append(path), real(path))[1])
    verified_path("net", catalog(what))
    assert reads == []
    os.utime(stored_path(what), ns=(1, 1))
    verified_path("net", catalog(what))
    verified_path("net", catalog(what))
    assert len(reads) == 1
    verify_weights(what)
    assert len(reads) == 2, "'odekit weights verify' always reads"


def test_damage_without_a_trace_is_found_by_verify(file):
    what = weights()
    add_weights(what, file)
    stat = stored_path(what).stat()
    stored_path(what).write_bytes(FILE[:-1] + bytes([FILE[-1] ^ 1]))
    os.utime(stored_path(what), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    verified_path("net", catalog(what))
    assert "has changed" in fault(verify_weights, what)


def test_a_file_put_there_by_hand_is_checked_too(home):
    what = weights(urls=["https://a.org/net"])
    weights_folder(what).mkdir(parents=True)
    stored_path(what).write_bytes(safetensors(1))
    message = fault(verified_path, "net", catalog(what))
    assert "is not the published file" in message and "odekit weights pull net" in message
    stored_path(what).write_bytes(FILE)
    verified_path("net", catalog(what))
    assert receipt.read_receipt(weights_folder(what)).source == "put there by hand"


def test_a_newer_plugin_may_want_another_file(file):
    add_weights(weights(), file)
    newer = weights(sha256=sha256(b"newer"), urls=["https://a.org/net"])
    assert "older file than somebody needs" in fault(verified_path, "net", catalog(newer))


def test_all_missing_weights_are_named_at_once_with_the_commands(file, tmp_path):
    shipped = weights("shipped", path=file)
    pulled = weights("pulled", urls=["https://a.org/x"], licence="S-Lab 1.0", commercial_use=False, size=376_637_898)
    found = catalog(shipped, pulled, weights("hidden"))
    require_weights(["shipped", str(file)], found)
    message = fault(require_weights, ["shipped", "pulled", "hidden", "pulled"], found)
    assert "'pulled' (S-Lab 1.0, non-commercial, 376.6 MB)" in message
    assert "odekit weights pull pulled;" in message
    assert "odekit weights add pulled FILE" in message and "odekit weights add hidden FILE" in message
    assert "shipped" not in message
    assert "did you mean 'pulled'" in fault(require_weights, ["puled"], found)
    assert "no such weights file" in fault(require_weights, [str(tmp_path / "absent.pth")], found)
    assert "install somebody again" in fault(verified_path, "gone", catalog(weights("gone", path=tmp_path / "gone")))


def test_a_store_that_may_only_be_read_serves(file, monkeypatch):
    what = weights()
    add_weights(what, file)
    (weights_folder(what) / receipt.RECEIPT).unlink()
    monkeypatch.setattr(
        receipt, "write_receipt", lambda *args: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    assert verified_path("net", catalog(what)) == stored_path(what)
