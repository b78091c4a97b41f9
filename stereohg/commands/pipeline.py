"""Reading, work and writing of many things at once: the next is read and the last is written while one is worked on."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """An item with its result, or the error that ended it."""

    item: Item
    result: Result | None = None
    error: Exception | None = None


def pipeline(
    items: Iterable[Item],
    read: Callable[[Item], Given],
    work: Callable[[Given], Result],
    write: Callable[[Item, Result], None],
) -> Iterator[Done[Item, Result]]:
    """What became of each item, in their order, once it is written.

    ``read`` runs in one thread and ``write`` in another, each one item ahead or behind; ``work`` runs in the caller's.
    An error ends its item alone. When the caller stops, or is interrupted, what is being written is finished.
    """
    with _thread() as reader, _thread() as writer:
        coming = ((item, reader.submit(read, item)) for item in items)
        writing: tuple[Item, Result, Future[None]] | None = None
        following = next(coming, None)
        while following is not None:
            item, given = following
            given.exception()  # waits: so no more than one is read ahead
            following = next(coming, None)
            result, error = _attempt(lambda given=given: work(given.result()))
            if writing is not None:
                yield _written(*writing)
                writing = None
            if error is not None:
                yield Done(item, error=error)
            else:
                writing = item, result, writer.submit(write, item, result)
        if writing is not None:
            yield _written(*writing)


def _attempt(call: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:
        return None, error


def _written(item: Item, result: Result, writing: Future[None]) -> Done[Item, Result]:
    error = writing.exception()
    return Done(item, result) if error is None else Done(item, error=error)


@contextmanager
def _thread() -> Iterator[ThreadPoolExecutor]:
    """One thread, which at the end does not begin anything more."""
    thread = ThreadPoolExecutor(1)
    try:
        yield thread
    finally:
        thread.shutdown(cancel_futures=True)
