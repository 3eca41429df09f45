"""No secret outlives its use: all SRAM is read through QEMU's monitor and searched (CRT-4, REG-6).

Searched for are private keys, master secrets and record keys, in any byte order: eight bytes in a row are a find. The
random generator's state, which must stay, is not searched for, and premaster secrets are not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench import DEPLOYMENT, LOW, ME, PEER, Bench, build, change
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from conformance.targets.qemu import QemuTarget
from conformance.wire.secrets import SUITES, prf
from model.alphabet import Link
from reference.controller import Controller
from reference.frame import Frame
from reference.registration import DEREGISTER, REGISTER, Request, Response
from reference.sss import Sss

SRAM, SRAM_SIZE = 0x2000_0000, 0x10000
WINDOW = 8
"""Bytes in a row that count as a find. By chance eight known bytes are in 64 KB once in 2^48 searches."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SUITE = SUITES[0xC02C]
PAINT = bytes.fromhex("ac57fe5a")
"""Word of SRAM that nothing has used (`memory.c`)."""
STACK = range(0x100, 0x1100)
"""Where the stack lies in SRAM."""
MAIN = 256
"""Bytes at its top that `main` may hold, with what it sleeps in and what takes bytes from the links."""


def scalar(der: bytes) -> bytes:
    """The private scalar of an EC key in DER, 32 bytes, big endian."""
    key = load_der_private_key(der, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def orders(secret: bytes) -> tuple[bytes, ...]:
    """As it is, backwards, and with the bytes of each word backwards."""
    words = b"".join(secret[i : i + 4][::-1] for i in range(0, len(secret), 4))
    return secret, secret[::-1], words, words[::-1]


def holds(memory: bytes, secret: bytes) -> bool:
    """Whether eight bytes in a row of a secret are in memory, in any order of bytes."""
    return any(s[i : i + WINDOW] in memory for s in orders(secret) for i in range(len(s) - WINDOW + 1))


def test_the_search_finds_what_is_there() -> None:
    secret = bytes(range(32))
    for found in (secret[5:13], secret[::-1][24:], bytes([3, 2, 1, 0, 7, 6, 5, 4])):
        assert holds(bytes(100) + found + bytes(100), secret)
    assert not holds(bytes(100) + secret[:7] + bytes(100) + secret[7:14], secret)


@dataclass
class Watched(Bench):
    """A bench that keeps all secrets of its firmware by name, as far as others know them."""

    runtime_keys: list[bytes] = field(default_factory=list)
    """Scalars of the runtime keys, in the order of registrations."""
    ephemeral_keys: list[bytes] = field(default_factory=list)
    """Scalars of ECDH keys that `note_ephemeral_key` found."""
    answer: Callable[[Response], bytes] = Response.encode
    """What the SSS says."""
    _hellos: dict[bytes, bytes] = field(default_factory=dict)
    """Server random by client random."""
    _masters: dict[bytes, bytes] = field(default_factory=dict)
    _client_random: bytes = b""

    def __post_init__(self) -> None:
        self.lose = self.listen
        self.sss = Sss(DEPLOYMENT, seed=b"secrets", respond=self.respond)
        self.sss.connect(0)

    def respond(self, response: Response) -> bytes:
        if response.key and response.dev_id == ME:
            self.runtime_keys.append(scalar(bytes(response.key)))
        return self.answer(response)

    def listen(self, frame: Frame) -> bool:
        """Note the randoms of hellos; nothing is lost."""
        kind = frame.payload[13] if frame.payload[0] == 22 and frame.payload[4] == 0 else 0
        random = frame.payload[27:59]
        if kind == 1:
            self._client_random = random
        elif kind == 2:
            self._hellos[self._client_random] = random
        return False

    def request(self, op: int) -> None:
        self.cpu(1, Request(ME, op).encode())

    def register_peers(self) -> None:
        for peer in self.peers:
            self.peer_cpu(peer, 1, Request(peer, REGISTER).encode())
            assert self.peers[peer].registered

    def note_ephemeral_key(self) -> None:
        """Find the ECDH key of the handshake that the firmware serves: which 32 bytes make the point that it sent?"""
        sent = b"".join(frame.payload for frame in self.radio)
        point = sent[sent.rindex(b"\x03\x00\x17\x41\x04") + 4 :][
            :65
        ]  # named curve, P-256, uncompressed (RFC 8422, 5.4)
        memory = self.memory()
        for at in range(0, SRAM_SIZE - 32, 4):
            candidate = int.from_bytes(memory[at : at + 32], "little")
            if 1 << 200 < candidate < P256_ORDER:
                made = derive_private_key(candidate, SECP256R1()).public_key()
                if made.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) == point:
                    self.ephemeral_keys.append(candidate.to_bytes(32, "big"))
                    return
        raise AssertionError("the key of the handshake is not in SRAM")

    def memory(self) -> bytes:
        return self.target.memory(SRAM, SRAM_SIZE)

    def secrets(self) -> dict[str, bytes]:
        """All that there have been, and the provisioning key."""
        nodes: list[Controller | Sss] = [*self.peers.values(), *([self.sss] if self.sss else [])]
        for node in nodes:
            self._masters.update((r, m) for r, m in node.secrets() if r in self._hellos)  # others talk too
        found = {"provisioning key": scalar(DEPLOYMENT.seds[ME].key)}
        found |= {f"runtime key {n}": key for n, key in enumerate(self.runtime_keys)}
        found |= {f"ephemeral key {n}": key for n, key in enumerate(self.ephemeral_keys)}
        for number, (client_random, master) in enumerate(self._masters.items()):
            found[f"master secret {number}"] = master
            n = SUITE.key_size
            seed = self._hellos[client_random] + client_random
            block = prf(SUITE.hash_name, master, b"key expansion", seed, 2 * n)
            found[f"client's key {number}"], found[f"server's key {number}"] = block[:n], block[n:]
        return found

    def found(self) -> set[str]:
        """Names of the secrets that are in SRAM now."""
        memory = self.memory()
        return {name for name, secret in self.secrets().items() if holds(memory, secret)}


def watch(elf: Path) -> Watched:
    bench = Watched(QemuTarget(elf), {i: Controller(DEPLOYMENT.image(i)) for i in (LOW, PEER)})
    bench.boot()
    return bench


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def bench(elf: Path) -> Iterator[Watched]:
    made = watch(elf)
    yield made
    made.target.close()


def register(bench: Watched) -> None:
    """Register, and see that the CPU was told so."""
    before = len(bench.heard)
    bench.request(REGISTER)
    assert [f.payload for f in bench.heard[before:]] == [Request(ME, REGISTER).encode()]


def talk(bench: Watched) -> None:
    """A message each way."""
    bench.cpu(PEER, b"a message" * 300)
    bench.peer_cpu(LOW, ME, b"an answer" * 300)
    assert bench.heard[-1].payload == b"an answer" * 300


def register_talk_and_leave(bench: Watched) -> None:
    """Raises AssertionError at the first secret that is where it should not be."""
    assert bench.found() == set(), "after boot"
    register(bench)
    assert bench.found() == {"runtime key 0"}, "registered, and needed for the next session"
    bench.register_peers()
    talk(bench)
    assert bench.found() == {"runtime key 0"}, "after sessions as client and as server"
    bench.request(DEREGISTER)
    assert bench.heard[-1].payload == Request(ME, DEREGISTER).encode()
    assert bench.found() == set(), "deregistered"
    bench.request(REGISTER)
    bench.request(DEREGISTER)  # no message has overwritten the response
    assert bench.found() == set(), "deregistered at once"
    assert sum("master" in name for name in bench.secrets()) >= 4
    assert unclear(bench) == 0, "after everything, words of the stack"


def unclear(bench: Watched) -> int:
    """Words of the stack that hold something, although everything that used them has returned."""
    stack = bench.memory()[STACK.start : STACK.stop - MAIN]
    return sum(stack[i : i + 4] not in (PAINT, bytes(4)) for i in range(0, len(stack), 4))


def test_nothing_is_left_after_registration_sessions_and_deregistration(bench: Watched) -> None:
    register_talk_and_leave(bench)


# --- sessions that end in other ways ---------------------------------------------------------------------------------


def stop_at(bench: Watched, last: Callable[[Frame], bool]) -> None:
    """From the first frame for which `last` says so on, all frames are lost."""
    gone = False

    def lose(frame: Frame) -> bool:
        nonlocal gone
        gone = gone or last(frame)
        return bench.listen(frame) or gone

    bench.lose = lose


def is_data(frame: Frame) -> bool:
    return frame.payload[0] == 23


def is_handshake(number: int) -> Callable[[Frame], bool]:
    """A plaintext handshake message of this type comes first in the datagram."""
    return lambda f: f.payload[0] == 22 and f.payload[4] == 0 and f.payload[13] == number


SERVER_HELLO, CERTIFICATE, CLIENT_KEY_EXCHANGE = 2, 11, 16


def test_a_session_that_hangs_holds_its_secrets_until_it_is_closed(bench: Watched) -> None:
    """The search would find them: while the session lasts, they are there."""
    count = 0

    def third_record(frame: Frame) -> bool:
        nonlocal count
        count += is_data(frame)
        return count == 3

    stop_at(bench, third_record)
    bench.peer_cpu(PEER, ME, bytes(5_000))
    alive = bench.found()
    assert unclear(bench) == 0, "in the middle of a session, asleep"
    assert {"provisioning key", "master secret 0"} <= alive, alive
    bench.advance(60_000)
    assert bench.deadline is None
    assert bench.found() == set()


def test_a_hanging_registration_forgets_the_key_that_had_come(bench: Watched) -> None:
    """The response is cut off behind the key's first half."""
    bench.answer = lambda response: response.encode()[:-80]
    bench.request(REGISTER)
    assert "runtime key 0" in bench.found(), "half of it came"
    bench.advance(60_000)
    assert bench.heard[-1].payload == Request(ME, -1).encode()
    assert bench.found() == set()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_handshake_that_is_given_up(bench: Watched, role: str) -> None:
    """As a client after 165 s without flight 6, as a server without flight 5."""
    stop_at(bench, is_handshake(CERTIFICATE))  # flight 5 begins with it
    if role == "client":
        bench.cpu(PEER, b"never there")
    else:
        bench.peer_cpu(PEER, ME, b"never there")
        bench.note_ephemeral_key()
    assert "provisioning key" in bench.found()
    bench.advance(400_000)
    assert bench.deadline is None
    assert bench.found() == set()


def test_a_handshake_that_is_pre_empted(bench: Watched) -> None:
    stop_at(bench, is_handshake(CERTIFICATE))
    bench.peer_cpu(PEER, ME, b"never there")
    bench.note_ephemeral_key()
    assert {"provisioning key", "ephemeral key 0"} <= bench.found()
    bench.target.advance(7_000)  # ADV-1; the peer's clock stands
    bench.cpu(0, b"another protocol")  # FRM-6: dropped, but it pre-empts
    assert bench.target.advance(0).deadline is None
    assert bench.found() == set()


def test_a_handshake_that_is_refused(bench: Watched) -> None:
    """The peer is registered and we are not: it refuses our certificate, and we its (CRT-9)."""
    bench.register_peers()
    bench.cpu(PEER, b"to a stranger")
    bench.peer_cpu(LOW, ME, b"from a stranger")
    assert bench.heard == []
    assert bench.deadline is None
    assert bench.found() == set()


def test_a_registration_that_replaces_another(bench: Watched) -> None:
    register(bench)
    register(bench)
    assert bench.runtime_keys[0] != bench.runtime_keys[1]
    assert bench.found() == {"runtime key 1"}
    bench.cpu(1, b"no request")  # CRT-4: discarded, whatever comes of it
    assert bench.found() == set()


@pytest.mark.parametrize("wrong", ["key", "certificate", "trailing"])
def test_a_registration_that_is_refused(bench: Watched, wrong: str) -> None:
    """CRT-5, pinned 8: a bad response leaves nothing, neither of the old set nor of the new."""
    register(bench)

    def answer(response: Response) -> bytes:
        ca, certificate, key = response.ca, response.certificate, bytes(response.key)
        if wrong == "key":
            key = bytes(DEPLOYMENT.seds[PEER].key)
        elif wrong == "certificate":
            certificate = DEPLOYMENT.seds[PEER].certificate
        return Response(ME, response.op, ca, certificate, key).encode() + bytes(wrong == "trailing")

    bench.answer = answer
    bench.request(REGISTER)
    assert bench.heard[-1].payload == Request(ME, -1).encode()
    assert bench.found() == set()
    assert not holds(bench.memory(), scalar(DEPLOYMENT.seds[PEER].key)), "the key that does not fit"


# --- a failure of our own --------------------------------------------------------------------------------------------

FAILS = (
    "    bool ours = state",
    '    if (source == 77u) {\n        dtls_fatal_error("rng");\n        return;\n    }\n',
)
"""A place in dtls.c, and what is put before it: a way to fail that no input has (SES-12)."""


def fail_in_a_session(bench: Watched) -> None:
    """Registered, in the middle of a message. Raises AssertionError if a secret outlives FATAL_ERROR."""
    register(bench)
    bench.register_peers()
    stop_at(bench, is_data)
    bench.peer_cpu(PEER, ME, bytes(5_000))
    alive = bench.found()
    assert "runtime key 0" in alive and any("master" in name for name in alive), alive
    failed = bench.target.send(Link.RADIO, Frame(ME, 77, b"?").encode())
    assert "scewl: fatal: rng" in failed.debug
    assert bench.found() == set(), "after FATAL_ERROR"


def failing(folder: Path, file: str = "", old: str = "", new: str = "") -> Watched:
    """A firmware that can be made to fail; perhaps with a further change."""
    source = change(folder, "dtls.c", FAILS[0], FAILS[1] + FAILS[0])
    if file:
        text = (source / file).read_text("utf-8")
        assert text.count(old) == 1
        (source / file).write_text(text.replace(old, new), "utf-8")
    return watch(build(folder / "build", f"SRC={source}"))


def test_nothing_outlives_fatal_error(tmp_path: Path) -> None:
    """SES-12: dtls_fatal_error tears everything down."""
    bench = failing(tmp_path)
    try:
        fail_in_a_session(bench)
    finally:
        bench.target.close()


@pytest.mark.parametrize(
    ("file", "line"),
    [("dtls.c", "    setup_end();\n"), ("setup.c", "    credentials_free();\n"), ("dtls.c", "    dtls_teardown();\n")],
)
def test_a_teardown_that_forgets_something_is_caught(tmp_path: Path, file: str, line: str) -> None:
    wrong = failing(tmp_path, file, line, "")
    try:
        with pytest.raises(AssertionError, match="after FATAL_ERROR"):
            fail_in_a_session(wrong)
    finally:
        wrong.target.close()


def end_in_silence_and_for_the_cpu(bench: Watched) -> None:
    """A session that only timers move, and one that ends as the CPU begins to say something (ADV-1)."""
    register(bench)
    bench.register_peers()
    stop_at(bench, is_handshake(SERVER_HELLO))
    bench.cpu(PEER, b"a message")
    bench.advance(200_000)
    assert bench.deadline is None
    assert unclear(bench) == 0, "after the last timer"
    stop_at(bench, is_handshake(SERVER_HELLO))
    bench.peer_cpu(LOW, ME, b"a message")
    bench.advance(7_000)
    assert bench.deadline is not None
    bench.give(Link.CPU, Frame(PEER, ME, bytes(100)).encode()[:8])
    assert bench.deadline is None
    assert unclear(bench) == 0, "after a session that gave way"


def test_nothing_is_left_after_silence_and_after_giving_way(bench: Watched) -> None:
    end_in_silence_and_for_the_cpu(bench)


# --- wrong firmwares -------------------------------------------------------------------------------------------------

FORGETFUL = {
    "runtime-set": ("credentials.c", "    mbedtls_platform_zeroize(store, sizeof store);\n", ""),
    "response": (
        "dtls.c",
        "    if (state == DTLS_TALKING_TO_SSS) {\n        mbedtls_platform",
        "    if (false) {\n        mbedtls_platform",
    ),
    "stack": ("controller.c", "                port_stack_clear();\n", ""),
    "session": ("session.c", "        mbedtls_ssl_free(&ssl);\n", ""),
    "key": ("credentials.c", "    mbedtls_pk_free(&set->key);\n", ""),
}


@pytest.mark.parametrize("name", FORGETFUL)
def test_a_firmware_that_forgets_to_clear_is_caught(tmp_path: Path, name: str) -> None:
    file, old, new = FORGETFUL[name]
    wrong = watch(build(tmp_path / "build", f"SRC={change(tmp_path, file, old, new)}"))
    try:
        with pytest.raises(AssertionError, match=r"after|registered"):
            register_talk_and_leave(wrong)
    finally:
        wrong.target.close()


USED = {
    "after everything": ("const uint8_t *payload) {\n    stack_used = true;\n", "const uint8_t *payload) {\n"),
    "after the last timer": (
        "            worked = true;\n            stack_used = true;\n",
        "            worked = true;\n",
    ),
    "after a session that gave way": ("    stack_used = true;\n    dtls_preempt();\n", "    dtls_preempt();\n"),
}


@pytest.mark.parametrize("when", USED)
def test_a_stack_that_is_thought_to_be_clear_is_caught(tmp_path: Path, when: str) -> None:
    wrong = watch(build(tmp_path / "build", f"SRC={change(tmp_path, 'controller.c', *USED[when])}"))
    try:
        with pytest.raises(AssertionError, match=when):
            (register_talk_and_leave if when == "after everything" else end_in_silence_and_for_the_cpu)(wrong)
    finally:
        wrong.target.close()
