"""The small parts: limits, figures, keys, the log, addresses."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reference.service.figures import Figures, percentiles
from reference.service.journal import Journal
from reference.service.keys import KeyPool
from reference.service.limits import Bucket
from reference.service.listen import Address, ListenError, listen, name_of, only_one


def test_a_bucket_is_used_up_and_comes_back() -> None:
    bucket = Bucket(burst=2, rate=4, now=0)
    bucket.spend(1, 0)
    assert bucket.wait(0) == 0
    bucket.spend(3, 0)
    assert bucket.wait(0) == pytest.approx(0.50025)
    assert bucket.wait(0.6) == 0
    bucket.spend(0, 100)
    bucket.spend(2, 100)
    assert bucket.wait(100) > 0, "it holds no more than its burst"
    bucket.fill(100)
    assert bucket.wait(100) == 0


def test_percentiles_by_the_nearest_rank() -> None:
    assert percentiles([float(n) for n in range(100, 0, -1)]) == {
        "count": 100,
        "p50": 50,
        "p90": 90,
        "p99": 99,
        "max": 100,
    }
    assert percentiles([7.0]) == {"count": 1, "p50": 7, "p90": 7, "p99": 7, "max": 7}
    figures = Figures()
    figures.count("frames")
    figures.took("step", 1.5)
    assert figures.shown()["counters"] == {"frames": 1}
    assert figures.shown()["durations_ms"]["step"]["p50"] == 1.5


def test_keys_are_never_handed_out_twice() -> None:
    pool = KeyPool(2)
    keys = [pool.take().private_numbers().private_value for _ in range(50)]
    assert len(set(keys)) == 50
    pool.close()
    assert len(pool) <= 2 and not pool._thread.is_alive()
    pool.take()
    pool.take()
    pool.take()
    assert pool.made_on_the_spot > 0, "an empty pool refuses nobody"


def test_the_log_is_thinned_out_and_says_so() -> None:
    stream, now = io.StringIO(), [0.0]
    journal = Journal(stream, lambda: now[0], lambda: datetime(2026, 5, 1, tzinfo=UTC))
    for number in range(100):
        journal.say("often", number=number, absent=None)
    journal.say("seldom")
    now[0] = 10.0
    journal.say("often", number=100)
    journal.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0] == {"time": "2026-05-01T00:00:00.000+00:00", "event": "often", "number": 0}
    assert [line["event"] for line in lines].count("often") == 51
    assert lines[-2]["event"] == "seldom"
    assert lines[-1]["left_out"] == 50


class Stuck(io.StringIO):
    """A reader that has stopped reading, and a disk that is full afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def write(self, text: str) -> int:
        self.free.wait(30)
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_stalls_nobody() -> None:
    stream = Stuck()
    journal = Journal(stream, lambda: 0.0, lambda: datetime(2026, 5, 1, tzinfo=UTC))
    for number in range(20_000):
        journal.say(f"event {number}")
    assert journal.lost >= 9_990
    stream.free.set()
    journal.close()
    assert journal.lost == 20_000


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/tmp/a:b", Address(path="/tmp/a:b")),
        ("tcp:127.0.0.1:9000", Address(host="127.0.0.1", port=9_000)),
        ("tcp:[::1]:0", Address(host="::1")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:", "tcp:9000", "tcp:host:", "tcp:host:65536", "udp:host:1", "/tmp/a"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ListenError, match="is no address: write unix:/path"):
        Address.parse(text)


def test_a_port_that_is_taken() -> None:
    with listen(Address(host="127.0.0.1")) as taken:
        port = int(name_of(taken).rpartition(":")[2])
        with pytest.raises(ListenError, match=rf"tcp:127.0.0.1:{port}: Address already in use: choose another"):
            listen(Address(host="127.0.0.1", port=port))


def test_a_path_that_is_taken_and_one_that_was_left(tmp_path: Path) -> None:
    path = tmp_path / "wires"
    with listen(Address(path=str(path))):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(ListenError, match="another program listens there: end it"):
            listen(Address(path=str(path)))
    assert path.exists(), "what a killed program leaves"
    listen(Address(path=str(path))).close()


def test_a_path_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ListenError, match="something that is no socket is there"):
        listen(Address(path=str(tmp_path / "file")))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    listen(Address(path=str(folder / "wires"))).close()
    assert (folder / "wires").is_socket()


def test_a_path_whose_folder_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file or directory: choose another address"):
        listen(Address(path=str(tmp_path / "away" / "wires")))


def test_only_one_service_of_a_deployment(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(ListenError, match=r"runs already \(process \d+\)"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass
