"""Sorts what botocore raises into what may pass and what will not."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError


@contextmanager
def sorted_out(
    transient: Set[str], unavailable: type[Exception], refused: type[Exception], but: Set[str] = frozenset()
) -> Iterator[None]:
    """Raises `unavailable` for the error codes in `transient`, for a failure of AWS, and where no answer comes;
    `refused` for every other code. The codes in `but` mean something to the caller: they are raised as they are.

    The messages hold the code alone: AWS's own may repeat what was sent.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in but:
            raise
        if code in transient or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise unavailable(code) from error
        raise refused(code) from error
    except (NoConnectionError, HTTPClientError) as error:
        raise unavailable(type(error).__name__) from error
