"""Reconciles one batch of shards, or of groups: a worker of the reconciliation."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from cognito_user_sync import clients
from cognito_user_sync.group_reconciliation import GroupBatch, GroupWorker
from cognito_user_sync.reconciliation import Batch, Worker

# Interval of the log lines about progress. `cognito-user-sync reconcile` shows them.
_PROGRESS_SECONDS = 5.0

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Reconcile a Batch or GroupBatch, and return the Result or GroupResult. Raises the errors of the worker."""
    if "groups" in event:
        return _reconcile_groups(event, context)
    batch = Batch.from_json(event)
    worker = Worker(
        clients.user_pool(many=True),
        clients.user_table(many=True),
        batch,
        lambda: context.get_remaining_time_in_millis() / 1000,
        progress=_logged_progress(),
    )
    result = worker.work()
    counts = dict(result.counts)
    logger.info(
        "reconciled",
        extra={
            "prefixes": event["prefixes"],
            "counts": counts,
            "listed": counts.get("listed", 0),
            "left": len(result.prefixes),
        },
    )
    return result.to_json()


def _reconcile_groups(event: dict[str, Any], context: Any) -> dict[str, Any]:
    worker = GroupWorker(
        clients.user_pool(many=True),
        clients.user_table(many=True),
        GroupBatch.from_json(event),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    result = worker.work()
    logger.info("groups reconciled", extra={"counts": dict(result.counts), "is_done": result.left is None})
    return result.to_json()


def _logged_progress() -> Callable[[int], None]:
    """Return a function that logs the number of listed users, at most every few seconds."""
    last = time.monotonic()

    def log(listed: int) -> None:
        nonlocal last
        moment = time.monotonic()
        if moment - last >= _PROGRESS_SECONDS:
            last = moment
            logger.info("reconciling", extra={"listed": listed})

    return log
