"""Captures: SCEWL frames in pcap and pcapng files, with the secrets and the public facts that inspection needs."""

from conformance.capture.context import Context
from conformance.capture.entries import Entry, KeyLogText, Problem
from conformance.capture.frame import LINKTYPE_USER0, CapturedFrame
from conformance.capture.read import read_capture
from conformance.capture.write import capture_bytes, write_capture

__all__ = [
    "LINKTYPE_USER0",
    "CapturedFrame",
    "Context",
    "Entry",
    "KeyLogText",
    "Problem",
    "capture_bytes",
    "read_capture",
    "write_capture",
]
