"""What a peer says, from its state, as layers; how scripts alter it; and what follows from what was said."""

from __future__ import annotations

import copy
import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from conformance.layers import (
    EXTENSIONS,
    DTLSAlert,
    DTLSApplicationData,
    DTLSCertificate,
    DTLSCertificateRequest,
    DTLSCertificateVerify,
    DTLSChangeCipherSpec,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSFinished,
    DTLSHandshake,
    DTLSHelloVerifyRequest,
    DTLSRecord,
    DTLSServerHello,
    DTLSServerHelloDone,
    DTLSServerKeyExchange,
    Opaque,
)
from conformance.peer.credentials import sign
from conformance.peer.keys import NAMED_CURVES, derive
from conformance.peer.script import BadScript, How, Send, Value
from conformance.peer.state import State

if TYPE_CHECKING:  # conformance.layers alone imports Scapy as it should be imported
    from scapy.packet import Packet

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
MESSAGE_TYPES: Final = {
    "client-hello": 1,
    "client-hello-cookie": 1,
    "server-hello": 2,
    "hello-verify-request": 3,
    "certificate": 11,
    "server-key-exchange": 12,
    "certificate-request": 13,
    "server-hello-done": 14,
    "certificate-verify": 15,
    "client-key-exchange": 16,
    "finished": 20,
}
_SIGNATURES: Final = [0x0403, 0x0503, 0x0603, 0x0401]
"""ECDSA with SHA-256, SHA-384 and SHA-512; RSA with SHA-256."""
_GROUPS, _POINT_FORMATS, _SIGNATURE_ALGORITHMS, _EMS, _RENEGOTIATION_INFO = 10, 11, 13, 23, 0xFF01
"""Extension types (RFC 8422, RFC 5246, RFC 7627, RFC 5746)."""
_SCSV: Final = 0x00FF
"""TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746, section 3.3)."""


def content_type(send: Send) -> int:
    """Of the records of something to say; -1 if it is a datagram already."""
    if send.what in MESSAGE_TYPES or send.what == "handshake":
        return HANDSHAKE
    others = {"change-cipher-spec": CHANGE_CIPHER_SPEC, "data": APPLICATION_DATA, "record": send.type}
    return others.get(send.what, ALERT if send.what in ("alert", "close-notify") else -1)


def content(state: State, send: Send, how: How) -> bytes:
    """A handshake message's body, or a record's content, altered as `how` says. Raises BadScript if it cannot be."""
    layer = _BUILDERS.get(send.what, _opaque)(state, send)
    for path, value in how.set:
        if not path.startswith(("handshake.", "record.")):
            assign(layer, path, value)
    try:
        body = bytes(layer) if how.body is None else how.body
    except Exception as error:  # Scapy's fields raise whatever Python does
        raise BadScript(f"{send.what}: its fields cannot be set like that: {error}") from None
    return body if how.size is None else body[: how.size].ljust(how.size, b"\0")


def check(state: State, send: Send, how: How) -> None:
    """Whether something can be said like that, with all that the other side may have agreed to. Raises BadScript."""
    sample = copy.deepcopy(state)
    sample.offered_ems = sample.offered_renegotiation_info = sample.offered_point_formats = True
    content(sample, send, how)
    for prefix, header in (("handshake.", DTLSHandshake()), ("record.", DTLSRecord())):
        for path, value in how.set:
            if path.startswith(prefix):
                assign(header, path.removeprefix(prefix), value)
        try:
            bytes(header)
        except Exception as error:
            raise BadScript(f"{send.what}: its header cannot be set like that: {error}") from None


def assign(layer: Packet, path: str, value: Value) -> None:
    """Set a field of a layer. Raises BadScript if there is none."""
    *way, last = path.split(".")
    at: Any = layer
    for part in way:
        at = _item(at, part, path) if isinstance(at, list) else getattr(at, _field(at, part, path))
    if isinstance(at, list):
        _item(at, last, path)
        at[int(last)] = _plain(value)
    else:
        setattr(at, _field(at, last, path), _plain(value))


def _field(layer: Any, name: str, path: str) -> str:
    known = [f.name for f in getattr(layer, "fields_desc", ())]
    if name not in known:
        raise BadScript(f"set {path}: there is no field {name!r}; there are {', '.join(known) or 'none'}")
    return name


def _item(items: list[Any], index: str, path: str) -> Any:
    if not index.isdecimal() or int(index) >= len(items):
        raise BadScript(f"set {path}: the list has no item {index!r}; it has {len(items)}, counted from 0")
    return items[int(index)]


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return bytes.fromhex(value) if isinstance(value, str) else value


# --- the messages -----------------------------------------------------------------------------------------------------


def cookie(state: State) -> bytes:
    """The server's, bound to its client."""
    return derive(state.seed, "cookie", state.bound.hex())


def _client_hello(state: State, send: Send) -> Packet:
    extensions = [
        EXTENSIONS[_GROUPS](groups=[NAMED_CURVES[state.script.curve]]),
        EXTENSIONS[_POINT_FORMATS](ecpl=[0]),
        EXTENSIONS[_SIGNATURE_ALGORITHMS](sig_algs=list(_SIGNATURES)),
        EXTENSIONS[_RENEGOTIATION_INFO](),
    ]
    if state.script.extended_master_secret:
        extensions.append(EXTENSIONS[_EMS]())
    return DTLSClientHello(
        random=derive(state.seed, "client random"),
        session_id=b"",
        cookie=state.cookie if send.what == "client-hello-cookie" else b"",
        cipher_suites=[state.suite.number],
        comp_methods=[0],
        extensions=extensions,
    )


def _hello_verify_request(state: State, _: Send) -> Packet:
    return DTLSHelloVerifyRequest(cookie=cookie(state))


def _server_hello(state: State, _: Send) -> Packet:
    extensions = []
    if state.offered_renegotiation_info:
        extensions.append(EXTENSIONS[_RENEGOTIATION_INFO]())
    if state.offered_point_formats:
        extensions.append(EXTENSIONS[_POINT_FORMATS](ecpl=[0]))
    if state.offered_ems and state.script.extended_master_secret:
        extensions.append(EXTENSIONS[_EMS]())
    return DTLSServerHello(
        random=derive(state.seed, "server random"),
        session_id=b"",
        cipher_suite=state.suite.number,
        extensions=extensions or None,
    )


def _certificate(state: State, _: Send) -> Packet:
    return DTLSCertificate(certificates=list(state.shown.chain))


def _server_key_exchange(state: State, _: Send) -> Packet:
    layer = DTLSServerKeyExchange(
        server_named_curve=NAMED_CURVES[state.script.curve], server_point=state.ephemeral.point, sig=b""
    )
    signed = state.client_random + state.server_random + _parameters(layer)
    layer.sig_hash_alg, layer.sig = sign(state.shown.key, signed, state.script)
    return layer


def key_exchange_signature(state: State, layer: Packet) -> tuple[int, bytes, bytes]:
    """Of the other side's ServerKeyExchange: algorithm, signature, and what is signed (RFC 8422, section 5.4)."""
    return int(layer.sig_hash_alg), bytes(layer.sig), state.client_random + state.server_random + _parameters(layer)


def _parameters(layer: Packet) -> bytes:
    head = bytes([layer.server_curve_type])
    point, curve = bytes(layer.server_point), int(layer.server_named_curve)
    return head + curve.to_bytes(2, "big") + bytes([len(point)]) + point


def _certificate_request(_state: State, _: Send) -> Packet:
    return DTLSCertificateRequest(cert_types=[64, 1], sig_hash_algs=list(_SIGNATURES), dnames=[])


def _server_hello_done(_state: State, _: Send) -> Packet:
    return DTLSServerHelloDone()


def _client_key_exchange(state: State, _: Send) -> Packet:
    return DTLSClientKeyExchangeECDHE(client_point=state.ephemeral.point)


def _certificate_verify(state: State, _: Send) -> Packet:
    algorithm, signature = sign(state.shown.key, bytes(state.transcript), state.script)
    return DTLSCertificateVerify(sig_hash_alg=algorithm, sig=signature)


def _finished(state: State, _: Send) -> Packet:
    keys = state.keys or state.make_keys()
    return DTLSFinished(verify_data=keys.verify_data(bytes(state.transcript), state.client))


def _change_cipher_spec(_state: State, _: Send) -> Packet:
    return DTLSChangeCipherSpec()


def _data(_state: State, send: Send) -> Packet:
    return DTLSApplicationData(app_data=send.hex)


def _alert(_state: State, send: Send) -> Packet:
    return DTLSAlert(level=send.level, desc=send.code)


def _close_notify(_state: State, _: Send) -> Packet:
    return DTLSAlert(level=1, desc=0)


def _opaque(_state: State, send: Send) -> Packet:
    return Opaque(load=send.hex)


_BUILDERS: Final[dict[str, Callable[[State, Send], Packet]]] = {
    "client-hello": _client_hello,
    "client-hello-cookie": _client_hello,
    "hello-verify-request": _hello_verify_request,
    "server-hello": _server_hello,
    "certificate": _certificate,
    "server-key-exchange": _server_key_exchange,
    "certificate-request": _certificate_request,
    "server-hello-done": _server_hello_done,
    "client-key-exchange": _client_key_exchange,
    "certificate-verify": _certificate_verify,
    "finished": _finished,
    "change-cipher-spec": _change_cipher_spec,
    "data": _data,
    "alert": _alert,
    "close-notify": _close_notify,
}


# --- what follows from a message that was said ------------------------------------------------------------------------


def follow_hello(state: State, layer: Packet) -> None:
    """A hello, own or the other side's, as it was really sent: randoms and what was agreed."""
    kinds = {getattr(e, "type", None) for e in getattr(layer, "extensions", None) or ()}
    if isinstance(layer, DTLSClientHello):
        state.client_random = bytes(layer.random)
        state.offered_ems = _EMS in kinds
        state.offered_renegotiation_info = _RENEGOTIATION_INFO in kinds or _SCSV in layer.cipher_suites
        state.offered_point_formats = _POINT_FORMATS in kinds
    elif isinstance(layer, DTLSServerHello):
        state.server_random = bytes(layer.random)
        state.agreed_ems = _EMS in kinds


def has_cookie(state: State, layer: Packet) -> bool:
    """Whether a ClientHello brings the server's cookie, or need not."""
    return not state.script.cookies or hmac.compare_digest(bytes(layer.cookie), cookie(state))
