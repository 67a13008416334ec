"""The commands `failures ...`: failed executions, whether their emails were sent, and dead-letter queues."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cognito_user_sync.sync_request import SyncRequest, parse
from cognito_user_sync_cli import executions
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import Cause
from cognito_user_sync_cli.failures import Failure, list_failures
from cognito_user_sync_cli.sent_emails import LogGroup
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import FakeAws
from tests.samples import OTHER_SUB, OURS, QUEUE_URL, SUB, USER_SYNC, outputs

NAME = f"sign-up-{SUB}"
LIST, HISTORY, REDRIVE, DESCRIBE = (
    f"sfn.{each}" for each in ("ListExecutions", "GetExecutionHistory", "RedriveExecution", "DescribeExecution")
)
STREAMS, CREATE_STREAM, DELETE_STREAM, FILTER = (
    f"cloudwatch-logs.{each}"
    for each in ("DescribeLogStreams", "CreateLogStream", "DeleteLogStream", "FilterLogEvents")
)
RECEIVE, SEND, DELETE, SHOW_AGAIN = (
    f"sqs.{each}" for each in ("ReceiveMessage", "SendMessage", "DeleteMessage", "ChangeMessageVisibilityBatch")
)
NONE = Response({"executions": []})
DEAD = f"{QUEUE_URL}-dead"


def arn(name: str = NAME) -> str:
    return f"{USER_SYNC.replace(':stateMachine:', ':execution:')}:{name}"


def execution(
    ended_days_ago: float = 0, began_days_ago: float | None = None, name: str = NAME, redrives: int = 0
) -> dict[str, Any]:
    began = ended_days_ago if began_days_ago is None else began_days_ago
    return {
        "executionArn": arn(name),
        "stateMachineArn": USER_SYNC,
        "name": name,
        "status": "FAILED",
        "startDate": time.time() - began * 24 * 3600,
        "stopDate": time.time() - ended_days_ago * 24 * 3600,
        "redriveCount": redrives,
    }


def listed(*executions: dict[str, Any], next_token: str | None = None) -> Response:
    answer: dict[str, Any] = {"executions": list(executions)}
    return Response({**answer, "nextToken": next_token} if next_token else answer)


def history(*events: dict[str, Any]) -> Response:
    """Newest first."""
    return Response({"events": [{"timestamp": 1, "id": 9, "type": "ExecutionFailed", **event} for event in events]})


def entered(state: str) -> dict[str, Any]:
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}}


def failed(error: str, message: str = "rejected") -> dict[str, Any]:
    cause = json.dumps({"errorMessage": message, "stackTrace": ["a", "b"]})
    return {"type": "ExecutionFailed", "executionFailedEventDetails": {"error": error, "cause": cause}}


def streams(*names: str, days_ago: float = 0) -> Response:
    created = int((time.time() - days_ago * 24 * 3600) * 1000)
    return Response({"logStreams": [{"logStreamName": name, "creationTime": created} for name in names]})


def deployment() -> Deployment:
    return Deployment.from_outputs({name: {"value": value} for name, value in outputs().items()}, "")


def found(aws: FakeAws) -> list[Failure]:
    aws.on(STREAMS, streams())
    return list(list_failures(deployment()))


def bodies(aws: FakeAws, operation: str) -> list[Any]:
    return [call.body for call in aws.calls if call.operation == operation]


# --- why an execution failed


@pytest.mark.parametrize(
    ("events", "state", "error", "may_have_sent"),
    [
        ([failed("TableRejectedError"), entered("SyncUser")], "SyncUser", "TableRejectedError", False),
        ([failed("States.Timeout"), entered("SyncUser")], "SyncUser", "States.Timeout", False),
        ([failed("WelcomeNotSentError"), entered("SendWelcome")], "SendWelcome", "WelcomeNotSentError", False),
        ([failed("WelcomeRejectedError"), entered("SendWelcome")], "SendWelcome", "WelcomeRejectedError", False),
        # SendWelcome reads the user before it sends.
        ([failed("CognitoUnavailableError"), entered("SendWelcome")], "SendWelcome", "CognitoUnavailableError", False),
        ([failed("CognitoRejectedError"), entered("SendWelcome")], "SendWelcome", "CognitoRejectedError", False),
        ([failed("UnusableUserError"), entered("SendWelcome")], "SendWelcome", "UnusableUserError", False),
        ([failed("Runtime.ExitError"), entered("SendWelcome")], "SendWelcome", "Runtime.ExitError", True),
        (
            [failed("WelcomeOutcomeUnknownError"), entered("SendWelcome")],
            "SendWelcome",
            "WelcomeOutcomeUnknownError",
            True,
        ),
        ([failed("Lambda.Unknown"), entered("SendWelcome")], "SendWelcome", "Lambda.Unknown", True),
        # Aborted or timed out during a second attempt: the error of the first attempt does not count.
        (
            [
                {"type": "ExecutionAborted"},
                entered("SendWelcome"),
                failed("WelcomeNotSentError"),
                entered("SendWelcome"),
            ],
            "SendWelcome",
            "FAILED",
            True,
        ),
        (
            [{"type": "ExecutionTimedOut", "executionTimedOutEventDetails": {}}, entered("SendWelcome"), failed("A")],
            "SendWelcome",
            "FAILED",
            True,
        ),
        ([failed("States.Runtime")], None, "States.Runtime", False),
    ],
)
def test_cause_is_that_of_the_last_failure(
    aws: FakeAws, events: list[dict[str, Any]], state: str | None, error: str, may_have_sent: bool
) -> None:
    aws.on(LIST, listed(execution()), NONE)
    aws.on(HISTORY, history(*events))
    (failure,) = found(aws)
    assert (failure.name, failure.sub, failure.cause) == (NAME, SUB, Cause(state, error))
    assert failure.cause.may_have_sent is may_have_sent


def test_list_failures_reads_all_pages_and_statuses(aws: FakeAws) -> None:
    aws.on(LIST, listed(execution(), next_token="more"), listed(execution()), listed(execution()), listed(execution()))
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 4
    assert [call.body.get("statusFilter") for call in aws.calls if call.operation == LIST] == [
        "FAILED",
        "FAILED",
        "TIMED_OUT",
        "ABORTED",
    ]


def test_list_failures_stops_at_expired_executions(aws: FakeAws) -> None:
    aws.on(LIST, listed(execution(13.9), execution(14.1), next_token="more"), NONE, NONE)
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 1
    asked = [call.body for call in aws.calls if call.operation == LIST]
    assert [each.get("nextToken") for each in asked] == [None, None, None]
    assert {each["maxResults"] for each in asked} == {1000}


def test_list_failures_compares_end_of_executions(aws: FakeAws) -> None:
    # Executions that have ended are sorted by their end.
    aws.on(LIST, listed(execution(1, began_days_ago=40), execution(2)), NONE, NONE)
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 2


@pytest.mark.parametrize(
    "error",
    [
        *("Runtime.UserCodeSyntaxError", "Runtime.ImportModuleError", "Runtime.HandlerNotFound"),
        *("Lambda.ResourceNotFoundException", "Lambda.KMSAccessDeniedException", "Lambda.KMSDisabledException"),
    ],
)
def test_cause_proves_unsent_email_when_function_did_not_start(error: str) -> None:
    assert not Cause("SendWelcome", error).may_have_sent


# --- the commands

UNKNOWN = history(failed("WelcomeOutcomeUnknownError", "ReadTimeoutError"), entered("SendWelcome"))
REJECTED = history(failed("WelcomeRejectedError", "MessageRejected"), entered("SendWelcome"))
OTHER = f"sign-up-{OTHER_SUB}"


@pytest.fixture
def deployed(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """A deployment with one failed execution, an empty dead-letter queue, and nothing acknowledged."""
    monkeypatch.setattr(executions, "_PAUSE_SECONDS", 0)
    aws.on(LIST, listed(execution()), NONE, NONE)
    aws.on(HISTORY, REJECTED)
    aws.on(STREAMS, streams())
    aws.on(CREATE_STREAM, Response({}))
    aws.on(REDRIVE, Response({"redriveDate": 1}))
    aws.on(DESCRIBE, described())
    aws.on(FILTER, Response({"events": []}))
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead", "maxReceiveCount": 5})
    counts = {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}
    aws.answers["sqs.GetQueueAttributes"] = lambda body: Response(
        {"Attributes": {"RedrivePolicy": policy} if body["AttributeNames"] == ["RedrivePolicy"] else counts}
    )
    aws.on("sqs.GetQueueUrl", Response({"QueueUrl": DEAD}))
    for operation in (SEND, DELETE, SHOW_AGAIN):
        aws.on(operation, Response({"MessageId": "m9", "Successful": [], "Failed": []}))
    return aws


def described(name: str = NAME, redrives: int = 1, status: str = "SUCCEEDED") -> Response:
    output = {"outcome": "created", "sent": True, "message_id": "m1"}
    answer = {**execution(name=name, redrives=redrives), "status": status}
    answer["input"] = SyncRequest(SUB, "ada", "sign_up").to_json()
    return Response({**answer, "output": json.dumps(output)} if status == "SUCCEEDED" else answer)


def run(folder: Path, *arguments: str) -> Result:
    return invoke(folder, outputs(), "failures", *arguments)


@pytest.mark.parametrize("command", [(), ("list",)], ids=["short", "list"])
def test_list_prints_a_line_for_each_execution(deployed: FakeAws, tmp_path: Path, command: tuple[str, ...]) -> None:
    deployed.on(LIST, listed(execution(), execution(name=OTHER)), NONE, NONE)
    deployed.on(HISTORY, UNKNOWN, REJECTED)
    said = run(tmp_path, *command).output
    assert (
        "1 execution: WelcomeRejectedError in SendWelcome: MessageRejected\nThe welcome email was not sent.\n" in said
    )
    assert "The welcome email may have been sent.\n" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith("  ")] == [NAME, OTHER]
    assert "failures redrive" in said
    assert "failures resolve" in said


def test_list_as_json_has_subs_and_names(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(LIST, listed(execution(redrives=2), execution(name="by-hand")), NONE, NONE)
    deployed.on(STREAMS, streams(f"acknowledged/{NAME}/2"))
    listing = json.loads(run(tmp_path, "list", "--json").stdout)
    first, second = listing["failures"]
    del first["ended_at"]
    assert first == {
        "execution": NAME,
        "sub": SUB,
        "failed_in": "SendWelcome",
        "error": "WelcomeRejectedError",
        "message": "MessageRejected",
        "welcome_email": "not_sent",
        "acknowledged": True,
    }
    assert (second["execution"], second["sub"], second["acknowledged"]) == ("by-hand", None, False)
    assert listing["sign_ups_in_dead_letter_queue"] == 0


def test_redrive_waits_for_the_outcome(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(DESCRIBE, described(status="FAILED", redrives=0), described(status="RUNNING"), described())
    result = run(tmp_path, "redrive")
    assert result.stdout == "1 redriven.\n1 succeeded, welcome email sent.\n"
    assert result.exit_code == 0
    assert deployed.operations.count(DESCRIBE) == 3


def test_redrive_reports_execution_that_fails_again(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(DESCRIBE, described(status="FAILED"))
    result = run(tmp_path, "redrive")
    assert result.stdout == "1 redriven.\n1 failed: WelcomeRejectedError in SendWelcome.\n"
    assert result.exit_code == 1


def test_redrive_stops_waiting_after_the_given_time(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(DESCRIBE, described(status="RUNNING"))
    result = run(tmp_path, "redrive", "--wait", "0")
    assert "1 still running." in result.output
    assert result.exit_code == 0


def test_redrive_reports_running_executions_when_interrupted(
    deployed: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    deployed.on(DESCRIBE, described(status="RUNNING"))
    monkeypatch.setattr(time, "sleep", interrupt)
    result = run(tmp_path, "redrive")
    assert result.stdout.startswith("1 redriven.\n1 still running.")
    assert result.exit_code == 130


def test_redrive_reports_expired_execution(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(REDRIVE, error_response("ExecutionNotRedrivable"))
    result = run(tmp_path, "redrive")
    assert f"{NAME}: not redriven: it ended more than 14 days ago" in result.output
    assert "0 redriven." in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "redriven"),
    [
        ((), [OTHER]),
        (("--all",), [NAME, OTHER]),
        (("--error", "WelcomeRejectedError"), [OTHER]),
        (("--error", "TableRejectedError"), []),
        (("--execution", OTHER), [OTHER]),
        (("--execution", NAME), []),
        (("--execution", NAME, "--all"), [NAME]),
        (("--since", "12h"), []),
        (("--since", "12h", "--all"), [NAME]),
        (("--since", "2020-01-01T00:00+02:00"), [OTHER]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_redrive_selects_failures_by_options(
    deployed: FakeAws, tmp_path: Path, arguments: tuple[str, ...], redriven: list[str]
) -> None:
    """The first one may have sent its welcome email. The second one ended yesterday."""
    deployed.on(LIST, listed(execution(), execution(1, name=OTHER)), NONE, NONE)
    ends = {arn(): UNKNOWN, arn(OTHER): REJECTED}
    deployed.answers[HISTORY] = lambda body: ends[body["executionArn"]]
    run(tmp_path, "redrive", *arguments)
    assert [body["executionArn"] for body in bodies(deployed, REDRIVE)] == [arn(name) for name in redriven]


@pytest.mark.parametrize(("arguments", "is_redriven"), [(("--all",), False), (("--execution", NAME), True)])
def test_redrive_skips_acknowledged_failures(
    deployed: FakeAws, tmp_path: Path, arguments: tuple[str, ...], is_redriven: bool
) -> None:
    deployed.on(STREAMS, streams(f"acknowledged/{NAME}/0"))
    said = run(tmp_path, "redrive", *arguments).output
    assert (REDRIVE in deployed.operations) is is_redriven
    assert ("1 skipped: acknowledged." in said) is not is_redriven


def test_redrive_works_without_the_log_group(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(STREAMS, error_response("ResourceNotFoundException"))
    assert "1 redriven." in run(tmp_path, "redrive").output


def test_redrive_reports_executions_that_have_not_failed(deployed: FakeAws, tmp_path: Path) -> None:
    assert f"No execution named {OTHER} has failed" in run(tmp_path, "redrive", "--execution", OTHER).output


def test_acknowledge_covers_the_last_failure_only(deployed: FakeAws, tmp_path: Path) -> None:
    """An execution that fails again after a redrive is not acknowledged."""
    deployed.on(LIST, listed(execution(redrives=3), execution(name=OTHER)), NONE, NONE)
    deployed.on(STREAMS, streams(f"acknowledged/{NAME}/2", f"acknowledged/{OTHER}/0"))
    assert run(tmp_path, "acknowledge").stdout == "1 failure acknowledged.\n"
    [created] = bodies(deployed, CREATE_STREAM)
    group = "/cognito-user-sync/user-sync"
    assert created == {"logGroupName": group, "logStreamName": f"acknowledged/{NAME}/3"}


def test_acknowledge_deletes_expired_marks(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(STREAMS, streams(), streams("acknowledged/a/0", days_ago=14.1), streams("acknowledged/b/0"))
    deployed.on(DELETE_STREAM, Response({}))
    deployed.on(CREATE_STREAM, error_response("ResourceAlreadyExistsException"))
    run(tmp_path, "acknowledge")
    assert [body["logStreamName"] for body in bodies(deployed, DELETE_STREAM)] == ["acknowledged/a/0"]


# --- welcome emails with an unknown outcome

EVENTS = "/aws/events/welcome"


def event(sub: str, kind: str = "Email Sent") -> Any:
    """An event of SES, as EventBridge writes it."""
    mail = {"tags": {"ses:configuration-set": ["welcome"], "sub": [sub]}, "destination": ["ada@example.com"]}
    return {"detail-type": kind, "source": "aws.ses", "detail": {"eventType": "Send", "mail": mail}}


def logged(*lines: Any) -> Response:
    return Response({"events": [{"message": json.dumps(line), "timestamp": 1} for line in (*lines, "text", 1)]})


@pytest.mark.parametrize(
    ("log", "events", "ended_days_ago", "said"),
    [
        ([{"sub": SUB, "welcome_email": "sent"}], [], 1, "1 sent"),
        ([{"sub": SUB, "welcome_email": "other_app_client"}], [event(OTHER_SUB)], 1, "1 not sent"),
        ([], [event(SUB)], 0, "1 sent"),
        ([], [event(SUB, "Email Bounced")], 1, "1 sent"),
        ([], [event(OTHER_SUB)], 1, "1 not sent"),
        ([], [event(OTHER_SUB)], 0, "1 too early"),
        # No event of any email.
        ([], [], 1, "1 unknown"),
        ([], [{"source": "aws.ses", "detail": {"mail": {"tags": {"a": ["b"]}}}}], 1, "1 unknown"),
    ],
)
def test_resolve_decides_by_log_and_events(
    deployed: FakeAws, tmp_path: Path, log: list[Any], events: list[Any], ended_days_ago: float, said: str
) -> None:
    deployed.on(LIST, listed(execution(ended_days_ago)), NONE, NONE)
    deployed.on(HISTORY, UNKNOWN)
    lines = {"/aws/lambda/user-sync-send-welcome": log, EVENTS: events}
    deployed.answers[FILTER] = lambda body: logged(*lines[body["logGroupName"]])
    result = run(tmp_path, "resolve", "--events-log-group", EVENTS)
    assert f"1 welcome email with an unknown outcome.\n{said}:\n  {NAME}\n" in result.output
    assert (CREATE_STREAM in deployed.operations) is (said == "1 sent")
    assert (REDRIVE in deployed.operations) is (said == "1 not sent")
    assert result.exit_code == (0 if said in ("1 sent", "1 not sent") else 1)


def test_resolve_changes_nothing_in_a_dry_run(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(LIST, listed(execution(1), execution(1, name=OTHER)), NONE, NONE)
    deployed.on(HISTORY, UNKNOWN)
    deployed.on(FILTER, logged(event(SUB)))
    said = run(tmp_path, "resolve", "--events-log-group", EVENTS, "--dry-run").output
    assert f"1 sent:\n  {NAME}\n1 not sent:\n  {OTHER}\n" in said
    assert not {CREATE_STREAM, REDRIVE} & {*deployed.operations}


def test_resolve_redrives_nothing_without_events(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(LIST, listed(execution(1)), NONE, NONE)
    deployed.on(HISTORY, UNKNOWN)
    result = run(tmp_path, "resolve")
    assert "events of SES are needed" in result.output
    assert result.exit_code == 1
    assert REDRIVE not in deployed.operations


def test_resolve_reads_events_of_another_region(deployed: FakeAws, tmp_path: Path) -> None:
    group = LogGroup.of(deployment(), f"arn:aws:logs:eu-west-1:111122223333:log-group:{EVENTS}:*")
    assert (group.name, group.logs.meta.region_name) == (EVENTS, "eu-west-1")
    assert LogGroup.of(deployment(), EVENTS).logs.meta.region_name == "eu-central-1"


# --- dead-letter queues

REQUEST = SyncRequest(SUB, "ada", "sign_up", "2026-01-31T12:00:00.000Z", "app1")
POISON = [('{"sub": 1}', "reason is missing"), ("\x1b[2J", "it is not JSON"), ("[" * 9999, "it is not JSON")]


def messages(*contents: str) -> tuple[Response, Response]:
    found = [
        {"MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body, "Attributes": {"SentTimestamp": "0"}}
        for number, body in enumerate(contents, 1)
    ]
    return Response({"Messages": found}), Response({})


def test_requeue_moves_unchanged_message(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(RECEIVE, *messages(REQUEST.to_json()))
    assert run(tmp_path, "requeue").stdout == "1 sign-up moved back.\n"
    [sent] = bodies(deployed, SEND)
    assert sent["QueueUrl"] == QUEUE_URL
    assert parse(json.loads(sent["MessageBody"])) == REQUEST
    assert bodies(deployed, DELETE) == [{"QueueUrl": DEAD, "ReceiptHandle": "r1"}]


@pytest.mark.parametrize(("body", "why"), POISON, ids=["no-request", "no-json", "nested"])
def test_requeue_leaves_invalid_message(deployed: FakeAws, tmp_path: Path, body: str, why: str) -> None:
    """It would return to the dead-letter queue after 12 hours."""
    deployed.on(RECEIVE, *messages(body, REQUEST.to_json()))
    result = run(tmp_path, "requeue")
    assert "1 sign-up moved back.\n1 message not moved: invalid" in result.output
    assert f"  m1: {why}\n" in result.output
    assert result.exit_code == 1
    assert [body["ReceiptHandle"] for body in bodies(deployed, DELETE)] == ["r2"]
    [shown_again] = bodies(deployed, SHOW_AGAIN)
    assert ("r1", 0) in [(each["ReceiptHandle"], each["VisibilityTimeout"]) for each in shown_again["Entries"]]


def test_requeue_ends_when_a_message_is_received_again(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(RECEIVE, messages("poison")[0])
    assert run(tmp_path, "requeue").stdout.startswith("0 sign-ups moved back.\n1 message not moved")


def test_show_prints_messages_as_text(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(RECEIVE, *messages(REQUEST.to_json(), "\x1b[2J[red]"))
    said = run(tmp_path, "show").output
    assert "retry-dead: 2 messages\n" in said
    assert f"    {REQUEST.to_json()}\n" in said
    assert "  m2  sent 1970-01-01 00:00:00 UTC  invalid: it is not JSON\n    \\u001b[2J[red]\n" in said
    assert DELETE not in deployed.operations


def test_failures_count_and_show_lost_events(deployed: FakeAws, tmp_path: Path) -> None:
    queue = f"{QUEUE_URL.removesuffix('retry')}user-events-dead-letter"
    given = outputs(function_arns={"publish-user-events": f"{OURS}-publish-user-events"})
    deployed.on(LIST, NONE)
    answer = deployed.answers["sqs.GetQueueAttributes"]
    counts = {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "0"}
    deployed.answers["sqs.GetQueueAttributes"] = lambda body: (
        Response({"Attributes": counts}) if body["QueueUrl"] == queue else answer(body)
    )
    assert "2 messages about lost user events in the dead-letter queue." in invoke(tmp_path, given, "failures").output
    listing = json.loads(invoke(tmp_path, given, "failures", "list", "--json").stdout)
    assert (listing["sign_ups_in_dead_letter_queue"], listing["messages_about_lost_user_events"]) == (0, 2)
    lost = json.dumps({"DDBStreamBatchInfo": {"batchSize": 7}})
    deployed.on(RECEIVE, Response({}), *messages(lost, "{}"))
    shown = invoke(tmp_path, given, "failures", "show").output
    assert f"UTC\n    {lost}\n" in shown
    assert "invalid: DDBStreamBatchInfo is missing\n    {}\n" in shown


def test_drop_deletes_one_message(deployed: FakeAws, tmp_path: Path) -> None:
    deployed.on(RECEIVE, *messages("poison", REQUEST.to_json()))
    assert run(tmp_path, "drop", "m1").stdout == "Deleted from retry-dead.\n"
    assert bodies(deployed, DELETE) == [{"QueueUrl": DEAD, "ReceiptHandle": "r1"}]
    deployed.on(RECEIVE, Response({}))
    assert "No such message: no dead-letter queue has m1" in run(tmp_path, "drop", "m1").output


@pytest.mark.parametrize("given", ["yesterday", "12", "3w", "2026-13-01"])
def test_since_rejects_invalid_time(deployed: FakeAws, tmp_path: Path, given: str) -> None:
    result = run(tmp_path, "redrive", "--since", given)
    assert result.exit_code == 2
    assert f"{given} is not a time" in " ".join(result.output.replace("│", " ").split())
