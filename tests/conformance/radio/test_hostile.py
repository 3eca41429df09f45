"""Whatever a client of the radio does, two SEDs that mean well hear each other; what is lost is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from air import air, run
from hostile import HELLO, KINDS, frame

from conformance.radio import hub as hub_module
from reference.sed.words import Message
from reference.service.listen import Address, listen


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_two_talk_beside_hostile_clients(tmp_path: Path, kind: str) -> None:
    async def test() -> None:
        async with air(tmp_path, rate=262_144) as now:
            ten, eleven = [await now.sed(number) for number in (10, 11)]
            kinds = list(KINDS.values()) if kind == "all" else [KINDS[kind]] * 4
            hostile = [asyncio.create_task(one(*await now.antenna())) for one in kinds]  # type: ignore[arg-type]
            try:
                for number in range(3):
                    message = bytes([number]) * 5_000
                    await ten.send(11, message)
                    assert await eleven.wait() == Message(10, message)
            finally:
                for task in hostile:
                    task.cancel()
                await asyncio.gather(*hostile, return_exceptions=True)
            assert now.hub.counts["internal_errors"] == 0

    run(test)


def test_a_reset_is_the_end_of_one_antenna(tmp_path: Path) -> None:
    """Over TCP, where it is one."""

    async def test() -> None:
        async with air(tmp_path) as now:
            listener = listen(Address(host="127.0.0.1"))
            server = await asyncio.start_server(now.hub.welcome, sock=listener)
            streams = await asyncio.open_connection(*listener.getsockname())
            await now.until(lambda: now.hub.accepted == 1)
            await KINDS["reset"](*streams)
            await now.until(lambda: not now.hub.shown()["antennas"])
            server.close()
            assert now.hub.counts["internal_errors"] == 0
        (line,) = [line for line in now.lines() if line["event"] == "disconnected"]
        assert line["reason"] == "the connection broke (Connection reset by peer)"

    run(test)


def test_a_listener_that_does_not_read_is_remembered_a_little_and_no_more(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path) as now:
            await KINDS["silent"](*await now.antenna())
            (_, writer) = await now.antenna()
            await now.until(lambda: len(now.hub.shown()["antennas"]) == 2)
            for _ in range(4_000):
                writer.write(frame(10, 11, bytes(1_000)))
                await writer.drain()
            await now.until(lambda: now.hub.shown()["counts"].get("sent") == 4_000)
            silent = now.hub.shown()["antennas"][0]
            assert silent["waiting_bytes"] <= hub_module._WAIT
            kept = silent["waiting_bytes"] // 1_008 + silent.get("heard", 0)
            assert silent["lost_for_it"] >= 4_000 - kept - 1 > 3_000

    run(test)


def test_beside_a_flood_each_speaker_has_its_turn(tmp_path: Path) -> None:
    """What waits from the one is not before what comes from the other."""

    async def test() -> None:
        async with air(tmp_path) as now:
            listener = (await now.antenna())[0]
            (_, flood), (_, other) = await now.antenna(), await now.antenna()
            await now.until(lambda: len(now.hub.shown()["antennas"]) == 3)
            listener._transport.pause_reading()  # type: ignore[attr-defined]
            flood.write(frame(10, 66, bytes(1_000)) * 1_000)
            await now.until(lambda: now.hub.shown()["counts"].get("sent") == 1_000)
            other.write(frame(10, 67, b"mine"))
            await now.until(lambda: now.hub.shown()["counts"].get("sent") == 1_001)
            waited = now.hub.shown()["antennas"][0]["waiting_bytes"] // 1_008
            assert waited > 50
            listener._transport.resume_reading()  # type: ignore[attr-defined]
            heard = 0
            while (head := await listener.readexactly(8))[4:6] != (67).to_bytes(2, "little"):
                await listener.readexactly(int.from_bytes(head[6:], "little"))
                heard += 1
            assert heard < waited, "behind what the kernel had already, not behind all that waited here"

    run(test)


def test_one_more_antenna_costs_the_quietest(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path, most=2) as now:
            (quiet, _), (_, speaker) = await now.antenna(), await now.antenna()
            speaker.write(HELLO)
            assert await quiet.readexactly(len(HELLO)) == HELLO
            (newest, _) = await now.antenna()
            assert await quiet.read() == b""
            await now.until(lambda: len(now.hub.shown()["antennas"]) == 2)
            speaker.write(HELLO)
            assert await newest.readexactly(len(HELLO)) == HELLO
        reasons = [line.get("reason") for line in now.lines() if line["event"] == "disconnected"]
        assert reasons[0] == "it makes room for a newer one"

    run(test)


def test_an_antenna_may_send_so_much_and_no_more(tmp_path: Path) -> None:
    """At a byte a second, the second frame waits for a quarter of an hour."""

    async def test() -> None:
        async with air(tmp_path, rate=1) as now:
            (_, writer) = await now.antenna()
            writer.write(frame(10, 11, bytes(1_000)) * 10)
            await now.until(lambda: now.hub.shown()["counts"].get("sent", 0) >= 1)
            for _ in range(1_000):
                await asyncio.sleep(0)
            assert now.hub.shown()["counts"]["sent"] == 1

    run(test)


def test_who_lies_about_ids_fills_no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from conformance import faults
    from conformance.wire.handshake import Fragment, HandshakeType
    from conformance.wire.records import DTLS_1_2, ContentType, Record

    monkeypatch.setattr(faults, "_MOST_PAIRS", 10)
    fragment = Fragment(HandshakeType.CLIENT_HELLO, 1, 0, 0, b"x").encode()
    hello = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 0, fragment).encode()
    traffic = faults.Traffic()
    for source in range(100):
        traffic.content(source, 200, hello)
    assert len(traffic._clients) <= 10 and traffic._clients[99, 200]
