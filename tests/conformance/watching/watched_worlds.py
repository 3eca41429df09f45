"""Worlds in memory in which somebody has the model beside him, and what is done in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from memory_world import DEPLOYMENT, World

from conformance.watching import Alarm, WatchedSss, watch
from model.alphabet import FAA_ID, Link
from reference.deployment import Deployment
from reference.dtls import CookieJar
from reference.frame import Frame


def watched_world(*ids: int, go_on: bool = False) -> tuple[World, list[Alarm]]:
    world, alarms = World.of(*ids), []
    world.nodes = {i: watch(c, alarms.append, go_on=go_on) for i, c in world.nodes.items()}  # type: ignore[misc]
    return world, alarms


def watched_sss(*ids: int, **settings: Any) -> tuple[World, WatchedSss, list[Alarm]]:
    alarms: list[Alarm] = []
    deployment = settings.pop("deployment", None) or Deployment(DEPLOYMENT.authority, dict(DEPLOYMENT.seds))
    sss = WatchedSss(deployment, alarm=alarms.append, seed=b"sss", **settings)
    world = World.of(*ids)
    world.sss = sss
    return world, sss, alarms


def busy(world: World) -> None:
    """Registrations, messages both ways, a glare, a silence, and the end of it all."""
    first, second = sorted(world.nodes)[:2]
    assert world.request(first, 0) == 0
    world.cpu(first, second, b"across CAs")
    assert world.request(second, 0) == 0
    world.cpu(first, second, bytes(3_000))
    world.cpu(second, first, b"")
    for one, other in ((first, second), (second, first)):
        world.nodes[one].receive(Link.CPU, Frame(other, one, b"glare").encode(), world.now)
        world.nodes[one].receive(Link.CPU, Frame(FAA_ID, one, b"through").encode(), world.now)
    world.settle()
    world.cpu(first, 7, b"nobody is there")
    world.cpu(first, second, b"waits")
    world.run()
    assert world.request(first, 1) == 1
    assert world.request(first, 1) == -1


@contextmanager
def wrong_cookies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CookieJar, "is_valid", lambda *_: True)
        yield


def accuse(world: World, alarms: list[Alarm]) -> Alarm:
    with wrong_cookies():
        world.cpu(3, 4, b"message")
    assert alarms, "a controller that checks no cookie was not found out"
    return alarms[0]
