"""What ends a run before its last step: a signal, or the end of its time."""

import signal
import threading
import time
from types import FrameType

from stereohg.data.workers import STOPPING_SIGNALS

SAME_REQUEST = 1.0  # seconds within which a second signal is the first by another way: torchrun passes its own on


class Stopping:
    """``with Stopping(minutes) as stopping: ...`` takes SIGINT and SIGTERM as requests, which ``is_asked()`` tells of.

    In the main thread alone, as Python has it; elsewhere only the time counts, which begins here.

    Args:
        time_limit: minutes; None for none.

    Attributes:
        reason: why the run is to stop, in words; None while it is not.
    """

    def __init__(self, time_limit: float | None):
        self.began, self.time_limit = time.monotonic(), time_limit
        self.reason: str | None = None
        self.signal: int | None = None
        self.handlers: dict = {}

    def __enter__(self) -> "Stopping":
        if threading.current_thread() is threading.main_thread():
            self.handlers = {number: signal.signal(number, self.on_signal) for number in STOPPING_SIGNALS}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None and time.monotonic() - self.signalled > SAME_REQUEST:
            raise KeyboardInterrupt  # who asks twice does not want to wait
        if self.signal is None:
            self.signal, self.signalled = number, time.monotonic()
        self.reason = f"{signal.Signals(number).name} was received"

    def is_asked(self) -> bool:
        limit = self.time_limit
        if limit is not None and time.monotonic() - self.began > 60 * limit:
            self.reason = f"the time limit of {limit:g} minutes is over"
        return self.reason is not None

    def obey(self) -> None:
        """Raises KeyboardInterrupt or SystemExit, as the signal that came, if one did, would have done at once."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)
