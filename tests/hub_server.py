"""A Hugging Face hub on this machine: the two kinds of addresses that huggingface_hub asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Files of one repository by commit; branches name commits."""

    def __init__(self, address: str, repository: str) -> None:
        self.address, self.repository = address, repository
        self.commits: dict[str, dict[str, bytes]] = {}
        self.branches: dict[str, str] = {}
        self.licence: str | None = "apache-2.0"
        self.lies: dict[str, bytes] = {}
        """Contents sent instead of the files."""
        self.asked: list[str] = []

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit and let a branch name it."""
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha

    def info(self, revision: str) -> dict | None:
        """What the hub says of a revision."""
        sha = self.branches.get(revision, revision)
        if sha not in self.commits:
            return None
        siblings = [
            {"rfilename": name, "size": len(data)}
            | ({"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 1}} if name.endswith("safetensors") else {})
            for name, data in self.commits[sha].items()
        ]  # fmt: skip
        card = {"license": self.licence} if self.licence else {}
        return {"id": self.repository, "sha": sha, "siblings": siblings, "cardData": card, "tags": [], "private": False}


@contextmanager
def serve_hub(repository: str = "someone/prior") -> Iterator[Hub]:
    """A running hub with one repository."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            api, files = f"/api/models/{repository}", f"/{repository}/resolve/"
            if path == api or path.startswith(f"{api}/revision/"):
                info = hub.info(path.removeprefix(api).removeprefix("/revision/") or "main")
                self.send(
                    404 if info is None else 200, json.dumps(info or {"error": "no such revision"}).encode(), info
                )
            elif path.startswith(files):
                commit, _, name = path.removeprefix(files).partition("/")
                data = hub.commits.get(commit, {}).get(name)
                self.send(404 if data is None else 200, hub.lies.get(name, data or b""), {"sha": commit}, data)
            else:
                self.send(404, b"{}", None)

        do_GET = do_HEAD = answer

        def send(self, code: int, body: bytes, info: dict | None, named: bytes | None = None) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            if info:
                self.send_header("X-Repo-Commit", info["sha"])
            if code == 404:
                self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("ETag", f'"{hashlib.sha1(body if named is None else named).hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub = Hub(f"http://127.0.0.1:{server.server_address[1]}", repository)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
