"""Plans the reconciliation: the shards of the pool at first, and after each round what is left of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from cognito_user_sync import clients, settings, shards
from cognito_user_sync.aws_errors import message_of
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.rate_limit import RateLimiter, RetryUntilDeadline
from cognito_user_sync.reconciliation import COUNTS, MAX_RESTARTS, check_fields, check_no_others, is_count
from cognito_user_sync.user_table import DeletedUsers

Json: TypeAlias = dict[str, Any]

# Of one round, and of one run: docs/reconciliation.md has the arithmetic of Step Functions' limits.
MAX_BATCHES_OF_ROUND = 128
MAX_BATCHES_OF_RUN = 2_500
MAX_PREFIXES_LEFT = 5_500
NAMED_FAILURES = 10
EXAMPLES = 10

# Of a Batch that does not go on with a listing.
_FROM_FIRST_PAGE: Json = {"token": None, "restarts": 0}

logger = logging.getLogger(__name__)


def handler(event: Json, context: Any) -> Json:
    """{"input": the run's input, "started_at", "trigger": what EnsureTrigger came to} in; after a round also "plan",
    which is what this function returned before, and "results", one Result for each of its batches.

    Out: {"batches": one Batch each, none when all is done; "summary": what the run has come to; "sequential"}.
    Raises InvalidEventError, CognitoRejectedError, TableRejectedError, or OutOfTimeError.
    """
    began = _checked(event)
    options = _options(event["input"])
    if "plan" in event:
        prefixes, listing, sequential, summary = _left(event["plan"], event["results"])
    else:
        planned = _planned(lambda: context.get_remaining_time_in_millis() / 1000)
        prefixes, listing, sequential = list(planned.prefixes), _FROM_FIRST_PAGE, planned.sequential
        summary = {
            "dry_run": options["dry_run"],
            **dict.fromkeys(COUNTS, 0),
            "failed_subs": [],
            "examples": [],
            "allow_deletes_needed": 0,
            "batches": 0,
        }

    parts = shards.split(prefixes, MAX_BATCHES_OF_ROUND)
    unfinished = len(prefixes) > MAX_PREFIXES_LEFT or summary["batches"] + len(parts) > MAX_BATCHES_OF_RUN
    if unfinished:
        parts = []
    of_function = settings.plan_shards()
    deletion_check_skipped = _why_no_deletion_check(sequential)
    workers = min(of_function.max_concurrency, max(len(parts), 1))
    common = {
        "pages_per_second": of_function.list_users_per_second / workers,
        "checks_deletions": deletion_check_skipped is None,
        **listing,
        "sequential": sequential,
        **options,
    }
    summary["seconds"] = round((datetime.now(UTC) - began).total_seconds())
    summary["deletion_check_skipped"] = deletion_check_skipped
    summary["problems"] = _problems(summary, event.get("trigger", {}), unfinished, sequential)
    logger.info("planned", extra={"batches": len(parts), "prefixes": len(prefixes), "summary": summary})
    batches: list[Json] = [{"prefixes": hand, **common} for hand in parts]
    if batches and options["dry_run"]:
        # One worker's, so that the results of all stay small.
        batches[0]["max_examples"] = EXAMPLES - len(summary["examples"])
    return {"batches": batches, "summary": summary, "sequential": sequential}


def _checked(event: Any) -> datetime:
    """When the run began, of an event whose members are of the types that they have to be; the run's input aside."""
    check_fields(event, {"input", "started_at"})
    if "plan" in event:
        check_fields(event, {"plan", "results"})
        check_fields(event["plan"], {"summary", "sequential"})
        check_fields(event["plan"]["summary"], {*COUNTS, "failed_subs", "examples", "allow_deletes_needed", "batches"})
        if not isinstance(event["results"], list):
            raise InvalidEventError("results is not a list")
        for result in event["results"]:
            check_fields(result, {"counts", "failed_subs", "examples", "allow_deletes_needed", "prefixes"})
            check_fields(result, {*_FROM_FIRST_PAGE, "sequential"})
            check_no_others(result["counts"], set(COUNTS))
    trigger = event.get("trigger", {})
    if not isinstance(trigger, dict) or not all(isinstance(value, str) for value in trigger.values()):
        raise InvalidEventError("trigger is not an object of texts")
    try:
        return datetime.fromisoformat(event["started_at"]).astimezone(UTC)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidEventError("started_at is not a moment like 2026-01-31T12:00:00.000Z") from error


def _options(given: Any) -> Json:
    """What the run's input decides of each batch."""
    if not isinstance(given, dict) or not given.keys() <= {"allow_deletes", "dry_run"}:
        raise InvalidEventError(
            f'the input is {_short(given)}: it must be {{}} or like {{"allow_deletes": 500, "dry_run": true}}'
        )
    allowed = given.get("allow_deletes", 0)
    if not is_count(allowed):
        raise InvalidEventError(f"allow_deletes is {_short(allowed)}: it must be a whole number of users, 0 or more")
    dry_run = given.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise InvalidEventError(f"dry_run is {_short(dry_run)}: it must be true or false")
    return {
        "allow_deletes": allowed,
        "dry_run": dry_run,
        "max_delete_percent": settings.plan_shards().max_delete_percent,
    }


def _short(value: Any) -> str:
    """As a person knows it again, and an error can hold it."""
    return repr(value)[:1000]


def _planned(seconds_left: Any) -> shards.Shards:
    of_function = settings.plan_shards()
    retry = RetryUntilDeadline(seconds_left)
    limiter = RateLimiter(of_function.list_users_per_second)

    def is_inhabited(prefix: str) -> bool:
        page = retry.call(limiter.call, clients.user_pool(many=True).page, prefix, None, 1)
        # An empty page that goes on says nothing.
        return bool(page.users or page.unusable) or page.next_token is not None

    checks_deletions = _why_no_deletion_check(sequential=False) is None

    def has_items(prefix: str) -> bool:
        return checks_deletions and bool(retry.call(clients.user_table(many=True).active_subs, prefix)[0])

    users = retry.call(clients.user_pool(many=True).estimated_users)
    pages_per_second = of_function.list_users_per_second / of_function.max_concurrency
    return shards.plan(users, pages_per_second, is_inhabited, has_items, retry.has_time)


def _left(plan: Json, results: list[Json]) -> tuple[list[str], Json, bool, Json]:
    """The prefixes that a round left, where a sequential listing goes on, whether it is one, and the counts so far."""
    summary = plan["summary"]
    for result in results:
        for name in COUNTS:
            summary[name] += result["counts"].get(name, 0)
        summary["failed_subs"] = [*summary["failed_subs"], *result["failed_subs"]][:NAMED_FAILURES]
        summary["examples"] += result["examples"]
        summary["allow_deletes_needed"] = max(summary["allow_deletes_needed"], result["allow_deletes_needed"])
    summary["batches"] += len(results)
    if not plan["sequential"] and any(result["sequential"] for result in results):
        return [""], _FROM_FIRST_PAGE, True, summary
    listing = _FROM_FIRST_PAGE
    if plan["sequential"] and results:
        listing = {name: results[0][name] for name in _FROM_FIRST_PAGE}
    return [prefix for result in results for prefix in result["prefixes"]], listing, plan["sequential"], summary


def _why_no_deletion_check(sequential: bool) -> str | None:
    of_function = settings.plan_shards()
    if sequential:
        return "Cognito did not list this pool by prefixes of sub"
    if of_function.deletion.action is DeletedUsers.KEEP:
        return "deleted_users.action is keep"
    if not of_function.has_shard_index:
        return f"the table {of_function.table_name} has no index by_shard"
    return None


def _problems(summary: Mapping[str, Any], trigger: Mapping[str, str], unfinished: bool, sequential: bool) -> list[str]:
    """What a person has to look at, in words. A run with any fails when it ends."""
    found = []
    if "Error" in trigger:
        said = message_of(trigger.get("Cause", ""))[:1000]
        was_missing = trigger["Error"] == "TriggerMissingError"
        found.append(said if was_missing else f"the trigger could not be attached: {trigger['Error']}: {said}")
    if unfinished:
        found.append("there is more to do than one run holds: the next one begins anew")
    if sequential:
        found.append(f"{_why_no_deletion_check(sequential)}: nobody was looked for who is gone")
    if summary["other_pool"]:
        found.append(f"{summary['other_pool']} users have an item of another pool in the table: not written")
    if summary["failed"]:
        found.append(f"{summary['failed']} users could not be synced, for example {', '.join(summary['failed_subs'])}")
    if needed := summary["allow_deletes_needed"]:
        percent = settings.plan_shards().max_delete_percent
        found.append(
            f"{summary['over_limit']} users are missing in the pool's list and are not deleted: they are more than"
            f" {percent:g} percent of their shards. The most in one shard are {needed}. To see who they are:"
            " cognito-user-sync reconcile --dry-run --deletions-file deletions.txt. If they are really deleted:"
            f" cognito-user-sync reconcile --allow-deletes {needed}"
        )
    if summary["unlisted_shards"]:
        what = "the pool" if sequential else f"{summary['unlisted_shards']} shards"
        found.append(
            f"Cognito did not list {what} to the end in {MAX_RESTARTS + 1} attempts: it rejected the paging marker."
            " The next run lists again"
        )
    if summary["still_in_pool"]:
        found.append(
            f"{summary['still_in_pool']} users are missing in the pool's list, but Cognito knows them: not deleted"
        )
    return found
