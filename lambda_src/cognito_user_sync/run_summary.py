"""The summary of a reconciliation run: the counts of all rounds, and the problems that fail the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from cognito_user_sync.aws_errors import message_of
from cognito_user_sync.reconciliation import COUNTS, MAX_RESTARTS

Json: TypeAlias = dict[str, Any]

# Only with `sync_groups`.
GROUP_COUNTS = ("groups", "memberships", "groups_updated", "unlisted_groups")
NAMED_FAILURES = 10
# Step Functions carries the summary, so texts of other functions are cut.
_MAX_CAUSE_LENGTH = 1_000


def new_summary(dry_run: bool) -> Json:
    """Return the summary of a run before its first round."""
    return {
        "dry_run": dry_run,
        **dict.fromkeys(COUNTS, 0),
        "failed_subs": [],
        "examples": [],
        "allow_deletes_needed": 0,
        "batches": 0,
    }


def new_group_summary(skipped: str | None) -> Json:
    """Return what the summary has with `sync_groups`. `skipped` is the reason why groups are not reconciled."""
    return {**dict.fromkeys(GROUP_COUNTS, 0), "unlisted": [], "group_check_skipped": skipped}


def add_results(summary: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Json:
    """Return the summary with the results of one more round, each a reconciliation.Result as JSON."""
    total = dict(summary)
    for result in results:
        for name in COUNTS:
            total[name] += result["counts"].get(name, 0)
        total["failed_subs"] = [*total["failed_subs"], *result["failed_subs"]][:NAMED_FAILURES]
        total["examples"] = [*total["examples"], *result["examples"]]
        total["allow_deletes_needed"] = max(total["allow_deletes_needed"], result["allow_deletes_needed"])
        total["batches"] += 1
    return total


def add_group_result(summary: Mapping[str, Any], result: Mapping[str, Any]) -> Json:
    """Return the summary with one group_reconciliation.GroupResult as JSON."""
    total = dict(summary)
    for name in (*GROUP_COUNTS, "failed"):
        total[name] += result["counts"].get(name, 0)
    total["failed_subs"] = [*total["failed_subs"], *result["failed_subs"]][:NAMED_FAILURES]
    # Each batch that compares these groups with other users reports them again.
    named = {group["name"] for group in total["unlisted"]}
    new = [group for group in result["unlisted"] if group["name"] not in named]
    total["unlisted_groups"] -= len(result["unlisted"]) - len(new)
    total["unlisted"] = [*total["unlisted"], *new][:NAMED_FAILURES]
    total["batches"] += 1
    return total


def group_problems(summary: Mapping[str, Any], list_users_per_second: float) -> list[str]:
    """Return the problems of a run with `sync_groups`, in words."""
    unlisted = summary.get("unlisted", [])
    if not unlisted:
        return []
    named = ", ".join(f"{group['name']} (after {group['listed']} users)" for group in unlisted)
    problem = (
        f"{summary['unlisted_groups']} groups were not listed to their end, and are not reconciled: {named}."
        " Changes of their users are still synced, with track_changes. A worker lists a group for 12 minutes: raise"
        f" reconciliation.list_users_per_second, which is {list_users_per_second:g}, up to Cognito's quota of 30"
    )
    return [problem]


def problems(summary: Mapping[str, Any], sequential: bool, max_delete_percent: float) -> list[str]:
    """Return the problems in the counts of a summary, in words. The state machine fails a run with problems."""
    found = []
    if sequential:
        found.append(f"{summary['deletion_check_skipped']}: the deletion check was skipped")
    if summary["other_pool"]:
        found.append(f"{summary['other_pool']} users have an item of another pool in the table: not written")
    if summary["failed"]:
        found.append(f"{summary['failed']} users could not be synced, for example {', '.join(summary['failed_subs'])}")
    if needed := summary["allow_deletes_needed"]:
        found.append(
            f"{summary['over_limit']} users are missing in the pool's list and are not deleted: they are more than"
            f" {max_delete_percent:g} percent of their shards. The most in one shard are {needed}. To list them:"
            " cognito-user-sync reconcile --dry-run --deletions-file deletions.txt. If they were really deleted:"
            f" cognito-user-sync reconcile --allow-deletes {needed}"
        )
    if summary["unlisted_shards"]:
        what = "the pool" if sequential else f"{summary['unlisted_shards']} shards"
        found.append(
            f"Cognito did not list {what} to the end in {MAX_RESTARTS + 1} attempts: it rejected the paging token."
            " The next run lists again"
        )
    if summary["still_in_pool"]:
        found.append(
            f"{summary['still_in_pool']} users are missing in the pool's list, but Cognito knows them: not deleted"
        )
    return found


def trigger_problems(trigger: Mapping[str, str]) -> list[str]:
    """Return the problem of the run's trigger check in words, [] if there is none.

    Args:
        trigger: Result of the state EnsureTrigger: Error and Cause if it failed, {} if it did not run.
    """
    if "Error" not in trigger:
        return []
    cause = message_of(trigger.get("Cause", ""))[:_MAX_CAUSE_LENGTH]
    if trigger["Error"] == "TriggerMissingError":
        return [cause]
    return [f"the trigger could not be attached: {trigger['Error']}: {cause}"]
