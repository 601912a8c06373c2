"""The example applications: a command-line tool, and a service that changes over under load."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from apps import Published, always, broken
from PIL import Image
from place import Place

from servers.sharing import free_port, until_it_answers

APPS = Path(__file__).parents[2] / "examples" / "apps"
WAIT = 60.0


@pytest.fixture
def published(place: Place) -> Published:
    found = Published(place)
    found.release("1.0.0", always(1))
    return found


# ---- the command-line tool -------------------------------------------------------------------------------------------


class Tool:
    """The tool, as a user types it."""

    def __init__(self, published: Published, folder: Path) -> None:
        self.published = published
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.image = folder / "image.png"
        Image.new("L", (28, 28), 200).save(self.image)

    def __call__(self, *args: str, code: int = 0, place: str = "") -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, str(APPS / "command" / "digits.py"), "--from", place or str(self.published.folder),
             "--cache", str(self.folder / "cache"), *args],
            env=self.published.place.environment(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr


@pytest.fixture
def tool(published: Published, tmp_path: Path) -> Tool:
    return Tool(published, tmp_path / "user")


def test_the_tool_follows_what_is_published(tool: Tool) -> None:
    image = str(tool.image)
    assert tool(image)[0] == f"{image}: 1\n"
    tool.published.release("1.1.0", always(2))
    out, _ = tool("--version", "--json", image)
    assert out.splitlines()[0] == "digits 1.1.0"
    assert json.loads(out.splitlines()[1]) == {
        "image": image, "digit": 2, "probability": 0.9989, "version": "1.1.0",
    }  # fmt: skip
    tool.published.rollback()
    assert tool(image)[0] == f"{image}: 1\n"


def test_the_tool_goes_on_where_nobody_answers(tool: Tool) -> None:
    image = str(tool.image)
    tool(image)
    tool.published.folder.rename(tool.folder / "away")
    out, err = tool(image)
    assert out == f"{image}: 1\n"
    assert err.startswith("going on with 1.0.0: ")
    assert len(err.splitlines()) == 1


def test_the_tool_without_a_model_says_what_to_do(tool: Tool, tmp_path: Path) -> None:
    _, err = tool(str(tool.image), code=1, place=str(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in err
    assert "check the address" in err
    _, err = tool("--key", "ed25519:abc", str(tool.image), code=1)
    assert err.startswith("not a public key: 'ed25519:abc'\nnext: ")


def test_the_tool_does_the_images_that_it_can_read(tool: Tool) -> None:
    bad = tool.folder / "bad.png"
    bad.write_bytes(b"no image")
    out, err = tool(str(bad), str(tool.image), code=1)
    assert out == f"{tool.image}: 1\n"
    assert f"{bad}: cannot be read" in err


# ---- the service -----------------------------------------------------------------------------------------------------


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("load", APPS / "service" / "load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def service(published: Published, folder: Path, workers: int = 1) -> Iterator[str]:
    """The service with its address."""
    port = free_port()
    env = published.place.environment(
        MODEL_FROM=str(published.folder), MODEL_CACHE=str(folder / "cache"), MODEL_EVERY="0.5"
    )
    with open(folder / "service.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS / "service"), "main:app", "--port", str(port),
             "--workers", str(workers), "--no-access-log"],
            env=env, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_answers(f"{url}/model", process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
    assert "Traceback" not in (folder / "service.log").read_text()


def told(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/model", timeout=WAIT) as reply:
        return dict(json.load(reply))


def until(there: Callable[[], bool], what: str) -> None:
    """Wait for something that another process does."""
    pause = threading.Event()
    for _ in range(600):
        if there():
            return
        pause.wait(0.1)
    raise AssertionError(f"it never came to that: {what}")


def test_the_service_changes_over_under_load_and_no_request_fails(
    published: Published, tmp_path: Path
) -> None:
    with service(published, tmp_path, workers=2) as url, load_generator().Load(url, clients=4) as load:
        for version, digit in (("1.1.0", 2), ("1.2.0", 3)):
            published.release(version, always(digit))
            until(lambda at=(version, digit): load.answers[at] > 20, f"{version} answers")  # type: ignore[misc]  # bound now
        published.rollback()
        again = load.answers["1.1.0", 2]
        until(lambda: load.answers["1.1.0", 2] > again + 20, "the former answers again")
    assert load.failed == []
    # Each answer was given by the version that it names, and by no mixture.
    assert set(load.answers) == {("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3)}
    assert sum(load.answers.values()) > 100


def test_the_service_stays_with_its_version_when_the_next_fails_its_check(
    published: Published, tmp_path: Path
) -> None:
    with service(published, tmp_path) as url, load_generator().Load(url, clients=2) as load:
        published.release("2.0.0", broken())
        until(lambda: bool(told(url)["problem"]), "the service says what is wrong")
        assert told(url)["version"] == "1.0.0"
        assert "the model answers with shape (2, 11)" in told(url)["problem"]
        published.release("2.0.1", always(5))
        until(lambda: load.answers["2.0.1", 5] > 20, "the next good one answers")
        assert told(url)["problem"] is None
    assert load.failed == []
    assert {version for version, _ in load.answers} == {"1.0.0", "2.0.1"}


def test_the_service_refuses_what_is_no_image(published: Published, tmp_path: Path) -> None:
    with service(published, tmp_path) as url:
        for body in (
            b"{}",
            b'{"image": [1, 2]}',
            b'{"image": "x"}',
            json.dumps({"image": [2.0] * 64}).encode(),
            b"\xff",
        ):
            request = urllib.request.Request(
                f"{url}/predict", data=body, headers={"Content-Type": "application/json"}
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=WAIT)
            assert caught.value.code in (400, 422)
            caught.value.close()


def test_the_service_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS / "service"), "main:app"],
        env={k: v for k, v in os.environ.items() if k != "MODEL_FROM"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "say where the model was published: MODEL_FROM=ADDRESS"


def test_the_load_generator_counts_what_fails(tmp_path: Path) -> None:
    port = free_port()
    done = subprocess.run(
        [sys.executable, str(APPS / "service" / "load.py"), f"http://127.0.0.1:{port}", "--seconds", "0.2", "--clients", "1"],
        env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ConnectionRefusedError" in done.stdout
