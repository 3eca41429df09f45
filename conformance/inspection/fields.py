"""Every `dtls.*` field of a frame, under Wireshark's name and with the value that tshark prints.

Names: Wireshark's display filter reference for DTLS, as of release 4.0. Read by Scapy layers of our own
(`conformance.layers`); which records can be opened and which messages are whole again, the tracker knows.
`tests/conformance/test_tshark.py` compares with tshark, field by field, and says what of Wireshark's is left out.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, Final

from conformance.layers import (
    DTLS,
    EXTENSIONS,
    DTLSAlert,
    DTLSCertificate,
    DTLSCertificateRequest,
    DTLSCertificateVerify,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSClientKeyExchangeRSA,
    DTLSFinished,
    DTLSHandshake,
    DTLSHelloVerifyRequest,
    DTLSNewSessionTicket,
    DTLSServerHello,
    DTLSServerKeyExchange,
    dissect_content,
    dissect_message,
)
from conformance.sessions.seen import Protection, SeenFragment, SeenFrame, SeenRecord
from conformance.wire.records import ContentType, Malformed

Field = tuple[str, str]
"""Name and value; the value of a node that only holds others is empty."""

_HANDSHAKE: Final = "dtls.handshake"


def fields(seen: SeenFrame) -> Iterator[Field]:
    """The fields of a frame's datagram in tshark's order, then `data.data` and `data.len` of each opened message.

    What is no DTLS, or not a whole record, has none. Raises nothing.
    """
    if not seen.records or seen.frame is None:
        return
    messages: list[bytes] = []
    for record, layer in zip(seen.records, DTLS(seen.frame.payload).records, strict=False):
        if isinstance(record, Malformed):
            break
        yield from _record(record, layer)
        if record.content_type is ContentType.APPLICATION_DATA and record.protection is Protection.OPENED:
            messages.append(record.plaintext)
    for message in messages:
        yield "data.data", _colons(message)
        yield "data.len", str(len(message))


def _record(record: SeenRecord, layer: Any) -> Iterator[Field]:
    yield "dtls.record", ""
    yield "dtls.record.content_type", str(layer.type)
    yield "dtls.record.version", _hex(layer.version)
    yield "dtls.record.epoch", str(layer.epoch)
    yield "dtls.record.sequence_number", str(layer.sequence_number)
    yield "dtls.record.length", str(layer.length)
    content = layer.content
    if record.protection is Protection.OPENED:
        content = dissect_content(layer.type, record.plaintext)
    match record.content_type:
        case ContentType.CHANGE_CIPHER_SPEC:
            yield "dtls.change_cipher_spec", ""
        case ContentType.ALERT:
            yield "dtls.alert_message", ""
            for alert in content:
                if isinstance(alert, DTLSAlert):
                    yield "dtls.alert_message.level", str(alert.level)
                    yield "dtls.alert_message.desc", str(alert.desc)
        case ContentType.APPLICATION_DATA:
            yield "dtls.app_data", _colons(bytes(layer)[-layer.length :] if layer.length else b"")
        case ContentType.HANDSHAKE:
            for fragment, part in zip_longest(record.fragments, content):
                if part is not None:
                    yield from _handshake(fragment, part)


def _handshake(fragment: SeenFragment | Malformed | None, layer: Any) -> Iterator[Field]:
    """One fragment: its header, and the message if it is whole with it."""
    yield _HANDSHAKE, ""
    if not isinstance(layer, DTLSHandshake):
        return  # sealed, or malformed
    yield f"{_HANDSHAKE}.type", str(layer.msg_type)
    for name in ("length", "message_seq", "fragment_offset", "fragment_length"):
        yield f"{_HANDSHAKE}.{name}", str(layer.getfieldval(name))
    if layer.whole:
        yield from _body(layer.payload)
    elif isinstance(fragment, SeenFragment):
        for message in fragment.completes:
            if message.message_seq == fragment.message_seq:
                yield from _body(dissect_message(message.type, message.body))
                yield "dtls.reassembled.length", str(len(message.body))


# --- values as tshark prints them


def _colons(data: bytes) -> str:
    return data.hex(":")


def _hex(number: int) -> str:
    return f"{number:#06x}"


def _octet(number: int) -> str:
    return f"{number:#04x}"


def _time(data: bytes) -> str:
    """Seconds since 1970 as `Jan  1, 1970 18:20:51.000000000 UTC`."""
    at = datetime.fromtimestamp(int.from_bytes(data, "big"), UTC)
    return f"{at:%b} {at.day:2}, {at:%Y %H:%M:%S}.000000000 UTC"


# --- bodies


def _body(layer: Any) -> Iterator[Field]:
    """The fields of a whole message; none if it is malformed."""
    made = _BODIES.get(type(layer))
    if made is not None:
        for name, value in made(layer):
            yield name if name.startswith("dtls.") else f"{_HANDSHAKE}.{name}", value


def _vector(layer: Any, name: str, *, length: str = "") -> Iterator[Field]:
    """A length, and the bytes unless there are none."""
    data = layer.getfieldval(name)
    yield length or f"{name}_length", str(len(data))
    if data:
        yield name, _colons(data)


def _list(node: str, name: str, numbers: Iterable[int], form: Callable[[int], str]) -> Iterator[Field]:
    yield node, ""
    for number in numbers:
        yield name, form(number)


def _random(layer: Any) -> Iterator[Field]:
    yield "random", _colons(layer.random)
    yield "random_time", _time(layer.random[:4])
    yield "random_bytes", _colons(layer.random[4:])


def _signature_algorithm(number: int) -> Iterator[Field]:
    yield "sig_hash_alg", _hex(number)
    yield "sig_hash_hash", str(number >> 8)
    yield "sig_hash_sig", str(number & 0xFF)


def _signature_algorithms(numbers: list[int]) -> Iterator[Field]:
    yield "sig_hash_alg_len", str(2 * len(numbers))
    yield "sig_hash_algs", ""
    for number in numbers:
        yield from _signature_algorithm(number)


def _client_hello(layer: Any) -> Iterator[Field]:
    yield "version", _hex(layer.version)
    yield from _random(layer)
    yield from _vector(layer, "session_id")
    yield from _vector(layer, "cookie")
    yield "cipher_suites_length", str(2 * len(layer.cipher_suites))
    yield from _list("ciphersuites", "ciphersuite", layer.cipher_suites, _hex)
    yield "comp_methods_length", str(len(layer.comp_methods))
    yield from _list("comp_methods", "comp_method", layer.comp_methods, str)
    yield from _extensions(layer)
    found = {extension.type: extension for extension in layer.extensions or ()}
    groups = getattr(found.get(10), "groups", ())
    formats = getattr(found.get(11), "ecpl", ())
    yield from _fingerprint("ja3", layer.version, layer.cipher_suites, _types(layer), groups, formats)


def _server_hello(layer: Any) -> Iterator[Field]:
    yield "version", _hex(layer.version)
    yield from _random(layer)
    yield from _vector(layer, "session_id")
    yield "ciphersuite", _hex(layer.cipher_suite)
    yield "comp_method", str(layer.comp_method)
    yield from _extensions(layer)
    yield from _fingerprint("ja3s", layer.version, [layer.cipher_suite], _types(layer))


def _types(layer: Any) -> list[int]:
    return [extension.type for extension in layer.extensions or ()]


def _fingerprint(name: str, version: int, *lists: Iterable[int]) -> Iterator[Field]:
    """JA3 and JA3S (Althouse, Atkinson and Atkins, 2017): decimal numbers without those of GREASE (RFC 8701)."""
    words = ("-".join(str(n) for n in numbers if not _is_grease(n)) for numbers in lists)
    full = ",".join([str(version), *words])
    yield f"{name}_full", full
    yield name, hashlib.md5(full.encode(), usedforsecurity=False).hexdigest()


def _is_grease(number: int) -> bool:
    return number & 0x0F0F == 0x0A0A and number >> 8 == number & 0xFF


def _hello_verify_request(layer: Any) -> Iterator[Field]:
    yield "version", _hex(layer.version)
    yield from _vector(layer, "cookie")


def _new_session_ticket(layer: Any) -> Iterator[Field]:
    yield "session_ticket_lifetime_hint", str(layer.session_ticket_lifetime_hint)
    yield from _vector(layer, "session_ticket")


def _certificate(layer: Any) -> Iterator[Field]:
    yield "certificates_length", str(sum(3 + len(der) for der in layer.certificates))
    if layer.certificates:
        yield "certificates", ""
    for der in layer.certificates:
        yield "certificate_length", str(len(der))
        yield "certificate", _colons(der)


def _server_key_exchange(layer: Any) -> Iterator[Field]:
    yield "server_curve_type", _octet(layer.server_curve_type)
    yield "server_named_curve", _hex(layer.server_named_curve)
    yield from _vector(layer, "server_point", length="server_point_len")
    yield from _signature_algorithm(layer.sig_hash_alg)
    yield from _vector(layer, "sig", length="sig_len")


def _certificate_request(layer: Any) -> Iterator[Field]:
    yield "cert_types_count", str(len(layer.cert_types))
    yield from _list("cert_types", "cert_type", layer.cert_types, str)
    yield from _signature_algorithms(layer.sig_hash_algs)
    yield "dnames_len", str(sum(2 + len(name) for name in layer.dnames))
    if layer.dnames:
        yield "dnames", ""
    for name in layer.dnames:
        yield "dname_len", str(len(name))
        yield "dname", ""


def _certificate_verify(layer: Any) -> Iterator[Field]:
    yield from _signature_algorithm(layer.sig_hash_alg)
    yield "client_cert_vrfy.sig_len", str(len(layer.sig))
    yield "client_cert_vrfy.sig", _colons(layer.sig)


def _finished(_layer: Any) -> Iterator[Field]:
    yield "verify_data", ""  # a node in Wireshark: it has no value


_BODIES: Final[dict[type[Any], Callable[[Any], Iterator[Field]]]] = {
    DTLSClientHello: _client_hello,
    DTLSServerHello: _server_hello,
    DTLSHelloVerifyRequest: _hello_verify_request,
    DTLSNewSessionTicket: _new_session_ticket,
    DTLSCertificate: _certificate,
    DTLSServerKeyExchange: _server_key_exchange,
    DTLSCertificateRequest: _certificate_request,
    DTLSCertificateVerify: _certificate_verify,
    DTLSClientKeyExchangeECDHE: lambda p: _vector(p, "client_point", length="client_point_len"),
    DTLSClientKeyExchangeRSA: lambda p: _vector(p, "epms", length="epms_len"),
    DTLSFinished: _finished,
}
"""By layer, what stands behind `dtls.handshake.`; the others have no fields."""


# --- extensions


def _extensions(layer: Any) -> Iterator[Field]:
    if layer.extensions is None:
        return
    yield "extensions_length", str(layer.extensions_length)
    for extension in layer.extensions:
        yield "extension.type", str(extension.type)
        yield "extension.len", str(extension.len)
        data = bytes(extension)[4:]
        if type(extension) is EXTENSIONS.get(extension.type) and extension.type in _EXTENSIONS:
            yield from _EXTENSIONS[extension.type](extension)
        elif extension.type in _PLAIN_EXTENSIONS and len(data) == _PLAIN_EXTENSIONS[extension.type][0].size:
            form, names = _PLAIN_EXTENSIONS[extension.type]
            yield from zip(names, map(str, form.unpack(data)), strict=True)
        else:
            yield "extension.data", _colons(data)


def _server_name(layer: Any) -> Iterator[Field]:
    if not layer.len:
        return  # a server's answer
    yield "extensions_server_name_list_len", str(layer.servernameslen)
    for name in layer.servernames:
        if not name.haslayer("ServerName"):
            continue  # bytes that are none
        yield "extensions_server_name_type", str(name.nametype)
        yield "extensions_server_name_len", str(name.namelen)
        yield "extensions_server_name", name.servername.decode("utf-8", "replace")


def _supported_groups(layer: Any) -> Iterator[Field]:
    yield "extensions_supported_groups_length", str(layer.groupslen)
    yield from _list("extensions_supported_groups", "extensions_supported_group", layer.groups, _hex)


def _point_formats(layer: Any) -> Iterator[Field]:
    yield "extensions_ec_point_formats_length", str(layer.ecpllen)
    yield from _list("extensions_ec_point_formats", "extensions_ec_point_format", layer.ecpl, str)


def _alpn(layer: Any) -> Iterator[Field]:
    yield "extensions_alpn_len", str(layer.protocolslen)
    yield "extensions_alpn_list", ""
    for protocol in layer.protocols:
        yield "extensions_alpn_str_len", str(len(protocol.protocol))
        yield "extensions_alpn_str", protocol.protocol.decode("utf-8", "replace")


def _renegotiation_info(layer: Any) -> Iterator[Field]:
    yield "extensions_reneg_info_len", str(layer.reneg_conn_len)
    if layer.renegotiated_connection:
        yield "extensions_reneg_info", _colons(layer.renegotiated_connection)


_EXTENSIONS: Final[dict[int, Callable[[Any], Iterable[Field]]]] = {
    0: _server_name,
    1: lambda p: [("max_fragment_length", str(p.maxfraglen))],
    10: _supported_groups,
    11: _point_formats,
    13: lambda p: _signature_algorithms(p.sig_algs),
    16: _alpn,
    22: lambda _: (),
    23: lambda _: (),
    0xFF01: _renegotiation_info,
}
"""By type, of those that are as they should be."""
_PLAIN_EXTENSIONS: Final[dict[int, tuple[struct.Struct, tuple[str, ...]]]] = {
    5: (
        struct.Struct(">BHH"),
        tuple(f"extensions_status_request_{name}" for name in ("type", "responder_ids_len", "exts_len")),
    ),
    15: (struct.Struct(">B"), ("extension.heartbeat.mode",)),
    28: (struct.Struct(">H"), ("dtls.record_size_limit",)),
}
"""By type, of those that have no layer: numbers and their names. Of all others, tshark has the data as bytes."""
