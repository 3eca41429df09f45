"""OpenSSL and GnuTLS, which share no code with us, as devices on the bus: `scewl relay` puts their datagrams there.

Each talks, as client and as server, with the reference's controller, with one of the deployment settings of 2021, and
with the firmware in QEMU; as a client also with `scewl sss`. All are programs, in real time.
"""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from model.alphabet import Link
from reference.authority import load_key
from reference.deployment import Deployment
from reference.dialect import RSA_AES_256
from reference.frame import Frame, FrameReader

ROOT = Path(__file__).parents[2]
SCEWL = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]
FIRMWARE = ROOT / "build/firmware/controller.elf"
APPLICATION_DATA = b"\x17"
"""The content type of its records."""
ECHO = 8 + 13 + 8 + 4 + 16
"""Bytes of a frame with a record of four: headers of both, explicit nonce, tag."""
DEVICE, OTHER = 10, 20
"""SCEWL ids: the controller, and the program that is a device by way of the relay."""
PATIENCE = 20
"""Seconds after which a test that waits in vain fails."""
LINES = [b"line %02d" % number + b"." * 99 + b"\n" for number in range(20)]
"""A message of three records: nine lines in each, as far as they go (DTL-5)."""
SHORT = b"a message of one record: a program makes one of each write\n"

STANDARD = Deployment.create([DEVICE, OTHER], seed=b"tests/interoperation")
HISTORIC = Deployment.create(
    [DEVICE, OTHER],
    seed=b"tests/interoperation",
    suite=RSA_AES_256,
    cn_pattern="{id}_PROVISION",
    wide_response=True,
)

for tool in ("openssl", "gnutls-cli", "gnutls-serv", "qemu-system-arm"):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: `make setup-test` installs it", allow_module_level=True)


class Program:
    """A process whose output is waited for."""

    def __init__(self, command: list[str], folder: Path, *, errors: bool = True) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
            bufsize=0,
        )
        self.output = b""

    def read(self) -> bool:
        """More of its output; False at its end."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE)[0], f"silent after {self.output!r}"
        data = self.process.stdout.read(65_536)
        self.output += data or b""
        return bool(data)

    def until(self, text: bytes) -> None:
        while text not in self.output:
            assert self.read(), f"it ended without {text!r}: {self.output!r}"

    def say(self, data: bytes, *, last: bool = False) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        if last:
            self.process.stdin.close()

    def end(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        self.process.wait()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    running: list[Program] = []

    def start(command: list[str], **options: bool) -> Program:
        running.append(Program(command, tmp_path, **options))
        return running[-1]

    yield start
    for one in reversed(running):
        one.end()


@dataclass
class Controller:
    """A controller as a program, its three links as sockets in a folder."""

    folder: Path
    deployment: Deployment
    cpu: socket.socket

    def ask(self, target: int, payload: bytes) -> None:
        """A frame of its CPU."""
        self.cpu.sendall(Frame(target, DEVICE, payload).encode())

    def answer(self) -> Frame:
        """A frame for its CPU."""
        reader = FrameReader(0xFFFF)
        while (frame := reader.next()) is None:
            data = self.cpu.recv(65_536)
            assert data, "the controller has ended"
            reader.feed(data)
        return frame


@pytest.fixture(scope="module", params=["reference", "historic", "firmware"])
def controller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("controller")
    deployment = HISTORIC if request.param == "historic" else STANDARD
    deployment.save(folder / "deployment")
    (folder / "image").write_bytes(deployment.image(DEVICE))
    if request.param == "firmware":
        serials = [f"unix:{folder}/{link},server=on,wait=off" for link in ("cpu", "sss", "radio")]
        command = ["qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none"]
        command += ["-kernel", str(FIRMWARE)]
        command += ["-device", f"loader,file={folder}/image,addr=0x3f000,force-raw=on"]
        command += [word for serial in serials for word in ("-serial", serial)]
        command += ["-semihosting-config", "enable=on,target=native"]  # what it says on the debug channel
        ready = b"scewl: ready: id=10"
    else:
        command = [sys.executable, "-m", "conformance.targets.streams.device", "--image", "image"]
        command += ["--deployment", "deployment"]
        for link in ("cpu", "sss", "radio"):
            command += [f"--{link}", f"unix:{folder}/{link}"]
        ready = b"listening\n"
    running = Program(command, folder)
    try:
        running.until(ready)
        with socket.socket(socket.AF_UNIX) as cpu:
            cpu.connect(str(folder / "cpu"))
            cpu.settimeout(PATIENCE)
            yield Controller(folder, deployment, cpu)
    finally:
        running.end()


@dataclass
class Tool:
    """The command line of a program in the name of a device, whose certificate lies in the folder as PEM."""

    name: str
    folder: Path
    deployment: Deployment

    def show(self, own: int, peer: int) -> None:
        """Write the files of device `own`, or the SSS's; `peer` is whom it talks to."""
        credentials = self.deployment.sss_credentials() if own == 1 else self.deployment.credentials(own)
        key = load_key(bytes(credentials.key))
        for name, der in (("certificate", credentials.certificate), ("ca", credentials.ca)):
            pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            (self.folder / name).write_bytes(pem)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (self.folder / "key").write_bytes(pem)
        self._peer = "1" if peer == 1 else self.deployment.cn_pattern.format(id=peer)

    def client(self, port: int) -> list[str]:
        if self.name == "openssl":
            server = ["-connect", f"127.0.0.1:{port}", "-verify", "1", "-quiet", "-no_ign_eof"]
            return ["openssl", "s_client", *server, *self._openssl(), "-verify_hostname", self._peer]
        server = ["--udp", "--mtu", "1000", "-p", str(port), "--verify-hostname", self._peer, "127.0.0.1"]
        return ["gnutls-cli", *self._gnutls(), *server]

    def server(self, port: int, *options: str) -> list[str]:
        if self.name == "openssl":
            return ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1", *self._openssl(), *options]
        own = ["--udp", "--mtu", "1000", "-p", str(port), "--require-client-cert", "--verify-client-cert"]
        return ["stdbuf", "-oL", "gnutls-serv", *self._gnutls(), *own]

    def _openssl(self) -> list[str]:
        files = ["-cert", "certificate", "-key", "key", "-CAfile", "ca", "-verify_return_error"]
        return [*files, "-dtls1_2", "-mtu", "1000"]

    def _gnutls(self) -> list[str]:
        exchange = "RSA" if self.deployment.rsa else "ECDHE-ECDSA"
        suite = f"NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+{exchange}:-CIPHER-ALL:+AES-256-GCM"
        files = ["--x509cafile", "ca", "--x509certfile", "certificate", "--x509keyfile", "key"]
        return [*files, "--priority", suite]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return int(udp.getsockname()[1])


def relay(program: Callable[..., Program], own: int, to: int, *where: str) -> int:
    """A running relay; its UDP port."""
    running = program([*SCEWL, "relay", "--id", str(own), "--to", str(to), *where, "--json"])
    running.until(b"\n")
    started = json.loads(running.output)
    assert (started["event"], started["id"], started["to"]) == ("started", own, to)
    return int(started["udp"].rpartition(":")[2])


@pytest.mark.parametrize("name", ["openssl", "gnutls"])
def test_a_controller_sends_to_it(
    controller: Controller, name: str, tmp_path: Path, program: Callable[..., Program]
) -> None:
    tool, port = Tool(name, tmp_path, controller.deployment), free_port()
    tool.show(OTHER, DEVICE)
    server = program(tool.server(port))
    server.until(b"ACCEPT" if name == "openssl" else b"done\nUDP")
    relay(program, OTHER, DEVICE, "--connect", f"unix:{controller.folder}/radio", "--udp-server", f"127.0.0.1:{port}")
    # gnutls-serv shows the beginning of each record only.
    lines = LINES if name == "openssl" else [SHORT]
    controller.ask(OTHER, b"".join(lines))
    server.until(lines[-1])
    server.until(b"DONE" if name == "openssl" else b"EOF")  # the close_notify
    assert all(line in server.output for line in lines)


@pytest.mark.parametrize("name", ["openssl", "gnutls"])
def test_it_sends_to_a_controller(
    controller: Controller, name: str, tmp_path: Path, program: Callable[..., Program]
) -> None:
    """SES-8: the CPU gets the message only if the close_notify came, and every record before it."""
    tool = Tool(name, tmp_path, controller.deployment)
    tool.show(OTHER, DEVICE)
    where = ["--connect", f"unix:{controller.folder}/radio", "--udp-client", "127.0.0.1:0"]
    client = program(tool.client(relay(program, OTHER, DEVICE, *where)))
    client.say(SHORT, last=True)
    assert controller.answer() == Frame(DEVICE, OTHER, SHORT)
    assert client.process.wait(PATIENCE) == 0


def test_a_program_of_another_authority_is_refused(
    controller: Controller, tmp_path: Path, program: Callable[..., Program]
) -> None:
    """And the controller is there for the next one: its CPU hears of that one alone."""
    own = controller.deployment
    foreign = Deployment.create([OTHER], seed=b"foreign", suite=own.suite, cn_pattern=own.cn_pattern)
    port = relay(program, OTHER, DEVICE, "--connect", f"unix:{controller.folder}/radio", "--udp-client", "127.0.0.1:0")
    tool = Tool("openssl", tmp_path, foreign)
    tool.show(OTHER, DEVICE)
    (tmp_path / "ca").write_bytes(x509.load_der_x509_certificate(own.authority.certificate).public_bytes(Encoding.PEM))
    stranger = program(tool.client(port))
    stranger.say(b"never to be heard\n", last=True)
    assert stranger.process.wait(PATIENCE) != 0
    tool = Tool("openssl", tmp_path, own)
    tool.show(OTHER, DEVICE)
    client = program(tool.client(port))
    client.say(SHORT, last=True)
    assert controller.answer() == Frame(DEVICE, OTHER, SHORT)


def test_it_is_the_sss_of_a_controller(controller: Controller, tmp_path: Path, program: Callable[..., Program]) -> None:
    """Data both ways: the controller asks to be deregistered, and OpenSSL's standard input says yes."""
    tool, port = Tool("openssl", tmp_path, controller.deployment), free_port()
    tool.show(1, DEVICE)
    server = program(tool.server(port, "-naccept", "1"))
    server.until(b"ACCEPT")
    relay(program, 1, DEVICE, "--connect", f"unix:{controller.folder}/sss", "--udp-server", f"127.0.0.1:{port}")
    controller.ask(1, struct.pack("<Hh", DEVICE, 1))
    server.until(struct.pack("<Hh", DEVICE, 1))
    response = struct.pack("<Hh", DEVICE, 1)
    server.say(response.ljust(22 if controller.deployment.wide_response else 10, b"\0"))
    assert controller.answer() == Frame(DEVICE, 1, struct.pack("<Hh", DEVICE, 1))


@pytest.mark.parametrize("which", ["reference", "historic", "firmware"])
def test_gnutls_as_an_sss_can_only_say_what_it_was_told(
    which: str, tmp_path: Path, program: Callable[..., Program]
) -> None:
    """Over UDP, gnutls-serv sends each message back, and nothing else: the echo of the request is how an answer begins,
    the rest never comes, and the CPU hears so after the idle timeout (SES-7, REG-4). The controller's clock is ours."""
    deployment = HISTORIC if which == "historic" else STANDARD
    tool, port = Tool("gnutls", tmp_path, deployment), free_port()
    tool.show(1, DEVICE)
    server = program(tool.server(port))
    server.until(b"done\nUDP")
    device = QemuTarget(FIRMWARE) if which == "firmware" else ReferenceTarget(dialect=deployment.dialect)
    with contextlib.closing(device), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bus"))
        listener.listen(1)
        relay(program, 1, DEVICE, "--connect", f"unix:{tmp_path}/bus", "--udp-server", f"127.0.0.1:{port}")
        bus, _ = listener.accept()
        with bus:
            bus.settimeout(PATIENCE)
            device.boot(deployment.image(DEVICE))
            reaction = device.send(Link.CPU, Frame(1, DEVICE, struct.pack("<Hh", DEVICE, 1)).encode())
            data = b""
            while not (data[8:9] == APPLICATION_DATA and len(data) == ECHO):
                assert [link for link, _ in reaction.chunks] in ([Link.SSS], []), "nothing for the CPU"
                bus.sendall(b"".join(said for _, said in reaction.chunks))
                data = bus.recv(65_536)
                assert data, server.output
                reaction = device.send(Link.SSS, data)
            assert (reaction.chunks, reaction.deadline) == ((), 60_000), "it is no wrong answer: more may come"
            assert device.advance(59_999).chunks == ()
            said = dict(device.advance(1).chunks)
            assert said[Link.CPU] == Frame(DEVICE, 1, struct.pack("<Hh", DEVICE, -1)).encode()
            bus.sendall(said[Link.SSS])
            server.until(b"EOF")  # the close_notify
    assert b"certificate is trusted" in server.output and b"received[0001000000000001]: \n" in server.output


@pytest.fixture(scope="module", params=[STANDARD, HISTORIC], ids=["standard", "historic"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Deployment]]:
    folder = tmp_path_factory.mktemp("service")
    request.param.save(folder / "deployment")
    running = Program([*SCEWL, "sss", "--deployment", "deployment", "--listen", "unix:wires"], folder)
    try:
        running.until(b'"started"')
        yield folder / "wires", request.param
    finally:
        running.end()


@pytest.mark.parametrize("name", ["openssl", "gnutls"])
def test_it_registers_with_the_service(
    service: tuple[Path, Deployment], name: str, tmp_path: Path, program: Callable[..., Program]
) -> None:
    wires, deployment = service
    tool = Tool(name, tmp_path, deployment)
    tool.show(DEVICE, 1)
    port = relay(program, DEVICE, 1, "--connect", f"unix:{wires}", "--udp-client", "127.0.0.1:0")
    client = program(tool.client(port), errors=False)
    if name == "gnutls":
        client.until(b"Simple Client Mode:\n\n")
    client.say(struct.pack("<Hh", DEVICE, 0))
    header = struct.Struct("<Hh9H" if deployment.wide_response else "<Hh3H")
    while True:
        data = client.output.partition(b"Simple Client Mode:\n\n")[2] if name == "gnutls" else client.output
        if len(data) >= header.size:
            dev_id, op, *lengths = header.unpack_from(data)
            if len(data) >= header.size + sum(lengths):
                break
        assert client.read(), f"it ended: {client.output!r}"
    assert (dev_id, op) == (DEVICE, 0)
    certificate = x509.load_der_x509_certificate(data[header.size + lengths[0] :][: lengths[1]])
    key = load_key(data[header.size + sum(lengths[:2]) :][: lengths[2]])
    assert certificate.public_key() == key.public_key()
    client.say(b"", last=True)
    assert client.process.wait(PATIENCE) == 0
