"""Runs the nodes in a real ComfyUI without a window: `COMFYUI_DIR=... make test-comfyui`. See the README."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PACK = Path(__file__).parent.parent
PORT = 8199
ADDRESS = f"http://127.0.0.1:{PORT}"
STARTS, RUNS = 300, 600
"""Seconds that the server may take to start, and a prompt to run."""


def ask(path: str, body: Any = None) -> Any:
    """The JSON that the server answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ADDRESS}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def prompt(chain: str = "photo") -> dict[str, Any]:
    """Load, restore, save the picture and the mask of its faces."""
    restore = {"image": ["1", 0], "chain": chain, "strength": "auto", "seed": 0}
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "odekit-test.jpg"}},
        "2": {"class_type": "OdekitRestoreFaces", "inputs": restore},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "odekit-test"}},
        "4": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 1]}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "odekit-test-mask"}},
    }


def run(graph: dict[str, Any]) -> dict[str, Any]:
    """Queue a prompt and wait for its entry in the history."""
    number, end = ask("/prompt", {"prompt": graph})["prompt_id"], time.monotonic() + RUNS
    while time.monotonic() < end:
        history = ask(f"/history/{number}")
        if number in history:
            return dict(history[number])
        time.sleep(1)
    raise SystemExit(f"the prompt did not end within {RUNS} s")


def wait_for_start(server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers and knows our nodes."""
    end = time.monotonic() + STARTS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise SystemExit(f"ComfyUI ended with {server.returncode}")
        try:
            known = ask("/object_info")
        except (urllib.error.URLError, OSError):
            time.sleep(2)
            continue
        missing = {"OdekitRestoreFaces", "OdekitRestoreAlignedFace", "OdekitLoadChain"} - known.keys()
        if missing:
            raise SystemExit(f"ComfyUI does not know {', '.join(sorted(missing))}; see its log above")
        return
    raise SystemExit(f"ComfyUI did not start within {STARTS} s")


def check(folder: Path) -> None:
    """Two prompts: one that restores, one with a chain that does not exist."""
    entry = run(prompt())
    assert entry["status"]["status_str"] == "success", entry["status"]
    files = [image["filename"] for output in entry["outputs"].values() for image in output["images"]]
    assert len(files) == 2 and all((folder / "output" / name).is_file() for name in files), files
    print(f"restored: {', '.join(files)}")
    status = run(prompt("phto"))["status"]
    assert status["status_str"] == "error" and "did you mean 'photo'" in json.dumps(status), status
    print("an unknown chain is an error of the node, with the nearest name")


def main(folder: str) -> None:
    """See the README of the pack."""
    if not folder or not (Path(folder) / "main.py").is_file():
        raise SystemExit("COMFYUI_DIR=/path/to/ComfyUI make test-comfyui: the folder that holds ComfyUI's main.py")
    place = Path(folder).resolve()
    link = place / "custom_nodes" / PACK.name
    made = not link.exists()
    if made:
        link.symlink_to(PACK, target_is_directory=True)
    picture = place / "input" / "odekit-test.jpg"
    picture.parent.mkdir(exist_ok=True)
    shutil.copy(PACK.parent.parent / "examples" / "photos" / "astronaut.jpg", picture)
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    words = ["--cpu", "--listen", "127.0.0.1", "--port", str(PORT), "--disable-auto-launch", "--disable-api-nodes"]
    server = subprocess.Popen([python, "main.py", *words], cwd=place)
    try:
        wait_for_start(server)
        check(place)
    finally:
        server.terminate()
        server.wait(30)
        picture.unlink()
        if made:
            link.unlink()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
