"""Runs a service that never outlives its parent: `python -m services.cli.supervised <pipe> <grace> <module>`.

The parent holds the other end of the pipe. The kernel closes it however the parent ends, kill -9 included; the service
then drains as on SIGTERM and is gone after the grace period at the latest. Needs nothing but a POSIX system.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time


def end_with_parent(pipe: int, grace_seconds: float) -> None:
    """Wait until nobody holds the other end of `pipe` any more, then end this process."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_seconds)
    os._exit(1)


if __name__ == "__main__":
    descriptor, grace, module = sys.argv[1:]
    sys.argv = [module]
    threading.Thread(target=end_with_parent, args=(int(descriptor), float(grace)), daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
