"""Plans of a run and its rounds: shards that are not finished are planned again, and problems are reported."""

from __future__ import annotations

import json
import random
import re
from functools import partial
from typing import Any

import pytest

from cognito_user_sync.handlers import plan_shards
from cognito_user_sync.handlers.plan_shards import InvalidEventError
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.reconciliation import Batch
from cognito_user_sync.user import HEX_DIGITS
from cognito_user_sync.user_pool import CognitoRejectedError
from cognito_user_sync.user_table import TableRejectedError
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import Clock, FakeContext
from tests.fakes.cognito_pool import CognitoUser
from tests.fakes.fake_aws import FakeAws
from tests.fakes.subs import plain_sub
from tests.samples import COUNTS, POOL_ID, SUB, environment

DESCRIBE = "cognito-identity-provider.DescribeUserPool"
LIST = "cognito-identity-provider.ListUsers"
QUERY = "dynamodb.Query"

# Of a payload between two states. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
PAYLOAD = 256 * 1024
# Of an error. https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
CAUSE = 32_768
STARTED = "2026-01-01T00:00:00.000Z"
# The limits of a round and of a run, with the arithmetic behind them: docs/reconciliation.md.
MAX_BATCHES_OF_ROUND, MAX_BATCHES_OF_RUN, MAX_PREFIXES_LEFT = 128, 2_500, 5_500
NAMED_FAILURES, NAMED_BY_A_WORKER = 10, 3
NO_USERS = Response({"Users": []})
NO_ITEMS = Response({"Items": [], "Count": 0})
ITEMS = Response({"Items": [{"id": {"S": SUB}}]})


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    for name, value in environment(MAX_DELETE_PERCENT="12.5").items():
        monkeypatch.setenv(name, value)
    clock = Clock()
    monkeypatch.setattr(plan_shards, "RateLimiter", partial(RateLimiter, clock=clock, sleep=clock.sleep))
    monkeypatch.setattr(plan_shards, "RetryUntilDeadline", partial(RetryUntilDeadline, sleep=clock.sleep))
    # 95 seconds after STARTED.
    monkeypatch.setattr(plan_shards, "datetime", Clock(95.4).datetime)
    return clock


def pool_of(users: int) -> Response:
    return Response({"UserPool": {"EstimatedNumberOfUsers": users}})


def user_of(digit: str, **changes: Any) -> Response:
    return Response({"Users": [CognitoUser(digit + SUB[1:], "ada").listed() | changes]})


def plan(event: dict[str, Any] | None = None, seconds_left: float = 300, **changes: Any) -> Any:
    """What the handler returns, through JSON as everything between two states is."""
    given = {"input": {}, "started_at": STARTED, "trigger": {}, **(event or {}), **changes}
    return json.loads(json.dumps(plan_shards.handler(json.loads(json.dumps(given)), FakeContext(seconds_left))))


def a_plan(*prefixes: str, sequential: bool = False, batches: int = 1, **summary: Any) -> dict[str, Any]:
    """What a round before has returned."""
    counted = {**dict.fromkeys(COUNTS, 0), "failed_subs": [], "examples": [], "allow_deletes_needed": 0, **summary}
    return {
        "batches": [{"prefixes": list(prefixes)}],
        "summary": {**counted, "batches": batches},
        "sequential": sequential,
    }


def a_result(*prefixes: str, **changes: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "counts": {},
        "failed_subs": [],
        "examples": [],
        "prefixes": list(prefixes),
        "token": None,
        "restarts": 0,
        "allow_deletes_needed": 0,
        "sequential": False,
    }
    return {**result, **changes}


def after(*results: dict[str, Any], plan_before: dict[str, Any] | None = None, **changes: Any) -> Any:
    return plan(plan=plan_before or a_plan("a"), results=list(results), **changes)


# The first round


def test_plan_shards_plans_one_batch_of_a_small_pool(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    assert plan() == {
        "batches": [
            {
                "prefixes": [""],
                "pages_per_second": 16.0,
                "checks_deletions": True,
                "token": None,
                "restarts": 0,
                "sequential": False,
                "allow_deletes": 0,
                "dry_run": False,
                "max_delete_percent": 12.5,
            }
        ],
        "summary": {
            "dry_run": False,
            **dict.fromkeys(COUNTS, 0),
            "failed_subs": [],
            "examples": [],
            "allow_deletes_needed": 0,
            "batches": 0,
            "seconds": 95,
            "deletion_check_skipped": None,
            "problems": [],
        },
        "sequential": False,
    }
    assert aws.operations == [DESCRIBE]
    assert aws.calls[0].body == {"UserPoolId": POOL_ID}


def test_plan_shards_plans_one_batch_without_an_estimate(aws: FakeAws) -> None:
    aws.on(DESCRIBE, Response({"UserPool": {}}))
    assert [batch["prefixes"] for batch in plan()["batches"]] == [[""]]


def test_plan_shards_plans_a_batch_per_shard(aws: FakeAws, clock: Clock) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, *map(user_of, HEX_DIGITS))
    batches = plan()["batches"]
    assert [batch["prefixes"] for batch in batches] == [[digit] for digit in HEX_DIGITS]
    # Four of them run at the same time.
    assert {batch["pages_per_second"] for batch in batches} == {4.0}
    assert {batch["checks_deletions"] for batch in batches} == {True}
    probes = [call.body for call in aws.calls if call.operation == LIST]
    assert [(probe["Filter"], probe["Limit"]) for probe in probes] == [(f'sub ^= "{d}"', 1) for d in HEX_DIGITS]
    # The planner has the whole rate.
    assert clock.seconds == 15 / 16


def test_plan_shards_treats_an_empty_page_with_a_token_as_users(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, Response({"Users": [], "PaginationToken": "more"}), NO_USERS)
    aws.on(QUERY, NO_ITEMS)
    assert [batch["prefixes"] for batch in plan()["batches"]] == [["0"]]


def test_plan_shards_plans_a_shard_of_an_unusable_user(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, user_of("0", Attributes=[]), NO_USERS)
    aws.on(QUERY, NO_ITEMS)
    assert [batch["prefixes"] for batch in plan()["batches"]] == [["0"]]


def test_plan_shards_plans_a_prefix_with_items_but_without_users(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, user_of("0"), NO_USERS)
    aws.on(QUERY, NO_ITEMS, ITEMS, NO_ITEMS)
    assert [batch["prefixes"] for batch in plan()["batches"]] == [["0"], ["2"]]
    asked = [call.body["ExpressionAttributeValues"][":prefix"]["S"] for call in aws.calls if call.operation == QUERY]
    assert asked == list(HEX_DIGITS[1:])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DELETED_USERS", "keep", "deleted_users.action is keep"),
        ("HAS_SHARD_INDEX", "false", "the table users has no index by_shard"),
    ],
)
def test_plan_shards_reports_why_the_deletion_check_is_skipped(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(name, value)
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, user_of("0"), NO_USERS)
    planned = plan()
    assert [(batch["prefixes"], batch["checks_deletions"]) for batch in planned["batches"]] == [(["0"], False)]
    assert planned["summary"]["deletion_check_skipped"] == why
    # It is as it was asked for: no problem.
    assert planned["summary"]["problems"] == []
    assert QUERY not in aws.operations


@pytest.mark.parametrize(
    "answer",
    [error_response("InvalidParameterException"), user_of("f"), NO_USERS],
    ids=["rejected", "ignored", "no-users"],
)
def test_plan_shards_lists_sequentially_when_prefixes_are_rejected(aws: FakeAws, answer: Response) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, answer)
    planned = plan()
    assert planned["sequential"]
    [batch] = planned["batches"]
    assert (batch["prefixes"], batch["token"], batch["sequential"], batch["checks_deletions"]) == (
        [""],
        None,
        True,
        False,
    )
    assert batch["pages_per_second"] == 16
    why = "Cognito did not list this pool by prefixes of sub"
    assert planned["summary"]["deletion_check_skipped"] == why
    assert planned["summary"]["problems"] == [f"{why}: the deletion check was skipped"]


def test_plan_shards_retries_throttled_calls(aws: FakeAws, clock: Clock) -> None:
    aws.on(DESCRIBE, error_response("TooManyRequestsException"), pool_of(100_000))
    aws.on(
        LIST,
        error_response("TooManyRequestsException"),
        error_response("InternalErrorException", 500),
        user_of("0"),
        NO_USERS,
    )
    aws.on(QUERY, error_response("ThrottlingException"), NO_ITEMS)
    assert [batch["prefixes"] for batch in plan()["batches"]] == [["0"]]
    # Two throttled calls lower the rate for a while.
    assert clock.seconds > 17 / 15


def test_plan_shards_raises_out_of_time_error(aws: FakeAws) -> None:
    aws.on(DESCRIBE, error_response("ThrottlingException"))
    with pytest.raises(OutOfTimeError):
        plan(seconds_left=20)


def test_plan_shards_leaves_large_shards_without_time(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(100_000))
    assert [batch["prefixes"] for batch in plan(seconds_left=20)["batches"]] == [[""]]


def test_plan_shards_raises_rejected_errors_without_a_retry(aws: FakeAws) -> None:
    aws.on(DESCRIBE, error_response("ResourceNotFoundException"))
    with pytest.raises(CognitoRejectedError):
        plan()
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, user_of("0"), NO_USERS)
    aws.on(QUERY, error_response("ResourceNotFoundException"))
    with pytest.raises(TableRejectedError):
        plan()


# The run's input


def test_plan_shards_passes_allow_deletes_to_all_batches(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    first = plan(input={"allow_deletes": 500})
    assert [batch["allow_deletes"] for batch in first["batches"]] == [500]
    both = {"allow_deletes": 500, "dry_run": False}
    second = plan(input=both, plan=first, results=[a_result("1", "2")])
    assert [batch["allow_deletes"] for batch in second["batches"]] == [500, 500]


def test_plan_shards_passes_dry_run_to_all_batches(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    first = plan(input={"dry_run": True})
    second = plan(input={"dry_run": True}, plan=first, results=[a_result("1", "2")])
    assert [batch["dry_run"] for batch in first["batches"] + second["batches"]] == [True] * 3
    assert (first["summary"]["dry_run"], second["summary"]["dry_run"]) == (True, True)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "None"),
        ([], r"\[\]"),
        ("", "''"),
        ({"allow_delete": 5}, "allow_delete"),
        ({"allow_deletes": 5, "more": 1}, "more"),
        ({"allow_deletes": -1}, "allow_deletes is -1"),
        ({"allow_deletes": 1.5}, r"allow_deletes is 1\.5"),
        ({"allow_deletes": "5"}, "allow_deletes is '5'"),
        ({"allow_deletes": True}, "allow_deletes is True"),
        ({"allow_deletes": None}, "allow_deletes is None"),
        ({"dry_run": "true"}, "dry_run is 'true'"),
        ({"dry_run": 1}, "dry_run is 1"),
        ({"only_groups": 1}, "only_groups is 1"),
        ({"only_groups": True}, "only_groups is true, but sync_groups is false"),
    ],
    ids=str,
)
def test_plan_shards_rejects_invalid_input_before_any_call(aws: FakeAws, given: Any, named: str) -> None:
    with pytest.raises(InvalidEventError, match=named) as caught:
        plan(input=given)
    assert re.search("allow_deletes|dry_run|only_groups", str(caught.value))
    assert aws.calls == []


# The rounds after it


def test_plan_shards_ends_the_run_when_all_shards_are_finished(aws: FakeAws) -> None:
    planned = after(a_result(), a_result())
    assert planned["batches"] == []
    assert planned["summary"]["batches"] == 3
    assert planned["summary"]["problems"] == []
    assert aws.calls == []


def test_plan_shards_adds_the_counts_of_all_rounds() -> None:
    first = after(
        a_result("7", counts={"listed": 5, "created": 3, "updated": 2, "deleted": 1}, failed_subs=[]),
        a_result(counts={"listed": 10, "unchanged": 4, "unconfirmed": 5, "failed": 1}, failed_subs=["a"]),
    )
    summary = after(a_result(counts={"listed": 2, "created": 1, "failed": 1}, failed_subs=["b"]), plan_before=first)[
        "summary"
    ]
    assert {name: summary[name] for name in COUNTS} == {
        "listed": 17,
        "created": 4,
        "updated": 2,
        "unchanged": 4,
        "unconfirmed": 5,
        "other_pool": 0,
        "failed": 2,
        "deleted": 1,
        "still_in_pool": 0,
        "over_limit": 0,
        "unlisted_shards": 0,
    }
    assert summary["failed_subs"] == ["a", "b"]
    assert summary["batches"] == 4


def test_plan_shards_plans_unfinished_shards_again() -> None:
    planned = after(a_result("1", "2"), a_result(), a_result("3"))
    assert [batch["prefixes"] for batch in planned["batches"]] == [["1"], ["2"], ["3"]]
    assert {batch["pages_per_second"] for batch in planned["batches"]} == {16 / 3}


def test_plan_shards_limits_the_batches_of_a_round() -> None:
    left = [f"{number:03x}" for number in range(300)]
    batches = after(a_result(*left[:200]), a_result(*left[200:]))["batches"]
    assert len(batches) == MAX_BATCHES_OF_ROUND
    assert sorted(prefix for batch in batches for prefix in batch["prefixes"]) == left
    assert {len(batch["prefixes"]) for batch in batches} == {2, 3}


def test_plan_shards_returns_batches_of_the_worker() -> None:
    [batch] = after(a_result("1"))["batches"]
    assert Batch(**batch).prefixes == ["1"]  # type: ignore[comparison-overlap]


def test_plan_shards_continues_a_sequential_listing_at_its_token() -> None:
    planned = after(a_result("", token="page 12"), plan_before=a_plan("", sequential=True))
    assert planned["sequential"]
    [batch] = planned["batches"]
    assert (batch["prefixes"], batch["token"], batch["sequential"], batch["checks_deletions"]) == (
        [""],
        "page 12",
        True,
        False,
    )


def test_plan_shards_continues_a_sequential_listing_with_its_restarts() -> None:
    planned = after(a_result("", token=None, restarts=3), plan_before=a_plan("", sequential=True))
    [batch] = planned["batches"]
    assert (batch["prefixes"], batch["token"], batch["restarts"]) == ([""], None, 3)


def test_plan_shards_resets_the_restarts_of_a_shard() -> None:
    [batch] = after(a_result("1", restarts=3))["batches"]
    assert batch["restarts"] == 0


def test_plan_shards_reports_a_finished_sequential_listing() -> None:
    planned = after(a_result(), plan_before=a_plan("", sequential=True))
    assert planned["batches"] == []
    assert planned["summary"]["problems"] == [
        "Cognito did not list this pool by prefixes of sub: the deletion check was skipped"
    ]


def test_plan_shards_lists_sequentially_after_a_rejected_prefix() -> None:
    planned = after(
        a_result("1", "2", counts={"listed": 60, "created": 60}), a_result("3", sequential=True), a_result()
    )
    assert planned["sequential"]
    [batch] = planned["batches"]
    assert (batch["prefixes"], batch["token"], batch["sequential"], batch["checks_deletions"]) == (
        [""],
        None,
        True,
        False,
    )
    assert planned["summary"]["created"] == 60
    # And it stays one.
    following = after(a_result("", token="page 2"), plan_before=planned)
    assert following["batches"][0]["token"] == "page 2"


# Problems


def problems(*results: dict[str, Any], **changes: Any) -> list[str]:
    found = after(*results, **changes)["summary"]["problems"]
    assert all(isinstance(problem, str) for problem in found)
    return list(found)


def test_plan_shards_reports_a_trigger_that_cannot_be_attached(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    trigger = {"Error": "ForeignTriggerError", "Cause": "another function is attached"}
    said = ["the trigger could not be attached: ForeignTriggerError: another function is attached"]
    assert plan(trigger=trigger)["summary"]["problems"] == said
    assert problems(a_result(), trigger=trigger) == said


def test_plan_shards_reports_a_missing_trigger_with_its_command(aws: FakeAws) -> None:
    """As Lambda has an error: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html."""
    aws.on(DESCRIBE, pool_of(120))
    said = "the trigger was missing: cognito-user-sync welcome --since 2026-01-31T12:00"
    cause = json.dumps({"errorMessage": said, "errorType": "TriggerMissingError", "stackTrace": []})
    assert plan(trigger={"Error": "TriggerMissingError", "Cause": cause})["summary"]["problems"] == [said]


def test_plan_shards_truncates_a_long_cause(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    [problem] = plan(trigger={"Error": "States.TaskFailed", "Cause": "x" * CAUSE})["summary"]["problems"]
    assert len(problem) < 1_100


@pytest.mark.parametrize("trigger", [{}, {"result": "attached already"}])
def test_plan_shards_reports_no_problem_of_an_attached_trigger(trigger: dict[str, Any]) -> None:
    assert problems(a_result(), trigger=trigger) == []


def test_plan_shards_reports_no_trigger_problem_without_a_check(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    event = {"input": {}, "started_at": STARTED}
    assert plan_shards.handler(event, FakeContext(300))["summary"]["problems"] == []


def test_plan_shards_reports_failed_users_and_names_some() -> None:
    subs = [f"sub-{number}" for number in range(15)]
    results = [
        a_result(counts={"failed": 3}, failed_subs=subs[start : start + NAMED_BY_A_WORKER])
        for start in range(0, 15, NAMED_BY_A_WORKER)
    ]
    [problem] = problems(*results)
    assert problem == f"15 users could not be synced, for example {', '.join(subs[:NAMED_FAILURES])}"


def test_plan_shards_reports_users_missing_only_in_the_list() -> None:
    [problem] = problems(a_result(counts={"still_in_pool": 7}))
    assert problem == "7 users are missing in the pool's list, but Cognito knows them: not deleted"


def test_plan_shards_reports_the_command_that_allows_deletions(aws: FakeAws) -> None:
    first = after(
        a_result("7", counts={"over_limit": 65}, allow_deletes_needed=35),
        a_result(counts={"over_limit": 30}, allow_deletes_needed=30),
    )
    summary = after(a_result(), plan_before=first)["summary"]
    assert (summary["over_limit"], summary["allow_deletes_needed"]) == (95, 35)
    [problem] = summary["problems"]
    assert problem == (
        "95 users are missing in the pool's list and are not deleted: they are more than 12.5 percent of their shards."
        " The most in one shard are 35. To list them: cognito-user-sync reconcile --dry-run --deletions-file"
        " deletions.txt. If they were really deleted: cognito-user-sync reconcile --allow-deletes 35"
    )


@pytest.mark.parametrize(("sequential", "what"), [(False, "2 shards"), (True, "the pool")])
def test_plan_shards_reports_a_listing_without_an_end(sequential: bool, what: str) -> None:
    result = a_result(counts={"unlisted_shards": 2})
    assert (
        f"Cognito did not list {what} to the end in 6 attempts: it rejected the paging token. The next run lists again"
    ) in problems(result, plan_before=a_plan("", sequential=sequential))


def test_plan_shards_reports_problems_of_earlier_rounds() -> None:
    first = after(a_result("1", counts={"still_in_pool": 1}))
    assert len(first["batches"]) == 1
    assert len(after(a_result(), plan_before=first)["summary"]["problems"]) == 1


UNFINISHED = "the pool is too large for one run: the next run starts over"


def test_plan_shards_ends_a_run_with_too_many_batches() -> None:
    before = a_plan("1", batches=MAX_BATCHES_OF_RUN - 2)
    assert len(after(a_result("1"), plan_before=before)["batches"]) == 1
    ended = after(a_result("1", "2"), plan_before=a_plan("1", batches=MAX_BATCHES_OF_RUN - 2))
    assert ended["batches"] == []
    assert ended["summary"]["problems"] == [UNFINISHED]


def test_plan_shards_ends_a_run_with_too_many_prefixes() -> None:
    left = [f"{number:05x}" for number in range(MAX_PREFIXES_LEFT + 1)]
    assert len(after(a_result(*left[1:]))["batches"]) == MAX_BATCHES_OF_ROUND
    ended = after(a_result(*left))
    assert ended["batches"] == []
    assert ended["summary"]["problems"] == [UNFINISHED]


def test_plan_shards_reports_no_problem_at_the_last_batch() -> None:
    assert problems(a_result(), plan_before=a_plan("1", batches=MAX_BATCHES_OF_RUN - 1)) == []


# What Step Functions carries


def _compact(state: Any) -> int:
    return len(json.dumps(state, separators=(",", ":")).encode())


@pytest.mark.parametrize("cut", [False, True], ids=["all-left", "all-left-and-cut"])
def test_plan_shards_state_fits_into_a_payload_of_step_functions(cut: bool) -> None:
    source = random.Random(1)
    left = [plain_sub(source)[:8] for _ in range(MAX_PREFIXES_LEFT)]
    counts = dict.fromkeys(COUNTS, 123_456_789)
    named = [plain_sub(source) for _ in range(NAMED_BY_A_WORKER)]
    trigger = {"Error": "ForeignTriggerError", "Cause": "x" * CAUSE}
    before = after(
        a_result(*left, counts=counts, failed_subs=named),
        *[a_result(failed_subs=named)] * NAMED_FAILURES,
        trigger=trigger,
    )
    assert len(before["batches"]) == MAX_BATCHES_OF_ROUND
    results = [
        # Nothing was done; or, of each batch, the first shard was cut.
        a_result(
            *(batch["prefixes"][1:] if cut else batch["prefixes"]),
            *[batch["prefixes"][0]] * (16 if cut else 0),
            counts=counts,
            failed_subs=named,
        )
        for batch in before["batches"]
    ]
    state = {
        "input": {"allow_deletes": 10**9, "dry_run": False},
        "started_at": STARTED,
        "attach_trigger": "true",
        "trigger": trigger,
    }
    whole = {**state, "plan": before, "results": results}
    assert _compact(whole) < PAYLOAD
    # Afterwards, too.
    assert _compact({**state, "plan": after(*results, plan_before=before, trigger=trigger)}) < PAYLOAD


def test_plan_shards_logs_counts_and_no_personal_data(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    aws.on(DESCRIBE, pool_of(100_000))
    aws.on(LIST, user_of("0", Username="ada@example.com"), NO_USERS)
    aws.on(QUERY, NO_ITEMS)
    plan()
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert (record["batches"], record["prefixes"]) == (1, 1)
    assert "ada" not in repr(record).lower()


def test_plan_shards_truncates_invalid_input_in_the_error(aws: FakeAws) -> None:
    with pytest.raises(InvalidEventError, match="allow_deletes") as raised:
        plan(input={"allow_deletes": "x" * 300_000})
    assert len(str(raised.value)) < CAUSE


# Groups

START = {"after": "", "until": "", "sub": ""}


@pytest.fixture
def _sync_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_GROUPS", "true")


def of_groups(position: dict[str, Any] | None, **counts: int) -> dict[str, Any]:
    """Return the result of a round of groups."""
    return {"counts": counts, "failed_subs": [], "unlisted": [], "left": position}


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_ends_with_rounds_of_groups(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    first = plan()
    assert [batch["prefixes"] for batch in first["batches"]] == [[""]]
    second = after(a_result(), plan_before=first)
    assert second["batches"] == [{"groups": START, "pages_per_second": 16.0, "dry_run": False}]
    left = {**START, "after": "m", "sub": SUB}
    third = after(of_groups(left, groups=3, memberships=9, groups_updated=2), plan_before=second)
    assert [batch["groups"] for batch in third["batches"]] == [left]
    last = after(of_groups(None, groups=1, failed=1), plan_before=third)
    assert last["batches"] == []
    summary = last["summary"]
    assert {name: summary[name] for name in ("groups", "memberships", "groups_updated", "failed", "batches")} == {
        "groups": 4,
        "memberships": 9,
        "groups_updated": 2,
        "failed": 1,
        "batches": 3,
    }
    assert summary["group_check_skipped"] is None


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_reports_groups_that_were_not_listed(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    before = after(a_result(), plan_before=plan())
    unlisted = [{"name": "everyone", "listed": 700000}]
    last = after(of_groups(None, unlisted_groups=1) | {"unlisted": unlisted}, plan_before=before)
    (problem,) = last["summary"]["problems"]
    assert problem.startswith("1 groups were not listed to their end, and are not reconciled: everyone (after 700000")
    assert "list_users_per_second, which is 16" in problem


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_counts_an_unlisted_group_of_two_batches_once() -> None:
    unlisted = of_groups(START, unlisted_groups=1) | {"unlisted": [{"name": "a", "listed": 0}]}
    last = after(unlisted, plan_before=after(unlisted, plan_before=plan(input={"only_groups": True})))
    assert last["summary"]["problems"][0].startswith("1 groups were not listed to their end")


def test_plan_shards_reconciles_groups_when_they_are_enabled_during_a_run(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The apply starts another run, which ends because of this one."""
    aws.on(DESCRIBE, pool_of(120))
    first = plan()
    monkeypatch.setenv("SYNC_GROUPS", "true")
    second = after(a_result(), plan_before=first)
    assert [batch["groups"] for batch in second["batches"]] == [START]
    assert after(of_groups(None, groups=3), plan_before=second)["summary"]["groups"] == 3


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_skips_groups_without_the_index(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAS_SHARD_INDEX", "false")
    aws.on(DESCRIBE, pool_of(120))
    last = after(a_result(), plan_before=plan())
    assert (last["batches"], last["summary"]["group_check_skipped"]) == ([], "the table users has no index by_shard")


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_lists_no_user_when_only_groups_are_reconciled() -> None:
    assert [batch["groups"] for batch in plan(input={"only_groups": True, "dry_run": True})["batches"]] == [START]


def test_plan_shards_plans_no_groups_without_sync_groups(aws: FakeAws) -> None:
    aws.on(DESCRIBE, pool_of(120))
    last = after(a_result(), plan_before=plan())
    assert last["batches"] == []
    assert "groups" not in last["summary"]


@pytest.mark.usefixtures("_sync_groups")
def test_plan_shards_ends_a_run_with_too_many_batches_of_groups() -> None:
    before = plan(input={"only_groups": True})
    before["summary"]["batches"] = MAX_BATCHES_OF_RUN - 1
    last = after(of_groups(START), plan_before=before)
    assert (last["batches"], len(last["summary"]["problems"])) == ([], 1)
