"""The fields of log lines about errors. They hold no personal data: messages of AWS may repeat the request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

logger = logging.getLogger(__name__)


def error_fields(error: Exception) -> dict[str, str]:
    """Return `error`, this module's name of the error, and `code`, AWS's name of its cause.

    They are the same if there is only one.
    """
    aws = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(aws, ClientError):
        return {"error": type(error).__name__, "code": type(aws or error).__name__}
    code = aws.response["Error"]["Code"]
    return {"error": code if aws is error else type(error).__name__, "code": code}


def log_failure(sub: str, error: Exception) -> None:
    """Log that a user was not synced, or that the welcome email was not sent."""
    logger.warning("user not handled", extra={"sub": sub, **error_fields(error)})


@contextmanager
def failure_logged(sub: str) -> Iterator[None]:
    """Log an exception with the user's sub, which Lambda's own line about it lacks, and raise it."""
    try:
        yield
    except Exception as error:
        log_failure(sub, error)
        raise
