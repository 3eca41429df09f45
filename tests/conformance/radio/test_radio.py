"""SEDs, a radio and an SSS through real sockets: who hears whom, each fault, a man in the middle."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest
from air import DEPLOYMENT, air, run
from hostile import frame
from wires import running

from conformance.faults import Fault
from conformance.radio import Middle, RadioError
from conformance.wire.frames import Frame
from model.alphabet import DEREGISTER, REGISTER
from reference.sed.words import LinkGone, Message, Refused, TimedOut
from reference.service.listen import Address


def test_register_talk_both_ways_deregister(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, deployment=DEPLOYMENT) as sss, air(tmp_path) as now:
            ten, eleven = [await now.sed(number, sss.path) for number in (10, 11)]
            await asyncio.gather(ten.request(REGISTER), eleven.request(REGISTER))
            assert ten.controller.registered and [row.device for row in sss.store.registrations()] == [10, 11]
            await ten.send(11, b"there")
            assert await eleven.wait() == Message(10, b"there")
            await eleven.send(10, b"and back" * 2_000)
            assert await ten.wait(source=11) == Message(11, b"and back" * 2_000)
            await ten.send(11, b"")
            assert await eleven.wait() == Message(10, b"")
            await ten.request(DEREGISTER)
            assert not ten.controller.registered
            with pytest.raises(Refused, match="the SSS: it did not grant the request"):
                await ten.request(DEREGISTER)
            with pytest.raises(Refused, match="SED 11: the other side's certificate is refused: of another authority"):
                await ten.send(11, b"of another authority now (CRT-9)")
            assert now.hub.shown()["counts"]["sent"] == now.hub.shown()["counts"]["heard"] > 20

    run(test)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("lose", flight=2, by=11, to=10),
        Fault("lose", flight=5, nth=1, by=10),
        Fault("duplicate", flight=4),
        Fault("duplicate", record="data", nth=2),
        Fault("cut", flight=1),
        Fault("delay", flight=3, ms=40),
    ],
    ids=lambda fault: f"{fault.action}-{fault.flight or fault.record}",
)
def test_a_fault_strikes_once_and_the_message_arrives(tmp_path: Path, fault: Fault) -> None:
    """Its first timeout is 300 ms here, so that what is lost is soon repeated."""
    message = bytes(range(250)) * 10

    async def test() -> None:
        async with air(tmp_path, fault) as now:
            ten, eleven = [await now.sed(number, first_timeout=300) for number in (10, 11)]
            await ten.send(11, message)
            assert await eleven.wait() == Message(10, message)
            assert now.hub.medium.struck == [1] or (fault.flight in (4, 5) and fault.action != "cut")
            assert now.hub.medium.struck[0] >= 1
            counts = now.hub.shown()["counts"]
            fates = {"lose": "lost", "duplicate": "duplicate", "cut": "cut", "delay": "delayed", "swap": "swapped"}
            assert counts[fates[fault.action]] == now.hub.medium.struck[0]

    run(test)


@pytest.mark.parametrize("action", ["lose", "swap", "cut", "delay"])
def test_a_record_that_is_missing_costs_the_message_and_not_the_next(tmp_path: Path, action: str) -> None:
    """SES-8: whole or not at all."""

    async def test() -> None:
        async with air(tmp_path, Fault(action, record="data", nth=2, ms=5)) as now:
            ten, eleven = await now.sed(10), await now.sed(11)
            await ten.send(11, bytes(3_000))
            broken = await now.seds[11].until("session")
            assert broken.fields["how"] == "broken" and broken.fields["why"] == "records are missing"
            await ten.send(11, b"whole")
            assert await eleven.wait() == Message(10, b"whole")
            assert now.hub.medium.struck == [1]

    run(test)


def test_a_fault_is_of_one_link(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path, Fault("lose", flight=1, by=10, to=12, times=99)) as now:
            ten, eleven, twelve = [await now.sed(number) for number in (10, 11, 12)]
            await ten.send(11, b"not struck")
            await twelve.send(10, b"nor this")
            assert await eleven.wait() == Message(10, b"not struck") and await ten.wait() == Message(12, b"nor this")
            with pytest.raises(TimedOut, match=r"not done within 0\.05 s; it may still come about"):
                await ten.send(12, b"struck", timeout=0.05)
            assert now.hub.medium.struck == [1]

    run(test)


def test_who_hears_what(tmp_path: Path) -> None:
    """FRM-3 and FRM-5 are the controllers' business: all others hear every frame, whoever it is for."""

    async def test() -> None:
        async with air(tmp_path) as now:
            ten, eleven = await now.sed(10), await now.sed(11)
            (faa, says), (other, _) = await now.antenna(), await now.antenna()
            says.write(frame(0, 2, b"to all") + b"junk" + frame(10, 2, b"to ten"))
            assert await ten.wait() == Message(2, b"to all") and await ten.wait() == Message(2, b"to ten")
            assert await eleven.wait() == Message(2, b"to all")
            await ten.send(2, b"to the FAA")
            assert await faa.readexactly(18) == frame(2, 10, b"to the FAA")
            both = frame(0, 2, b"to all") + frame(10, 2, b"to ten") + frame(2, 10, b"to the FAA")
            assert await other.readexactly(len(both)) == both
            assert now.hub.shown()["counts"]["junk_bytes"] == 4

    run(test)


def test_with_echo_whoever_sends_hears_itself(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path, echo=True) as now:
            ten, eleven = await now.sed(10), await now.sed(11)
            own, says = await now.antenna()
            says.write(frame(0, 7, b"x"))
            assert await own.readexactly(9) == frame(0, 7, b"x")
            await ten.send(11, b"heard by both")
            assert await eleven.wait() == Message(10, b"heard by both")

    run(test)


def test_a_man_in_the_middle(tmp_path: Path) -> None:
    """He drops a hello, damages a record, and speaks as the FAA; when he leaves, what he holds goes on."""

    def middle() -> list[str]:
        seen = []
        with Middle(f"unix:{tmp_path}/control", timeout=30) as man:
            man.inject(Frame(0, 2, b"by nobody"))
            for caught in man:
                seen.append(caught.what)
                if len(seen) == 1:
                    man.drop(caught)
                elif caught.what.startswith("data #2"):
                    damaged = caught.frame.payload[:-1] + bytes([caught.frame.payload[-1] ^ 1])
                    man.change(caught, Frame(caught.target, caught.source, damaged))
                elif caught.what.startswith("data #3"):
                    assert (caught.source, caught.target) == (10, 11) and man.status()["held_frames"] >= 1
                    return seen
                else:
                    man.let_pass(caught)
        raise AssertionError("no end")

    async def test() -> None:
        async with air(tmp_path) as now:
            ten, eleven = [await now.sed(number, first_timeout=300) for number in (10, 11)]
            working = asyncio.create_task(asyncio.to_thread(middle))
            assert await eleven.wait() == Message(2, b"by nobody")
            await now.until(lambda: bool(now.control.shown()["man_in_the_middle"]))
            await ten.send(11, bytes(3_000))
            broken = await now.seds[11].until("session")
            assert broken.fields["how"] == "broken"
            seen = await working
            assert seen[:4] == ["ClientHello", "ClientHello", "HelloVerifyRequest", "ClientHello with cookie"]
            await now.until(lambda: not now.control.shown()["man_in_the_middle"])
            await ten.send(11, b"he has left")
            assert await eleven.wait() == Message(10, b"he has left")
            counts = now.hub.shown()["counts"]
            assert counts["middle_drop"] == counts["middle_change"] == counts["injected"] == 1

    run(test)


def test_a_man_in_the_middle_who_sleeps_holds_nothing_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path, hold=0.01) as now:
            ten, eleven = await now.sed(10), await now.sed(11)
            with await asyncio.to_thread(Middle, f"unix:{tmp_path}/control") as man:
                await asyncio.to_thread(man.intercept)
                await ten.send(11, b"slowly")
                assert await eleven.wait() == Message(10, b"slowly")
                first = await asyncio.to_thread(man.next)
                await asyncio.to_thread(man.drop, first)
                with pytest.raises(
                    RadioError, match=r"no frame 1 waits: it was decided about, or had waited for 0.01 s"
                ):
                    while True:
                        await asyncio.to_thread(man.next)

    run(test)


def test_the_last_words_of_a_man_in_the_middle_count(tmp_path: Path) -> None:
    """He leaves, and the radio tells him of one more frame before it has read what he said."""

    async def test() -> None:
        async with air(tmp_path) as now:
            (reader, _), (_, writer) = await now.antenna(), await now.antenna()
            man = await asyncio.to_thread(Middle, f"unix:{tmp_path}/control", 30)
            await asyncio.to_thread(man.intercept)
            writer.write(frame(11, 10, b"as it was"))
            first = await asyncio.to_thread(man.next)
            man.change(first, Frame(11, 10, b"changed"))
            man.inject(Frame(11, 2, b"injected"))
            leaving = threading.Thread(target=man.close)
            leaving.start()
            leaving.join(0.1)  # as long as this test, and with it the radio, does nothing, he cannot have left in peace
            now.hub.offer(2, Frame(11, 10, b"one more"))
            assert await reader.readexactly(15) == frame(11, 10, b"changed")
            assert await reader.readexactly(16) == frame(11, 2, b"injected")
            assert await reader.readexactly(16) == frame(11, 10, b"one more")
            await asyncio.to_thread(leaving.join)

    run(test)


def test_the_second_port_says_what_it_does_not_understand(tmp_path: Path) -> None:
    lines = {
        b"\n": "a command is a line of JSON",
        b"[1]\n": "a command is a line of JSON",
        b'{"do": "fly"}\n': "there is no command 'fly': status, faults,",
        b'{"do": "pass", "frame": 1}\n': 'first say {"do": "intercept"}',
        b'{"do": "inject", "hex": "zz"}\n': "`hex` is one whole frame in hexadecimal",
        b'{"do": "inject", "hex": "53430a000b000200ff"}\n': "`hex` is one whole frame in hexadecimal",
        b'{"do": "faults"}\n': "a schedule is a list `faults`",
        b'{"do": "faults", "faults": [{"do": "loose"}]}\n': "no fault 'loose'; did you mean lose?",
        b'{"do": "faults", "faults": [{"do": "lose", "flight": 7}]}\n': "`flight` is 1 to 6, not 7",
    }

    async def test() -> None:
        async with air(tmp_path) as now:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control"))
            for line, says in lines.items():
                writer.write(line)
                assert says in json.loads(await reader.readline())["error"], line
            writer.write(b'{"do": "faults", "faults": [{"do": "lose", "flight": 1, "to": 11}]}\n')
            assert await reader.readline() == b'{"done": "faults", "entries": 1}\n'
            assert now.hub.medium.faults == [Fault("lose", flight=1, to=11)]
            writer.close()

    run(test)


def test_the_radio_goes_and_comes_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path) as first:
            ten = await first.sed(10)
            (sed, seds) = first.seds[10], first.seds
            first.seds = {}  # it outlives this radio
        gone = await sed.until("link", up=False)
        assert gone.words().startswith(f"the radio is not there (unix:{tmp_path}/radio): ")
        with pytest.raises(LinkGone, match=r"the radio at unix:.*/radio is not there: "):
            await ten.send(11, b"x", patience=0.02)
        with pytest.raises(LinkGone):
            await ten.wait(patience=0)
        async with air(tmp_path) as second:
            second.seds = seds
            eleven = await second.sed(11)
            await ten.send(11, b"there again", patience=None)
            assert await eleven.wait() == Message(10, b"there again")

    run(test)


def test_a_cpu_that_is_faster_than_the_air_waits(tmp_path: Path) -> None:
    """SED 12 is not there: the first message takes 165 s, and the others are not collected meanwhile."""

    async def test() -> None:
        async with air(tmp_path) as now:
            ten = await now.sed(10)
            await ten.serve_cpu(Address(path=str(tmp_path / "cpu")))
            _, cpu = await asyncio.open_unix_connection(str(tmp_path / "cpu"))
            cpu.write(frame(12, 10, bytes(16_384)) * 50)
            await now.until(lambda: ten.controller.unread > 0)
            for _ in range(500):
                await asyncio.sleep(0)
            assert ten.controller.unread == 16_392, "the header of one is read, and its body waits (SES-5)"
            cpu.transport.abort()

    run(test)


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with air(tmp_path) as now:
            ten = await now.sed(10)
            for to, payload, says in (
                (10, b"", "not to 10, from 10"),
                (1, b"", "a message goes to a SED"),
                (65_536, b"", "a message goes to a SED"),
                (11, bytes(16_385), "at most 16,384 bytes, not 16,385"),
            ):
                with pytest.raises(ValueError, match=says):
                    await ten.send(to, payload)
            with pytest.raises(LinkGone, match="this SED was given no SSS"):
                await ten.request(REGISTER)
            with pytest.raises(TimedOut, match=r"no message from 11 within 0\.01 s"):
                await ten.wait(11, timeout=0.01)

    run(test)
