"""The rules of a controller, once: `RULES`, in the order bus, handshake, message, drops."""

from __future__ import annotations

from model.rules import bus, handshake, message
from model.rules.base import RULES, Effect, Emit, Rule, add_drops

__all__ = ["RULES", "Effect", "Emit", "Rule", "bus", "handshake", "message"]

add_drops(
    {
        "cpu-send": ("SES-12.send", "SES-12", "In FATAL_ERROR the CPU's frames are not acted on."),
        "cpu-request": ("SES-12.request", "SES-12", "In FATAL_ERROR the CPU's frames are not acted on."),
        "cpu-faa": ("SES-12.faa", "SES-12 FRM-5", "In FATAL_ERROR not even FAA frames pass."),
        "cpu-other": (
            "FRM-6.drop",
            "FRM-6 FRM-2",
            "Frames for broadcast, for the own id and oversize ones are dropped.",
        ),
        "cpu-oversize": ("FRM-2.refuse", "FRM-2 SES-10", "An oversize message is consumed and dropped."),
        "start-failure": ("SES-11.busy", "SES-11 SES-1", "No session is started while one runs."),
        "radio-faa": ("FRM-5.drop", "FRM-5 SES-12", "FAA frames that may not pass now are dropped."),
        "hello": ("SES-5.hello", "SES-5", "A hello at a time when no session may open is dropped."),
        "hello-cookie": ("SES-5.hello-cookie", "SES-5 SES-9", "A hello at a time when no session may open is dropped."),
        "flight5": ("SES-5.flight5", "SES-5", "A flight of no running session is dropped."),
        "verify-request": ("SES-5.verify", "SES-5", "A HelloVerifyRequest that answers no hello of ours is dropped."),
        "flight4": ("SES-5.flight4", "SES-5", "A flight of no running session is dropped."),
        "flight6": ("SES-5.flight6", "SES-5", "A flight of no running session is dropped."),
        "certificate": (
            "CRT-7.accept",
            "CRT-7 CRT-3",
            "A good certificate, or one of no running session, changes nothing by itself.",
        ),
        "repeat": ("DTL-7.repeat", "DTL-7 SES-5", "A repeated flight that needs no answer is dropped."),
        "forged": ("SES-5.forged", "SES-5 SES-6", "Handshake messages outside a handshake are dropped."),
        "data": ("SES-5.data", "SES-5", "Records of no running session are dropped."),
        "response": ("SES-5.response", "SES-5", "A response that was not asked for is dropped."),
        "close": ("SES-5.close", "SES-5", "A close_notify of no running session is dropped."),
        "alert": (
            "SES-5.alert",
            "SES-5 DTL-7",
            "An alert of no running session, or a plaintext one after the handshake, is dropped.",
        ),
        "noise": ("SES-7.noise", "SES-7 SES-12 SES-5", "What authenticates nowhere changes nothing."),
    }
)
