"""Signals and letters."""

from __future__ import annotations

import os
import signal
import socket
import threading

from rote.services.runs.interrupts import Interrupts, Mailbox


def test_letters_arrive_in_order_from_any_thread() -> None:
    box: Mailbox[int] = Mailbox()
    thread = threading.Thread(target=lambda: [box.put(n) for n in range(100_000)])  # more than a pipe holds
    thread.start()
    assert [box.get() for _ in range(100_000)] == list(range(100_000))
    thread.join()


def test_a_signal_is_a_letter_whenever_it_comes() -> None:
    """Each signal is sent from another thread just as this one is about to wait: none may be slept over."""
    box: Mailbox[str] = Mailbox()
    ready, rounds = threading.Semaphore(0), 300

    def send() -> None:
        for _ in range(rounds):
            ready.acquire()
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    with Interrupts(box.put, box.descriptor):
        thread.start()
        for _ in range(rounds):
            ready.release()
            assert box.get() == "SIGINT"
        thread.join()


def test_everything_is_put_back() -> None:
    box: Mailbox[str] = Mailbox()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before = signal.set_wakeup_fd(ours.fileno())
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interrupts(box.put, box.descriptor):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN, "what was ignored stays so"
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.set_wakeup_fd(-1) == ours.fileno()
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, handler)
        ours.close()
        theirs.close()
