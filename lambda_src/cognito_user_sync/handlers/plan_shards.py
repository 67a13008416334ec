"""Plans a round of the reconciliation: first all shards of the pool, then what each round did not finish.

With `sync_groups`, the last rounds have one batch each, of groups.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from cognito_user_sync import clients, run_summary, settings, shards
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.group_reconciliation import Position
from cognito_user_sync.rate_limit import RateLimiter, RetryUntilDeadline
from cognito_user_sync.user_table import DeletedUsers

Json: TypeAlias = dict[str, Any]

# Limits of one round, and of one run: docs/reconciliation.md has the arithmetic of Step Functions' quotas.
MAX_BATCHES_OF_ROUND = 128
MAX_BATCHES_OF_RUN = 2_500
MAX_PREFIXES_LEFT = 5_500
EXAMPLES = 10

logger = logging.getLogger(__name__)


def _first_page() -> Json:
    return {"token": None, "restarts": 0}


def _first_groups() -> Json | None:
    """Return the position of the first batch of groups, or None if groups are not reconciled."""
    configured = settings.plan_shards()
    return vars(Position()) if configured.sync_groups and configured.has_shard_index else None


@dataclass(frozen=True)
class _Remaining:
    """What a run has not reconciled.

    Attributes:
        prefixes: Shards.
        sequential: As in shards.Shards.
        listing: Token and restarts of a Batch: where a sequential listing continues.
        groups: The Position of the next batch of groups, after the last shard.
    """

    prefixes: list[str]
    sequential: bool = False
    listing: Json = field(default_factory=_first_page)
    groups: Json | None = field(default_factory=_first_groups)


def handler(event: Json, context: Any) -> Json:
    """Plan the next round of a run.

    Args:
        event: {"input": the run's input, "started_at", "trigger": result of EnsureTrigger}. After a round it also has
            "plan", which this function returned before, and "results", one Result for each batch of the plan.
        context: Lambda's context.

    Returns:
        {"batches": one Batch each, or one GroupBatch, none at the end of the run; "summary"; "sequential"}

    Raises:
        InvalidEventError, CognitoRejectedError, TableRejectedError, OutOfTimeError
    """
    options = _options(event["input"])
    only_groups = options.pop("only_groups")
    configured = settings.plan_shards()
    if "plan" in event:
        summary, remaining = _after_round(event["plan"], event["results"])
    else:
        summary = run_summary.new_summary(options["dry_run"])
        remaining = _first_round(only_groups, lambda: context.get_remaining_time_in_millis() / 1000)
    # An apply can have set sync_groups since the round before.
    if configured.sync_groups and "groups" not in summary:
        summary |= run_summary.new_group_summary(None if configured.has_shard_index else _no_shard_index())

    batches = _batches(remaining, options, EXAMPLES - len(summary["examples"]))
    exceeds_run = len(remaining.prefixes) > MAX_PREFIXES_LEFT or summary["batches"] + len(batches) > MAX_BATCHES_OF_RUN
    if exceeds_run:
        batches = []

    summary["seconds"] = round((datetime.now(UTC) - datetime.fromisoformat(event["started_at"])).total_seconds())
    summary["deletion_check_skipped"] = _why_deletion_check_is_skipped(remaining.sequential)
    summary["problems"] = [
        *run_summary.trigger_problems(event.get("trigger", {})),
        *(["the pool is too large for one run: the next run starts over"] if exceeds_run else []),
        *run_summary.problems(summary, remaining.sequential, configured.max_delete_percent),
        *run_summary.group_problems(summary, configured.list_users_per_second),
    ]
    logger.info("planned", extra={"batches": len(batches), "prefixes": len(remaining.prefixes), "summary": summary})
    return {"batches": batches, "summary": summary, "sequential": remaining.sequential}


def _options(run_input: Any) -> Json:
    """Validate the run's input, which an operator can type, and return the options of each batch."""
    if not isinstance(run_input, dict) or not run_input.keys() <= {"allow_deletes", "dry_run", "only_groups"}:
        raise InvalidEventError(
            f'the input is {_shown(run_input)}: it must be {{}} or like {{"allow_deletes": 500, "dry_run": true}}'
        )
    allowed = run_input.get("allow_deletes", 0)
    if not isinstance(allowed, int) or isinstance(allowed, bool) or allowed < 0:
        raise InvalidEventError(f"allow_deletes is {_shown(allowed)}: it must be a whole number of users, 0 or more")
    dry_run = run_input.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise InvalidEventError(f"dry_run is {_shown(dry_run)}: it must be true or false")
    only_groups = run_input.get("only_groups", False)
    if not isinstance(only_groups, bool):
        raise InvalidEventError(f"only_groups is {_shown(only_groups)}: it must be true or false")
    return {
        "only_groups": only_groups,
        "allow_deletes": allowed,
        "dry_run": dry_run,
        "max_delete_percent": settings.plan_shards().max_delete_percent,
    }


def _shown(value: Any) -> str:
    # Step Functions limits the length of an error.
    return repr(value)[:1000]


def _first_round(only_groups: bool, seconds_left: Callable[[], float]) -> _Remaining:
    if not only_groups:
        return _whole_pool(seconds_left)
    if not settings.plan_shards().sync_groups:
        raise InvalidEventError("only_groups is true, but sync_groups is false: set sync_groups, or omit only_groups")
    return _Remaining([])


def _whole_pool(seconds_left: Callable[[], float]) -> _Remaining:
    """Divide the pool into shards."""
    configured = settings.plan_shards()
    retry = RetryUntilDeadline(seconds_left)
    limiter = RateLimiter(configured.list_users_per_second)
    checks_deletions = _why_deletion_check_is_skipped(sequential=False) is None

    def has_users(prefix: str) -> bool:
        page = retry.call(limiter.call, clients.user_pool(many=True).page, prefix, None, 1)
        # An empty page with a token can precede users.
        return bool(page.users or page.unusable) or page.next_token is not None

    def has_items(prefix: str) -> bool:
        return checks_deletions and bool(retry.call(clients.user_table(many=True).active_subs, prefix)[0])

    users = retry.call(clients.user_pool(many=True).estimated_users)
    pages_per_second = configured.list_users_per_second / configured.max_concurrency
    planned = shards.plan(users, pages_per_second, has_users, has_items, retry.has_time)
    return _Remaining(list(planned.prefixes), planned.sequential)


def _after_round(plan: Json, results: list[Json]) -> tuple[Json, _Remaining]:
    """Return the summary with the results of a round, and what remains."""
    if any("groups" in batch for batch in plan["batches"]):
        (result,) = results
        # An apply can have set sync_groups to false since the round before.
        left = result["left"] if _first_groups() else None
        return run_summary.add_group_result(plan["summary"], result), _Remaining([], plan["sequential"], groups=left)
    return run_summary.add_results(plan["summary"], results), _shards_left(plan, results)


def _shards_left(plan: Json, results: list[Json]) -> _Remaining:
    sequential = plan["sequential"]
    if not sequential and any(result["sequential"] for result in results):
        return _Remaining([""], sequential=True)
    prefixes = [prefix for result in results for prefix in result["prefixes"]]
    if sequential and results:
        return _Remaining(prefixes, sequential, {name: results[0][name] for name in _first_page()})
    return _Remaining(prefixes, sequential)


def _batches(remaining: _Remaining, options: Json, examples: int) -> list[Json]:
    """Return the batches of the next round. The workers that run at the same time share the rate of ListUsers.

    Args:
        remaining: What the run has not reconciled.
        options: Options of each batch.
        examples: Number of items that a dry run still describes.
    """
    configured = settings.plan_shards()
    prefixes_of_batches = shards.split(remaining.prefixes, MAX_BATCHES_OF_ROUND)
    if not prefixes_of_batches and remaining.groups:
        rate = configured.list_users_per_second
        return [{"groups": remaining.groups, "pages_per_second": rate, "dry_run": options["dry_run"]}]
    workers = min(configured.max_concurrency, max(len(prefixes_of_batches), 1))
    common = {
        "pages_per_second": configured.list_users_per_second / workers,
        "checks_deletions": _why_deletion_check_is_skipped(remaining.sequential) is None,
        **remaining.listing,
        "sequential": remaining.sequential,
        **options,
    }
    batches = [{"prefixes": prefixes, **common} for prefixes in prefixes_of_batches]
    if batches and options["dry_run"]:
        # Only one worker describes items, to keep the results small.
        batches[0]["max_examples"] = examples
    return batches


def _why_deletion_check_is_skipped(sequential: bool) -> str | None:
    configured = settings.plan_shards()
    if sequential:
        return "Cognito did not list this pool by prefixes of sub"
    if configured.deletion.action is DeletedUsers.KEEP:
        return "deleted_users.action is keep"
    return None if configured.has_shard_index else _no_shard_index()


def _no_shard_index() -> str:
    return f"the table {settings.plan_shards().table_name} has no index by_shard"
