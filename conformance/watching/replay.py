"""A watched node's trace once more: judged from its bytes, or its stimuli given to another reference."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.files import write_private
from conformance.results import CaseResult
from conformance.targets.base import HarnessError
from conformance.watching.controller import watch
from conformance.watching.recording import Alarm, Recording, retell
from conformance.watching.wires import read_wire, retell_wire
from model.alphabet import SSS_ID
from reference.controller import Controller
from reference.deployment import Deployment, DeploymentError
from reference.dialect import Dialect


def replay_watched(trace: Path, out: Path, deployment: Path | None) -> CaseResult:
    """Judge a recording once more and write the trace of that into `out`, which exists.

    With the `deployment` that the controller is of, a new reference controller takes the recorded stimuli at the
    recorded times; what it draws at random is then the same, and so is each byte. Raises HarnessError.
    """
    try:
        text = trace.read_text("utf-8")
        node = json.loads(text.split("\n", 1)[0])["watched"]["node"]
        if node == SSS_ID:
            if deployment is not None:
                raise HarnessError(f"{trace}: it is of the SSS, which --deployment cannot repeat; leave it out")
            told = retell_wire(*read_wire(text))
        elif deployment is None:
            told = retell(Recording.from_trace(text))
        else:
            told = repeat(Recording.from_trace(text), Deployment.load(deployment))
    except OSError as error:
        raise HarnessError(f"{trace}: {error.strerror}") from error
    except DeploymentError as error:
        raise HarnessError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"{trace}: {error}") from error
    told.result.trace = f"{told.result.case}.jsonl"
    write_private(out / told.result.trace, told.trace.encode())
    return told.result


def repeat(recording: Recording, deployment: Deployment) -> Alarm:
    """Give a recording's stimuli to a new reference controller. Raises ValueError if it does not allow that."""
    facts = recording.facts
    if facts.boot_entropy is None or not recording.beginning.booted:
        raise ValueError("it does not begin at a boot whose entropy is known: replay it without --deployment")
    first, last, idle = facts.timeouts
    dialect = Dialect(facts.suite, facts.cn_pattern, facts.wide_response, first, last, idle)
    controller = Controller(deployment.image(facts.node), boot_entropy=facts.boot_entropy, dialect=dialect)
    if controller.certificate != facts.certificate:
        raise ValueError(f"the deployment has another certificate for SED {facts.node} than the trace")
    alarms: list[Alarm] = []
    again = watch(controller, alarms.append, boot_entropy=facts.boot_entropy)
    for number, moment in enumerate(recording.moments):
        if moment.link is None:
            again.on_time(moment.now)
        else:
            again.receive(moment.link, moment.data, moment.now)
        if alarms:
            break
        if tuple(again.outgoing()) != moment.chunks:
            told = again.told()
            told.result.evidence.append(f"from step {number} on it does something else than was recorded, and may")
            return told
    return alarms[0] if alarms else again.told()
