"""A lock on a file, so that a command that is started twice does not write it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cognito_user_sync_cli.deployment import DeploymentError

try:
    import fcntl
except ImportError:  # Windows, where two commands are not detected.
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file in the context, with another file PATH.lock. A killed process has no lock any more.

    Raises:
        DeploymentError: Another process has the lock, the folder cannot be written, or its file system has no locks.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        file = lock.open("ab")
    except OSError as error:
        raise DeploymentError(f"{path} cannot be written ({error.strerror}): use another file") from error
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DeploymentError(f"another command writes {path}: wait until it ends, or end it") from None
        except OSError as error:
            raise DeploymentError(f"{path} cannot be locked ({error.strerror}): use another file system") from error
        try:
            yield
        finally:
            # Windows does not delete an open file.
            with suppress(OSError):
                lock.unlink()
