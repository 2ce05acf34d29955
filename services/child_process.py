"""One child of `testamur up`: started, started again with back-off when it dies, and ended in order.

Children run in a session of their own, so that a signal to the terminal's process group reaches the parent alone, and hold the read end of a pipe
whose write end only the parent has: they end when it does, however it ends.
"""
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

import structlog

import services

Role = Literal["web", "projector"]
Spawned = Callable[[UUID], None]
Died = Callable[[UUID], Awaitable[None]]
FIRST_BACKOFF_S, LONGEST_BACKOFF_S, HEALTHY_AFTER_S = 0.1, 5.0, 10.0

_log = structlog.get_logger()


class Child:
    """A process of one role, kept alive until it is stopped."""

    def __init__(
        self, role: Role, *, environment: Mapping[str, str], fds: Sequence[int] = (), spawned: Spawned | None = None, died: Died | None = None,
    ) -> None:
        """`fds` are inherited (a web process gets the listening socket so).

        `spawned` is called with the owner id of each process before it starts, `died` with that of each one that ended by itself.
        """
        self.role = role
        self.pid: int | None = None
        self._environment = {**environment, "PYTHONPATH": str(Path(services.__file__).parents[1])}
        self._fds, self._spawned, self._died = tuple(fds), spawned, died
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lifeline_read, self._lifeline_write = os.pipe()

    def start(self) -> None:
        """Begin to keep it alive."""
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.role}")

    async def stop(self, grace_s: float) -> None:
        """Ask it to drain, and kill it after the grace."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    await process.wait()
            except TimeoutError:
                _log.warning("child did not drain in time", role=self.role, pid=process.pid, grace_s=grace_s)
                process.kill()
                await process.wait()
        os.close(self._lifeline_read)
        os.close(self._lifeline_write)

    async def _keep(self) -> None:
        loop, backoff_s = asyncio.get_running_loop(), FIRST_BACKOFF_S
        while True:
            owner, since = uuid4(), loop.time()
            if self._spawned is not None:
                self._spawned(owner)
            self._process = await self._spawn(owner)
            self.pid = self._process.pid
            code = await self._process.wait()
            _log.warning("child ended, another one is started", role=self.role, pid=self.pid, code=code, in_s=backoff_s)
            if self._died is not None:
                await self._died(owner)
            if loop.time() - since > HEALTHY_AFTER_S:
                backoff_s = FIRST_BACKOFF_S
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    async def _spawn(self, owner: UUID) -> asyncio.subprocess.Process:
        arguments = ["--lifeline", str(self._lifeline_read), "--owner", str(owner)]
        for fd in self._fds:
            arguments += ["--socket", str(fd)]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.worker_process", self.role, *arguments,
            env=self._environment, pass_fds=(self._lifeline_read, *self._fds), start_new_session=True, stdin=asyncio.subprocess.DEVNULL)
