"""One thread that does all writes. Those that arrive while it waits for the disk share the next commit
(group commit).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from services.orchestrator.store.sqlite.failures import closed, overloaded, store_error
from services.runtime.logs import get_logger

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

_MAXIMUM_WAITING = 1_000
_GROUP_SECONDS = 0.05
_logger = get_logger(__name__)


class _TransactionLost(Exception):
    """SQLite gave up the whole transaction (disk full, input/output error), not only the failing
    statement.
    """


class _Job:
    """One write: its work, and what came of it, which the caller hears after the commit only."""

    def __init__(self, work: Work[Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()
        self._result: Any = None
        self._error: Exception | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work; its failure is the caller's to undo."""
        self._result, self._error = self.work(connection), None

    def run_apart(self, connection: sqlite3.Connection) -> None:
        """Do the work inside a savepoint, so that its failure undoes nothing else."""
        self._result, self._error = None, None
        connection.execute("SAVEPOINT job")
        try:
            self._result = self.work(connection)
        except Exception as error:  # whatever it is belongs to this caller alone
            if not connection.in_transaction:
                raise _TransactionLost from error
            self._error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def deliver(self) -> None:
        """Tell the caller what came of it; the transaction is committed."""
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.fail(self._error)

    def fail(self, error: Exception) -> None:
        """Tell the caller that nothing was written."""
        if isinstance(error, _TransactionLost) and isinstance(error.__cause__, Exception):
            error = error.__cause__
        if isinstance(error, sqlite3.Error):
            _logger.warning("write failed", error=str(error), code=getattr(error, "sqlite_errorname", None))
            answer: Exception = store_error(error)
            answer.__cause__ = error
            error = answer
        self.future.set_exception(error)


class GroupCommitWriter:
    """Runs work on one connection, many pieces a transaction.

    Work may run more than once. A piece that fails undoes the transaction, whose pieces then run again, each inside a
    savepoint: those cost a copy of every page that they touch, too much for the many times when nothing fails. When
    the transaction is lost again (the disk is full), each piece runs in one of its own, so that only the piece that
    cannot be stored fails.

    Attributes:
        write_count: pieces of work that were acknowledged or refused.
        commit_count: transactions committed for them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closing = False
        self.write_count = 0
        self.commit_count = 0
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[Result]) -> Result:
        """Run `work` in a transaction and return its result once that is on disk.

        Raises:
            ServiceError: nothing was written; or what `work` raised.
        """
        job = _Job(work)
        with self._gate:  # nothing may be queued behind the end mark
            if self._closing:
                raise closed()
            if self._jobs.qsize() >= _MAXIMUM_WAITING:
                raise overloaded()
            self._jobs.put(job)
        result: Result = await asyncio.wrap_future(job.future)
        return result

    def close(self) -> None:
        """Finish what waits, end the thread and close the connection."""
        with self._gate:
            if not self._closing:
                self._closing = True
                self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        ended = False
        while not ended:
            job = self._jobs.get()
            if job is None:
                return
            ended = self._serve(job)

    def _serve(self, first: _Job) -> bool:
        """Commit `first` and what is queued behind it; returns True when the end mark came."""
        jobs: list[_Job] = []
        ended = False
        start = time.monotonic()
        job: _Job | None = first
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except Exception as error:
            self._refuse_all(first, error)
            return False
        try:
            while job is not None:
                # From here on a caller who leaves no longer stops its write; one who left before costs
                # nothing.
                if job.future.set_running_or_notify_cancel():
                    jobs.append(job)
                    job.run(self._connection)
                if time.monotonic() - start > _GROUP_SECONDS:
                    break
                try:
                    job = self._jobs.get_nowait()
                    ended = job is None
                except queue.Empty:
                    job = None
            self._connection.execute("COMMIT")
        except Exception:
            self._roll_back()
            self._again(jobs)
            return ended
        self.commit_count += 1
        self._finish(jobs)
        return ended

    def _again(self, jobs: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in jobs:
                job.run_apart(self._connection)
            self._connection.execute("COMMIT")
        except Exception as error:
            self._roll_back()
            if len(jobs) == 1:
                self._finish(jobs, error)
            else:
                for lost in jobs:
                    self._again([lost])
            return
        self.commit_count += 1
        self._finish(jobs)

    def _refuse_all(self, first: _Job, error: Exception) -> None:
        """The transaction could not begin: everything that waits fails now instead of waiting out the lock
        one by one.
        """
        waiting = [first]
        for _ in range(self._jobs.qsize()):
            job = self._jobs.get_nowait()
            if job is None:
                self._jobs.put(None)
                break
            waiting.append(job)
        self._finish([job for job in waiting if job.future.set_running_or_notify_cancel()], error)

    def _finish(self, jobs: list[_Job], error: Exception | None = None) -> None:
        for job in jobs:
            self.write_count += 1
            if error is None:
                job.deliver()
            else:
                job.fail(error)

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            _logger.error("roll back failed", error=str(error))
