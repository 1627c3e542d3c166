"""Errors of the tokenizers library: bare exceptions, and panics of its Rust code."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import UserError

PANIC = "PanicException"  # of pyo3, which exports no class; a BaseException


@contextmanager
def refused(message: str) -> Iterator[None]:
    """Raises UserError, which begins with ``message``, for an error of the library in the block."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != PANIC:
            raise
        raise UserError(f"{message}: {error}") from error
