"""The engine of many machines: a Dask cluster (https://distributed.dask.org), or one of this machine's processes.

Dask gives the cases out, and gives those of a worker that is gone to another. What a worker needs of our side comes
with the run: the firmware as bytes, and which sources have to be installed there.
"""

from __future__ import annotations

import hashlib
import logging
import signal
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import dask
import distributed
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin

from conformance.campaign import Job
from conformance.running.base import ATTEMPTS, Done
from conformance.running.journal import suite_version
from conformance.targets.base import HarnessError
from conformance.targets.spare import Spare

LOCAL: Final = "local"
"""The address that asks for an embedded cluster."""
_PLUGIN: Final = "scewl-conform"
_CONNECT_S = 15
_WORKERS_S = 60


class Bench(WorkerPlugin):
    """What each worker has for as long as the run lasts: the firmware as a file, and room for a QEMU.

    Dask sets it up on workers that join later or start again, too.
    """

    name = _PLUGIN

    def __init__(self, version: str, firmware: bytes | None) -> None:
        """`version`: of the sources that the program runs; `firmware`: an ELF file, if the cases need one."""
        self._version, self._firmware = version, firmware

    def __reduce__(self) -> tuple[Any, ...]:
        return Bench, (self._version, self._firmware)

    def setup(self, worker: Worker) -> None:
        """On the worker. Raises RuntimeError if it has other sources than the program."""
        if (theirs := suite_version()) != self._version:
            raise RuntimeError(f"{worker.address} has other sources of the suite: {theirs}, not {self._version}")
        self.spare = Spare()
        self.lock = threading.Lock()
        self.path: Path | None = None
        if self._firmware is not None:
            digest = hashlib.sha256(self._firmware).hexdigest()[:16]
            self.path = Path(worker.local_directory) / f"{digest}.elf"
            self.path.write_bytes(self._firmware)

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's interface
        """On the worker, when it ends."""
        self.spare.close()


def _run(job: Job) -> Done:
    """On a worker: one case. A process runs one at a time, however many threads it has: so does the real DTLS."""
    bench = distributed.get_worker().plugins[_PLUGIN]
    assert isinstance(bench, Bench)
    here = replace(job, firmware=bench.path)
    with bench.lock:
        done = here.execute(bench.spare)
    done.result.reproduce = job.command()
    return done


def run_on_cluster(work: Sequence[Job], address: str, jobs: int, firmware: Path | None) -> Generator[Done, None, None]:
    """Run cases on the cluster whose scheduler is at `address`, or on `jobs` processes of this machine for `local`.

    `firmware` is the file that the cases judge, None if they need none. A worker that dies costs nothing: its cases
    are run again elsewhere. A case that ends its worker each time is an ERROR. Raises HarnessError if the cluster
    cannot be reached, has no worker, or its workers have other sources.
    """
    with _client(address, jobs) as client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError as error:
            raise HarnessError(
                f"the cluster at {address} has no worker: start some with `dask worker {address} --nthreads 1`"
            ) from error
        bench = Bench(suite_version(), None if firmware is None else firmware.read_bytes())
        try:
            client.register_plugin(bench)
        except Exception as error:
            raise HarnessError(
                f"a worker of the cluster at {address} cannot run the suite: {error}",
                ["each needs the same version of this project in its environment, and QEMU"],
            ) from error
        yield from _results(client, work)


def _results(client: Client, work: Sequence[Job]) -> Generator[Done, None, None]:
    """The cases as they end; as many are given out as there are threads.

    Where a worker dies, Dask cannot always tell the case that it ran from one that waited for it. So a case that was
    there twice is run once more, alone, before it is called an error.
    """
    waiting, suspects = deque(work), deque[Job]()
    deaths: Counter[str] = Counter()
    flying: dict[Future[Done], Job] = {}
    ended = distributed.as_completed()
    try:
        while waiting or flying or suspects:
            room = max(sum(client.nthreads().values()), 1) - len(flying)
            batch = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            if not batch and not flying:
                batch = [suspects.popleft()]
            for job in batch:
                future = client.submit(_run, job, pure=False)
                flying[future] = job
                ended.add(future)
            future = next(ended)
            job = flying.pop(future)
            failure = future.exception() if future.status == "error" else None
            if future.status == "finished":
                yield future.result()
            elif isinstance(failure, distributed.KilledWorker) and deaths[job.purpose.id] < ATTEMPTS:
                deaths[job.purpose.id] += 1
                (waiting if deaths[job.purpose.id] < ATTEMPTS else suspects).append(job)
            elif isinstance(failure, distributed.KilledWorker):
                yield job.lost(f"The process that ran this case died, each of {ATTEMPTS + 1} times.")
            else:
                yield job.lost(f"The cluster could not run this case: {failure or future.status}")
    finally:
        client.cancel(list(flying), force=True)
        client.unregister_worker_plugin(_PLUGIN)


@contextmanager
def _client(address: str, jobs: int) -> Iterator[Client]:
    """A connection. Raises HarnessError if there is none to be had."""
    # What Dask says of workers that die is not for whoever waits for verdicts: nothing is lost.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if address == LOCAL:
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # `_results` counts them
            tempfile.TemporaryDirectory() as scratch,  # else shared with every Dask of this machine
        ):
            with _interrupts_ignored():
                cluster = LocalCluster(
                    jobs,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",  # any port, lest two runs want the same
                    silence_logs=logging.CRITICAL,
                    local_directory=scratch,
                )
            with cluster, Client(cluster) as client:
                yield client
        return
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise HarnessError(f"no Dask scheduler at {address} ({error}); `dask scheduler` starts one") from error
    with client:
        yield client


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What starts here does not hear Ctrl-C: the program does, and ends it."""
    if threading.current_thread() is not threading.main_thread():  # only that may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
