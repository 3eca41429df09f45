"""The engine of one machine: some worker processes, each with one case at a time and one QEMU from case to case."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess

from conformance.running.base import ATTEMPTS, Done, Work
from conformance.targets.base import HarnessError
from conformance.targets.processor import one_processor
from conformance.targets.spare import Spare

_READY = "ready"
_BURIAL_S = 10.0
"""How long a process may take to end after it has closed its pipe."""
_MODULE = "conformance.campaign"
"""What the processes load, once for all."""
_NEW_OBJECTS = 20_000
"""Python looks for garbage after so many; a case makes some hundred thousand, and nearly all go by themselves."""


def run_in_processes(work: Sequence[Work], jobs: int) -> Generator[Done, None, None]:
    """Run cases, `jobs` at a time; with one, in this process. The order in which they come back is that of their ends.

    A worker that dies, by a crash or a signal, costs its case alone: a new worker runs that again, and only a second
    death is the case's ERROR. Raises HarnessError if the workers do not even start.
    """
    if jobs == 1:
        yield from _run_here(work)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_MODULE])
    waiting = deque(enumerate(work))
    deaths: Counter[int] = Counter()
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or any(worker.job is not None for worker in workers.values()):
            while len(workers) < min(jobs, len(workers) + len(waiting)):
                new = _Worker(context)
                workers[new.pipe] = new
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                said = worker.hear()
                job, worker.job = worker.job, None
                if isinstance(said, Done):
                    yield said
                elif said is None:  # dead
                    del workers[pipe]
                    how = worker.post_mortem()
                    if job is None:
                        raise HarnessError(f"a worker process did not start ({how}); use -j 1 to see more")
                    deaths[job] += 1
                    if deaths[job] < ATTEMPTS:
                        waiting.appendleft((job, work[job]))
                    else:
                        yield work[job].lost(
                            f"The process that ran this case died, and so did the one that ran it again ({how}).",
                            ["signal 9 often means that memory ran out; a smaller -j needs less"],
                        )
                    continue
                if waiting:
                    worker.give(*waiting.popleft())
                else:
                    del workers[pipe]
                    worker.end()
    finally:
        for worker in workers.values():
            worker.end()


def _run_here(work: Sequence[Work]) -> Generator[Done, None, None]:
    """One case after the other. Ctrl-C counts between two: where C code calls Python back, it would be lost."""
    spare = Spare()
    pressed: list[int] = []

    def remember(number: int, _frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, before)  # the second time it counts at once

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, remember) if is_main else None
    try:
        with one_processor():
            for case in work:
                if pressed:
                    raise KeyboardInterrupt
                yield case.execute(spare)
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)
        spare.close()


class _Worker:
    """One worker process, seen from the program."""

    def __init__(self, context: ForkServerContext) -> None:
        self.pipe, theirs = context.Pipe()
        self.job: int | None = None
        """Number of the case that it runs."""
        self._process: ForkServerProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            self._process.start()
        except (OSError, EOFError) as error:
            raise HarnessError(f"cannot start a worker process ({error}); use -j 1") from error
        theirs.close()

    def give(self, number: int, job: Work) -> None:
        """Let it run a case. If it has just died, `hear` will say so."""
        self.job = number
        with suppress(OSError):
            self.pipe.send(job)

    def hear(self) -> object:
        """What it says; None if it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """Kill it. Its QEMU ends when it sees that."""
        self.pipe.close()
        self._process.kill()
        self._process.join()

    def post_mortem(self) -> str:
        """How it ended, of one that is dead."""
        self._process.join(_BURIAL_S)
        code = self._process.exitcode
        self.end()
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"


def _serve(pipe: Connection) -> None:
    """What a worker process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program hears it, and ends its workers
    spare = Spare()
    try:
        pipe.send(_READY)
        while True:
            pipe.send(pipe.recv().execute(spare))
            _spare_the_collector()
    except (EOFError, OSError):  # the program has ended, or wants no more
        pass
    finally:
        spare.close()


def _spare_the_collector() -> None:
    """After the first case: what has been loaded stays for good, and need not be looked through again and again."""
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS)
