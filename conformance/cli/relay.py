"""`scewl relay`: a program that speaks DTLS over UDP, such as `openssl s_client`, as a device on the bus."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter

from conformance.cli.shared import EXIT_INTERRUPTED, EXIT_PASS, UsageError, common_options
from conformance.targets.base import HarnessError
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID, SSS_ID
from reference.service.listen import Address, ListenError
from reference.service.relay import Relay, run

_EPILOG = """Each datagram becomes a SCEWL frame from --id to --to, and the other way. Nothing is decrypted. The program
shows the certificate that --id was given. Datagrams of more than 1,000 bytes are dropped (FRM-2): give it an MTU.
What was passed on and what was dropped is said at the end, after SIGTERM or SIGINT (Ctrl-C; exit code 0 or 130).

examples:
  scewl relay --id 10 --to 1 --connect unix:/tmp/sss.sock --udp-client 127.0.0.1:4433
      OpenSSL as device 10 of a running `scewl sss`, in the folder that `scewl provision` made:
      openssl s_client -dtls1_2 -mtu 1000 -connect 127.0.0.1:4433 -cert sed-10.der -certform DER \\
        -key sed-10.key.der -keyform DER -CAstore ca.der -verify_return_error
  scewl relay --id 20 --to 10 --listen unix:/tmp/radio.sock --udp-server 127.0.0.1:4433
      OpenSSL as device 20, which device 10 sends messages to; a firmware in QEMU has its radio at that socket:
      openssl s_server -dtls1_2 -mtu 1000 -accept 127.0.0.1:4433 -Verify 1 -verify_return_error ...
      qemu-system-arm ... -serial unix:/tmp/cpu.sock -serial null -serial unix:/tmp/radio.sock

docs/relay.md has these and GnuTLS's, with all options."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "relay",
        help="let a program that speaks DTLS over UDP be a device on the bus",
        description="Put the UDP datagrams of a program into SCEWL frames, and back.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("--id", type=int, required=True, help="who the program is on the bus: 1, the SSS, or a SED")
    parser.add_argument("--to", type=int, required=True, metavar="ID", help="with whom it talks")
    bus = parser.add_mutually_exclusive_group(required=True)
    bus.add_argument("--connect", metavar="ADDRESS", help="the bus listens there: unix:/path or tcp:host:port")
    bus.add_argument("--listen", metavar="ADDRESS", help="the bus connects there; a newer connection replaces an older")
    udp = parser.add_mutually_exclusive_group(required=True)
    udp.add_argument(
        "--udp-client",
        metavar="HOST:PORT",
        help="the program is a client, and sends there (port 0: a free one). Whoever sent last gets the answers",
    )
    udp.add_argument("--udp-server", metavar="HOST:PORT", help="the program is a server, and listens there")
    parser.set_defaults(run=run_relay)


def run_relay(args: argparse.Namespace) -> int:
    """Relay until a signal ends it. Raises UsageError or HarnessError."""
    for name, one in (("--id", args.id), ("--to", args.to)):
        if one != SSS_ID and not LOWEST_SED_ID <= one <= HIGHEST_ID:
            raise UsageError(f"{name} {one}: it is {SSS_ID}, the SSS, or a SED's id, {LOWEST_SED_ID} to {HIGHEST_ID}")
    if args.id == args.to:
        raise UsageError(f"--id and --to are both {args.id}: nobody talks to itself")
    relay, text = Relay(args.id, args.to), args.connect or args.listen
    udp = _host_and_port(args.udp_server or args.udp_client, may_be_free=args.udp_server is None)
    ready = False

    def started(address: tuple[str, int]) -> None:
        nonlocal ready
        ready = True
        _say_started(args, f"{address[0]}:{address[1]}", text)

    try:
        bus = Address.parse(text)
        running = run(
            relay, bus, udp, listens=args.listen is not None, is_server=args.udp_server is not None, started=started
        )
        ended = asyncio.run(running)
    except ListenError as error:
        if not ready:
            raise UsageError(str(error)) from error
        _say_counts(args, relay.counts)
        raise HarnessError(f"{text}: {error}") from error
    _say_counts(args, relay.counts)
    return EXIT_INTERRUPTED if ended == signal.SIGINT else EXIT_PASS


def _host_and_port(text: str, *, may_be_free: bool) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= len("65535") else -1
    if not host or not (0 if may_be_free else 1) <= number <= 0xFFFF:
        raise UsageError(f"{text!r} is no UDP address: write 127.0.0.1:4433 or [::1]:4433")
    return host, number


def _say_started(args: argparse.Namespace, ours: str, bus: str) -> None:
    if args.json:
        print(json.dumps({"event": "started", "id": args.id, "to": args.to, "udp": ours, "bus": bus}), flush=True)
        return
    there = f"sends from udp {ours} to {args.udp_server}" if args.udp_server else f"listens at udp {ours}"
    print(f"scewl relay: {args.id} to {args.to} on {bus}; {there}", file=sys.stderr, flush=True)


def _say_counts(args: argparse.Namespace, counts: Counter[str]) -> None:
    shown = {name: count for name, count in sorted(counts.items()) if count}
    if args.json:
        print(json.dumps({"event": "stopped", "counts": shown}), flush=True)
        return
    for name, count in shown.items():
        print(f"{name:12}{count:>10}")
