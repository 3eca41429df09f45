"""The model beside a capture: for every controller seen, whether what it did is allowed (`scewl inspect --judge`).

`conform` asks an implementation and sees its next deadline after each step. An onlooker asks nothing: it has frames and
their times, some links may be missing from the capture, it may have begun late, and it may have lost frames. So it
keeps a set of candidates (a state of the model, the outputs that the rules emitted and that have not been seen yet, and
what was assumed) and drops those that the capture contradicts. `docs/judging-captures.md` says what a verdict means.
"""

from conformance.onlooker.judge import judge_capture
from conformance.onlooker.verdict import Annotation, DeviceVerdict, Standing

__all__ = ["Annotation", "DeviceVerdict", "Standing", "judge_capture"]
