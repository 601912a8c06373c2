"""Puts a load on the service, and counts what comes back.

    python load.py http://127.0.0.1:8000 --seconds 60 --clients 8

It ends with exit code 1 if any request failed: refused, cut, or answered with something else than 200.
"""

import argparse
import http.client
import json
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

BODY = json.dumps({"image": [0.5] * 64})


class Load:
    """Clients that ask one question after the other, each over a connection that stays open, until they are stopped."""

    def __init__(self, url: str, clients: int) -> None:
        self._place = urlsplit(url)
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.answers: Counter[tuple[str, int]] = Counter()
        """(version, digit) -> how often that was the answer."""
        self.failed: list[str] = []
        self.slowest = 0.0
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(
            self._place.hostname or "", self._place.port or 80, timeout=60
        )
        while not self._end.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read()
                if reply.status != 200:
                    raise OSError(f"{reply.status}: {text[:200]!r}")
                answer = json.loads(text)
            except (OSError, http.client.HTTPException, ValueError) as e:
                with self._lock:
                    self.failed.append(f"{type(e).__name__}: {e}")
                connection.close()
                continue
            with self._lock:
                self.answers[answer["version"], answer["digit"]] += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
        connection.close()


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("url")
    words.add_argument("--seconds", type=float, default=10)
    words.add_argument("--clients", type=int, default=8)
    said = words.parse_args()
    with Load(said.url, said.clients) as load:
        time.sleep(said.seconds)
    for (version, digit), count in sorted(load.answers.items()):
        print(f"{version} answered {digit}: {count:,} times")
    each = sum(load.answers.values()) / said.seconds
    print(f"{each:,.0f} a second, the slowest in {load.slowest * 1000:,.0f} ms, {len(load.failed)} failed")
    for failure in load.failed[:10]:
        print(f"  {failure}")
    return 1 if load.failed else 0


if __name__ == "__main__":
    sys.exit(main())
