"""The service through real sockets: honest devices, hostile clients of each kind, limits, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from wires import DEPLOYMENT, HOSTILE, IDS, Device, running, siege

from reference import sss
from reference.dtls import Session
from reference.frame import Frame
from reference.service.limits import Limits
from reference.service.store import StoreError


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test that waits in vain for at most a minute."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


def test_register_and_deregister(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            streams, device = await now.connect(), Device(10)
            assert await device.ask(streams, 0) == 0
            assert [row.device for row in now.store.registrations()] == [10]
            assert await device.ask(streams, 1) == 1
            assert now.store.registrations() == []
            assert await device.ask(streams, 1) == -1
            assert device.now == 0, "nothing waited for a timeout"
        events = [(line["event"], line.get("device")) for line in now.lines()]
        assert events == [("registered", 10), ("deregistered", 10), ("refused", 10), ("disconnected", 10)]

    run(test)


def test_sixteen_register_at_once_besieged_by_a_hundred(tmp_path: Path) -> None:
    """REG-7, with everything that a client can do wrong, at once."""

    async def test() -> None:
        async with running(tmp_path) as now, siege(now.path, 100) as begun:
            assert await asyncio.gather(*(now.register(i) for i in IDS)) == [0] * 16
            assert [row.device for row in now.store.registrations()] == list(IDS)
            assert min(begun) > 0
            figures = now.service.figures.counters
            assert figures["refused_connections"] > 0 and figures["sessions_failed"] > 0 and figures["paced"] > 0
            assert figures["internal_errors"] == 0

    run(test)


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_kind_of_hostile_client(tmp_path: Path, kind: str) -> None:
    """Also in the name of the device that registers: a claim is not held against the device (no lock-out)."""

    async def test() -> None:
        async with running(tmp_path) as now, siege(now.path, 17, (kind,)):
            assert await now.register(10) == 0
            assert await now.register(10, op=1) == 1
            assert now.service.figures.counters["internal_errors"] == 0

    run(test)


def test_a_device_on_a_slow_wire(tmp_path: Path) -> None:
    """Each frame in pieces of seven bytes: that is no reason to make it wait."""

    async def test() -> None:
        async with running(tmp_path) as now:
            assert await now.register(10, size=7) == 0
            assert now.service.figures.counters["paced"] == 0

    run(test)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([(1, 10), (1, 11)], "the source id changed from 10 to 11"),
        ([(1, 2)], "a frame from 2 to 1 does not belong on a wire to the SSS"),
        ([(1, 1)], "a frame from 1 to 1 does not belong on a wire to the SSS"),
        ([(0, 10)], "a frame from 10 to 0 does not belong on a wire to the SSS"),
    ],
)
def test_a_connection_is_one_device(tmp_path: Path, frames: list[tuple[int, int]], reason: str) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            reader, writer = await now.connect()
            writer.write(b"".join(Frame(target, source, b"").encode() for target, source in frames))
            assert await reader.read() == b"", "the connection is closed"
        assert [line["reason"] for line in now.lines()] == [reason]

    run(test)


def test_a_liar_takes_nothing_from_a_device_that_is_connected(tmp_path: Path) -> None:
    """Its id in another connection's hello ends neither its session nor its connection."""

    async def test() -> None:
        async with running(tmp_path) as now:
            streams, device = await now.connect(), Device(10)
            assert await device.ask(streams, 0) == 0
            liar = await now.connect()
            assert await Device.clone(10).ask(liar, 0) == -1
            assert await device.ask(streams, 1) == 1, "on the connection that it had"
        failed = [line for line in now.lines() if line["event"] == "failed"]
        assert [line["reason"] for line in failed] == [
            "the certificate is refused: not the key of a device that is accepted"
        ]

    run(test)


def test_a_device_that_proves_itself_elsewhere_leaves_its_old_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            old = await now.connect()
            assert await Device(10).ask(old, 0) == 0
            new = await now.connect()
            assert await Device(10, entropy=b"second boot").ask(new, 0) == 0
            await old[0].read()  # to its end
        reasons = [line["reason"] for line in now.lines() if line["event"] == "disconnected"]
        assert reasons[0] == "the device has a newer connection"

    run(test)


def test_the_oldest_that_proved_nothing_makes_room(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(connections=4, grace=0.0)) as now:
            proved = await now.connect()
            assert await Device(10).ask(proved, 0) == 0
            silent = []
            for count in range(2, 5):
                silent.append(await now.connect())
                await now.until(lambda count=count: now.service.shown()["connections"] == count)
            assert await now.register(11) == 0
            assert await silent[0][0].read() == b"", "the first of the silent ones had to go"
            assert await Device(10, entropy=b"again").ask(proved, 1) == 1, "the one that proved itself had not"

    run(test)


def test_when_all_are_too_new_to_go_a_newcomer_waits(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(connections=2, grace=3_600.0)) as now:
            holding = [await now.connect() for _ in range(2)]
            await now.until(lambda: now.service.shown()["connections"] == 2)
            waiting = asyncio.create_task(now.register(10))
            for _ in range(200):
                await asyncio.sleep(0)
            assert not waiting.done() and set(now.service._connections) == {1, 2}
            holding[0][1].close()
            assert await waiting == 0

    run(test)


def test_a_hundred_silent_ones_do_not_fill_the_house(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(connections=20, grace=0.0)) as now, siege(now.path, 100, ("hold",)):
            assert await asyncio.gather(*(now.register(i) for i in IDS)) == [0] * 16

    run(test)


def test_an_idle_connection_is_closed_if_that_is_wanted(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(idle=0.05)) as now:
            reader, writer = await now.connect()
            writer.write(Frame(1, 10, b"junk is no progress").encode())
            assert await reader.read() == b""
        assert [line["reason"] for line in now.lines()] == ["idle for too long"]

    run(test)


def test_a_device_that_asks_too_often_waits_and_is_not_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(sessions_burst=1, sessions_rate=1e-6)) as now:
            streams, device = await now.connect(), Device(10)
            assert await device.ask(streams, 0) == 0
            asking = asyncio.create_task(device.ask(streams, 0))
            await now.until(lambda: now.service.figures.counters["paced"] > 0)
            assert await now.register(11) == 0, "others do not wait"
            assert not asking.done()
            asking.cancel()

    run(test)


def test_what_proves_a_device_uses_nothing_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, Limits(sessions_burst=1_000, rate=1e-6)) as now:
            streams, device = await now.connect(), Device(10)
            assert [await device.ask(streams, 0) for _ in range(4)] == [0] * 4
            assert now.service.figures.counters["paced"] == 0

    run(test)


def test_a_client_that_does_not_read_is_closed(tmp_path: Path) -> None:
    async def test() -> None:
        limits = Limits(write=0.05, burst=1e9)
        async with running(tmp_path, limits) as now:
            _, writer = await now.connect()
            hello = Device(10).hello()
            with pytest.raises(OSError):
                while True:
                    writer.write(hello * 100)
                    await writer.drain()
            assert await now.register(10) == 0
        assert "the client does not read what it is sent" in [line.get("reason") for line in now.lines()]

    run(test)


# --- what cannot be kept ----------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            assert await now.register(10) == 0
            (pages,) = now.store.database.execute("PRAGMA page_count").fetchone()
            now.store.database.execute(f"PRAGMA max_page_count = {pages}")
            # Rows until not one more fits.
            with contextlib.suppress(StoreError):
                for device in range(1_000, 20_000):
                    with now.store._change():
                        row = (device, "serial", "fingerprint", "since", "until")
                        now.store.database.execute("INSERT INTO registered VALUES (?, ?, ?, ?, ?)", row)
            assert await now.register(11) == -1
            assert 10 in [row.device for row in now.store.registrations()]
            now.store.database.execute("PRAGMA max_page_count = 100000")
            assert await now.register(11) == 0
        refusal = next(line for line in now.lines() if line["event"] == "not-kept")
        assert refusal["devices"] == [11] and refusal["reason"].endswith("is full: make room on the disk")

    run(test)


def test_a_locked_database_refuses_and_the_service_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            assert await now.register(10) == 0
            other = sqlite3.connect(now.store.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            assert await now.register(11) == -1
            assert await now.register(10, op=1) == -1
            other.execute("ROLLBACK")
            other.close()
            assert [row.device for row in now.store.registrations()] == [10]
            assert await now.register(10, op=1) == 1, "the refusal did not change what the server holds"
        assert "another program holds it" in next(line["reason"] for line in now.lines() if line["event"] == "not-kept")

    run(test)


def test_a_database_that_cannot_be_written_refuses(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            now.store.database.execute("PRAGMA query_only = 1")
            assert await now.register(10) == -1
            now.store.database.execute("PRAGMA query_only = 0")
            assert await now.register(10) == 0

    run(test)


def test_what_is_decided_while_the_disk_is_busy_is_one_write(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, busy=60_000) as now:
            changes: list[str] = []
            now.store.database.set_trace_callback(changes.append)
            other = sqlite3.connect(now.store.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            first = asyncio.create_task(now.register(10))
            await now.until(lambda: "BEGIN IMMEDIATE" in changes)
            asking = [asyncio.create_task(now.register(device)) for device in IDS[1:]]
            await now.until(lambda: len(now.service._undecided) == 15)
            other.execute("ROLLBACK")
            other.close()
            assert await asyncio.gather(first, *asking) == [0] * 16
            assert changes.count("COMMIT") == 2
            assert [row.device for row in now.store.registrations()] == list(IDS)

    run(test)


def test_others_are_served_while_the_disk_is_slow(tmp_path: Path) -> None:
    """A decision that waits for a lock holds up its own device, and the commands, but no handshake."""

    async def test() -> None:
        async with running(tmp_path, busy=60_000) as now:
            other = sqlite3.connect(now.store.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(now.register(10))
            await now.until(lambda: now.service.figures.counters["sessions_proved"] == 1)
            assert await Device.clone(11).ask(await now.connect(), 0) == -1
            assert not waiting.done()
            other.execute("ROLLBACK")
            other.close()
            assert await waiting == 0

    run(test)


# --- time, restarts, removal ------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            assert await now.register(10) == 0
            now.date[0] -= timedelta(days=300)
            assert await now.register(11) == 0
            now.date[0] = datetime(1970, 1, 1, tzinfo=UTC)
            assert await now.register(12) == -1
            now.date[0] = datetime(2026, 5, 1, 13, tzinfo=UTC)
            assert await now.register(12) == 0, "nobody is locked out once the clock is right again"
            since = {row.device: row.since for row in now.store.registrations()}
            assert since[11] < since[10] < since[12]
        assert "not yet valid" in next(line["reason"] for line in now.lines() if line["event"] == "failed")

    run(test)


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as first:
            assert await first.register(10) == 0
            await first.service.revoke(11)
            before, authority = first.store.registrations(), first.store.authority()
        async with running(tmp_path) as second:
            assert (second.store.registrations(), second.store.authority()) == (before, authority)
            assert await second.register(11) == -1
            assert await second.register(10, op=1) == 1

    run(test)


def test_revoking_a_device_that_is_connected(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            streams = await now.connect()
            assert await Device(10).ask(streams, 0) == 0
            assert await now.service.revoke(10)
            await streams[0].read()
            assert now.store.registrations() == []
            assert await now.register(10) == -1
            assert not await now.service.revoke(10)
        failed = next(line for line in now.lines() if line["event"] == "failed")
        assert failed["reason"].endswith("(the device was removed)")

    run(test)


def test_revoking_while_a_registration_is_being_kept(tmp_path: Path) -> None:
    """The removal wins, whichever is on the disk first."""

    async def test() -> None:
        async with running(tmp_path, busy=60_000) as now:
            other = sqlite3.connect(now.store.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            asking = asyncio.create_task(now.register(10))
            await now.until(lambda: now.service.figures.counters["sessions_proved"] == 1)
            revoking = asyncio.create_task(now.service.revoke(10))
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
            other.close()
            await asyncio.gather(asking, revoking)
            assert now.store.registrations() == [] and now.service.shown()["registered"] == 0

    run(test)


def test_no_secret_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor master secrets, in hex or as they are, whatever happens."""
    secrets: list[bytes] = [DEPLOYMENT.seds[10].key, DEPLOYMENT.seds[10].boot_seed]
    flush, decide = sss.Sss._flush, sss.Sss._decide

    def flushed(self: sss.Sss, wire: int) -> None:
        session = self._wires[wire].session
        if isinstance(session, Session):
            secrets.extend(master for _, master in session.secrets)
        flush(self, wire)

    def decided(self: sss.Sss, *arguments: object) -> object:
        response = decide(self, *arguments)  # type: ignore[arg-type]
        secrets.append(response.key)
        return response

    monkeypatch.setattr(sss.Sss, "_flush", flushed)
    monkeypatch.setattr(sss.Sss, "_decide", decided)

    async def test() -> None:
        async with running(tmp_path) as now, siege(now.path, 26):
            assert await now.register(10) == 0
            assert await now.register(10, op=1) == 1
        now.lines()
        authority = now.store.path.read_bytes()
        kept = [secret for secret in secrets if secret]
        assert len(kept) >= 5 and kept[0] not in authority
        log = now.log.getvalue()
        for secret in kept:
            assert secret.hex() not in log.lower() and repr(secret)[2:-1] not in log
            assert secret[7:39].hex() not in log.lower()

    run(test)
