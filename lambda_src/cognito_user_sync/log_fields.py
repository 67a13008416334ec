"""The fields that a log line about an error has. None holds personal data: what AWS says may repeat what was sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)


def of_error(error: Exception) -> dict[str, str]:
    """Return `error`, the name that this module gives it, and `code`, the name that AWS gives its cause.

    They are the same if there is only one.
    """
    aws = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(aws, ClientError):
        return {"error": type(error).__name__, "code": type(aws or error).__name__}
    code = aws.response["Error"]["Code"]
    return {"error": code if aws is error else type(error).__name__, "code": code}


def log_failure(sub: str, error: Exception) -> None:
    """Log that a user was not synced or not welcomed."""
    logger.warning("user not handled", extra={"sub": sub, **of_error(error)})


@contextmanager
def failure_logged(sub: str) -> Iterator[None]:
    """Log what is raised, and raise it. Lambda's own line about an error lacks the sub."""
    try:
        yield
    except Exception as error:
        log_failure(sub, error)
        raise
