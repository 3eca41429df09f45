"""`reference.sed.Sed`, the SED for scripts: what it raises when, and what it says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reference.deployment import Deployment
from reference.frame import Frame
from reference.sed import LinkGone, Message, Refused, Sed, SedError, TimedOut
from reference.sed.words import Event, visible


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Deployment.create([10, 11], seed=b"tests/reference/sed").save(tmp_path / "deployment")
    return tmp_path


class Wire:
    """Somebody who listens at a path, accepts, and says nothing by himself."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.accepted: list[socket.socket] = []
        self._came = threading.Condition()
        self.thread = threading.Thread(target=self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with self._came:
                    self.accepted.append(client)
                    self._came.notify_all()

    def first(self, number: int = 1) -> socket.socket:
        """The first connection, or a later one, when it is there."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.accepted) >= number, timeout=60)
        return self.accepted[number - 1]


@contextlib.contextmanager
def wire(path: Path) -> Iterator[Wire]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        made = Wire(listener)
        made.thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            made.thread.join()
            for one in made.accepted:
                one.close()


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(LinkGone, match=r"the radio at unix:.*/radio is not there: No such file or directory"):
        Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio", patience=0.05)
    with pytest.raises(SedError, match=r"deployment\.json cannot be read"):
        Sed(folder, 10, radio=f"unix:{folder}/radio")
    with pytest.raises(SedError, match=r"SED 12 is not in this deployment, which has \[10, 11\]"):
        Sed(folder / "deployment", 12, radio=f"unix:{folder}/radio")
    with pytest.raises(SedError, match="'radio' is no address"):
        Sed(folder / "deployment", 10, radio="radio")
    with pytest.raises(SedError, match="/none/keys: No such file or directory: choose another file"):
        Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio", keylog="/none/keys")


def test_silence_is_a_timeout_and_a_link_that_goes_is_gone(folder: Path) -> None:
    with wire(folder / "radio") as radio, wire(folder / "sss") as sss:
        sed = Sed(
            folder / "deployment",
            10,
            radio=f"unix:{folder}/radio",
            sss=f"unix:{folder}/sss",
            patience=0.05,
        )
        with sed:
            with pytest.raises(TimedOut, match=r"not done within 0\.05 s; it may still come about"):
                sed.register(timeout=0.05)
            assert sed.status()["state"] == "TALKING_TO_SSS" and not sed.registered
            with pytest.raises(TimedOut):
                sed.send(11, b"waits until the request is over", timeout=0.05)
            assert sed._device.controller.unread == 0, "one thing after the other: the controller has not got it"
            with pytest.raises(TimedOut, match="no message from anybody"):
                sed.wait(timeout=0.05)
            sss.first().close()
            radio.first().close()
            with pytest.raises(ValueError, match="not to 10, from 10"):
                sed.send(10, b"")
        sed.close()
    assert issubclass(Refused, SedError) and issubclass(LinkGone, SedError)


def test_a_link_that_goes_in_the_middle(folder: Path) -> None:
    """The SSS has the hello, and then it is gone for good."""
    events: list[Event] = []
    with wire(folder / "radio"), wire(folder / "sss") as sss:
        sed = Sed(
            folder / "deployment",
            10,
            radio=f"unix:{folder}/radio",
            sss=f"unix:{folder}/sss",
            patience=0.05,
            tell=events.append,
        )

        def go() -> None:
            assert sss.first().recv(1_000)
            (folder / "sss").unlink()
            sss.first().close()

        thread = threading.Thread(target=go)
        thread.start()
        with sed, pytest.raises(LinkGone, match=r"the SSS at unix:.*/sss is not there"):
            sed.register()
        thread.join()
    assert [event.fields["up"] for event in events if event.fields.get("link") == "sss"][:2] == [True, False]


def test_messages_wait_in_their_order(folder: Path) -> None:
    """The FAA speaks in the clear: no other SED is needed."""
    with wire(folder / "radio") as radio, Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio") as sed:
        radio.first().sendall(b"".join(Frame(10, 2, text).encode() for text in (b"one", b"two", b"\xff\x1b")))
        assert sed.wait() == Message(2, b"one")
        with pytest.raises(TimedOut, match=r"no message from 11 within 0\.01 s"):
            sed.wait(source=11, timeout=0.01)
        assert str(sed.wait(source=2)) == "2: two"
        assert sed.wait().text == "\\xff\x1b"
        with pytest.raises(LinkGone, match="this SED was given no SSS"):
            sed.register()


def test_what_somebody_sent_moves_no_cursor() -> None:
    assert visible("Grüße\x1b[2J\n\u202e") == "Grüße\\x1b[2J\\n\\u202e"


def test_a_listener_who_raises_is_told(folder: Path) -> None:
    def tell(event: Event) -> None:
        raise KeyError(event.event)

    with wire(folder / "radio"), pytest.raises(SedError, match="internal error: KeyError: 'link'"):
        Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio", tell=tell).wait()


def test_whatever_the_radio_says_the_next_frame_is_heard(folder: Path) -> None:
    junk = bytes(b for b in range(256) if b != ord("S")) * 100
    with wire(folder / "radio") as radio, Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio") as sed:
        for noise in (junk, Frame(10, 11, bytes(60_000)).encode(), Frame(11, 10, junk[:900]).encode(), b"SSS"):
            radio.first().sendall(noise + Frame(10, 2, b"and yet").encode())
            assert sed.wait(timeout=60) == Message(2, b"and yet")
        dropped = sed.status()["dropped"]
        assert dropped["oversize"] == 1 and dropped["skipped"] == len(junk) + 3


def test_what_one_connection_left_half_the_next_does_not_continue(folder: Path) -> None:
    with wire(folder / "radio") as radio, Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio") as sed:
        radio.first().sendall(Frame(10, 2, bytes(500)).encode()[:200])
        radio.first().close()
        radio.first(2).sendall(Frame(10, 2, b"anew").encode())
        assert sed.wait(timeout=60) == Message(2, b"anew")


def test_a_radio_that_does_not_read_loses_frames_and_holds_nobody_up(folder: Path) -> None:
    with wire(folder / "radio"), Sed(folder / "deployment", 10, radio=f"unix:{folder}/radio") as sed:
        for _ in range(60):
            sed.send(2, bytes(16_384), timeout=60)
        assert 0 < sed.status()["dropped"]["frames_lost"] < 60
