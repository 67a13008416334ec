"""Whether all is well, section by section: a section that cannot be read hides none of the others.

A new section is a function that yields its facts and problems, and an entry of SECTIONS.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from cognito_user_sync import settings
from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.user import UNCONFIRMED, timestamp
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import BY_SHARD, TableRejectedError, TableUnavailableError
from cognito_user_sync.welcome_email import header_mailbox
from cognito_user_sync.welcome_outcome import SENT
from cognito_user_sync_cli import welcome
from cognito_user_sync_cli.aws_errors import unless_gone, why_unreadable
from cognito_user_sync_cli.deployment import Deployment, NotDeployedError
from cognito_user_sync_cli.executions import failed, of_sign_up, retried
from cognito_user_sync_cli.failures import unacknowledged
from cognito_user_sync_cli.log_lines import json_lines
from cognito_user_sync_cli.pauses import PartName, part, pauses
from cognito_user_sync_cli.reconciliation import Run, runs, user_counts
from cognito_user_sync_cli.rollback import code
from cognito_user_sync_cli.terminal import counted

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

# What failed longer ago does not make a deployment unwell: reconciliation has synced the user since, or a person has
# decided to leave it.
RECENT = timedelta(days=1)
# More names than these CloudWatch does not take at once.
_ALARMS_AT_ONCE = 100
# As long a user may be missing in the table: an execution or a tracked change takes less.
_SYNCED_WITHIN = timedelta(minutes=15)
# As many subs as a problem names, and as many as are looked up: JSON has all of them.
_SUBS_NAMED, _SUBS_LOOKED_UP = 10, 100
# table.email_index
_BY_EMAIL = "by_email"
# A table that is made anew is empty, and its name is taken: a restore into that name is then impossible.
_RESTORE = "Do not apply: that makes an empty table. Restore it first: docs/operations.md#the-table-was-deleted-or-is-wrong"


@dataclass(frozen=True)
class Fact:
    """Something that was read.

    Attributes:
        name: Its key in JSON.
        value: What JSON shows.
        shown: What an operator is shown; empty for nothing.
    """

    name: str
    value: Any
    shown: str = ""


@dataclass(frozen=True)
class Problem:
    """Something that is certainly wrong, with what to do."""

    text: str


Findings: TypeAlias = Iterator[Fact | Problem]


@dataclass(frozen=True)
class Section:
    """What was found out about one part of the deployment.

    Attributes:
        cannot_tell: Why not everything could be read, and what to do; None if everything was.
    """

    name: str
    facts: Sequence[Fact]
    problems: Sequence[str]
    cannot_tell: str | None

    def to_json(self) -> dict[str, Any]:
        facts = {fact.name: fact.value for fact in self.facts}
        return {"facts": facts, "problems": self.problems, "cannot_tell": self.cannot_tell}


@dataclass(frozen=True)
class Status:
    deployment: Deployment
    sections: Sequence[Section]

    @property
    def is_healthy(self) -> bool:
        """Whether everything could be read, and nothing is wrong."""
        return not self.problems and not self.cannot_tell

    @property
    def problems(self) -> list[str]:
        """What is certainly wrong, each with what to do."""
        return [problem for section in self.sections for problem in section.problems]

    @property
    def cannot_tell(self) -> list[str]:
        return [f"{section.name}: {section.cannot_tell}" for section in self.sections if section.cannot_tell]

    @property
    def last_run(self) -> Run | None:
        return next(
            (fact.value for section in self.sections for fact in section.facts if fact.name == "last_run"), None
        )

    def to_json(self) -> str:
        """Return the document that docs/operations.md describes."""
        deployment = self.deployment
        document = {
            "healthy": self.is_healthy,
            "problems": self.problems,
            "cannot_tell": self.cannot_tell,
            "deployment": {name: getattr(deployment, name) for name in ("prefix", "account", "region", "version")},
            "dashboard_url": deployment.dashboard_url,
            "sections": {section.name: section.to_json() for section in self.sections},
        }
        return json.dumps(document, indent=2, default=_jsonable)


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def status(deployment: Deployment) -> Status:
    """Read all sections at once, so that an unavailable service costs its own time only."""
    # boto3 makes clients in one thread at a time. That of SES, whose region is read first, is the only one made later.
    _ = (deployment.cognito, deployment.dynamodb, deployment.functions, deployment.logs, deployment.states)
    _ = (deployment.queues, deployment.events, deployment.scheduler, deployment.alarms, deployment.iam)
    with ThreadPoolExecutor(len(SECTIONS)) as threads:
        read = partial(_section, deployment)
        return Status(deployment, list(threads.map(read, SECTIONS, SECTIONS.values())))


def _section(deployment: Deployment, name: str, find: Callable[[Deployment], Findings]) -> Section:
    """Return what the section yields until it ends or fails."""
    facts: list[Fact] = []
    problems: list[str] = []
    cannot_tell = None
    try:
        for found in find(deployment):
            if isinstance(found, Fact):
                facts.append(found)
            else:
                problems.append(found.text)
    except NoCredentialsError:
        raise
    except (BotoCoreError, ClientError) as error:
        cannot_tell = why_unreadable(error)
    except NotDeployedError as error:
        cannot_tell = str(error)
    except (
        AccessDeniedError,
        CognitoRejectedError,
        CognitoUnavailableError,
        TableRejectedError,
        TableUnavailableError,
    ) as error:
        cause = error.__cause__
        cannot_tell = why_unreadable(cause) if isinstance(cause, BotoCoreError | ClientError) else str(error)
    return Section(name, facts, problems, cannot_tell)


# --- the sections


def _user_pool(deployment: Deployment) -> Findings:
    answer = unless_gone(lambda: deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id))
    if answer is None:
        yield Problem(
            f"the user pool {deployment.user_pool_id} does not exist: nothing can be synced. The table"
            " has its users as they were last: leave it as it is"
        )
        return
    pool = answer["UserPool"]
    trigger = pool.get("LambdaConfig", {}).get("PostConfirmation")
    is_attached = trigger == deployment.post_confirmation_function_arn
    yield Fact("trigger", trigger, f"trigger {'' if is_attached else 'not '}attached: {trigger or 'none'}")
    yield Fact("is_attached", is_attached)
    users = pool.get("EstimatedNumberOfUsers", 0)
    yield Fact("users", users, f"{users:,} users (Cognito's estimate, with unconfirmed ones)")
    is_paused = _is_trigger_paused(deployment)
    if is_attached and is_paused:
        yield Problem("the trigger is paused and attached all the same. To detach it: cognito-user-sync pause trigger")
    if not is_attached and not is_paused:
        yield Problem(
            f"the pool's post-confirmation trigger is {trigger or 'none'}, not this module's: users who sign up"
            f" are neither synced nor welcomed. {_how_to_attach(deployment, trigger)}"
        )


def _is_trigger_paused(deployment: Deployment) -> bool:
    if "pool-trigger" not in deployment.function_arns:
        return False
    return bool(unless_gone(part(deployment, PartName.TRIGGER).is_paused))


def _how_to_attach(deployment: Deployment, trigger: str | None) -> str:
    if deployment.user_pool_trigger["attached_function_arn"] is None:
        return "Name the output post_confirmation_function_arn in the configuration of the pool"
    if trigger:
        return "Remove that trigger, or name it in chained_function_arn, and apply"
    return "To attach it again: cognito-user-sync reconcile"


def _user_table(deployment: Deployment) -> Findings:
    name = deployment.user_table_name
    answer = unless_gone(lambda: deployment.dynamodb.describe_table(TableName=name))
    if answer is None:
        yield Problem(f"the table {name} does not exist. {_RESTORE}")
        return
    table = answer["Table"]
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    # Active users, of all pools that share the table; all items without the index.
    users = indexes.get(BY_SHARD, table).get("ItemCount", 0)
    yield Fact("users", users, f"{users:,} users (as DynamoDB counted within six hours, of all pools)")
    if BY_SHARD not in indexes and _is_index_used(deployment):
        how = "apply again" if _is_own_table(deployment) else "terraform plan prints the command that creates it"
        yield Problem(
            f"the table {name} has no index {BY_SHARD}: the reconciliation does not find deleted users. To create"
            f" it: {how}"
        )
    if _BY_EMAIL not in indexes and _has_email_index(deployment):
        yield Problem(
            f"the table {name} has no index {_BY_EMAIL}: applications do not find users by email address. To create"
            " it: apply again"
        )


def _is_own_table(deployment: Deployment) -> bool:
    return deployment.user_table_name == f"{deployment.prefix}-users"


def _is_index_used(deployment: Deployment) -> bool:
    """Return whether the reconciliation reads the index: always of the module's own table."""
    if _is_own_table(deployment) or deployment.reconciliation_state_machine_arn is None:
        return _is_own_table(deployment)
    with deployment.environment("plan-shards") as variables:
        return settings.plan_shards(variables).has_shard_index


def _has_email_index(deployment: Deployment) -> bool:
    """Return whether Terraform made the index: its key is an extra attribute of the module's own table."""
    table = unless_gone(lambda: deployment.user_table) if _is_own_table(deployment) else None
    return table is not None and bool(table.layout.index_keys & table.layout.extra_attributes.keys())


def _users(deployment: Deployment) -> Findings:
    """Look whether users whom Cognito lists are in the table: a page of them, of a random shard if there are more."""
    page = deployment.user_pool.page()
    if page.next_token:
        page = deployment.user_pool.page(random.choice("0123456789abcdef"))  # noqa: S311 - a sample
    table = unless_gone(lambda: deployment.user_table)
    if table is None:
        # The function whose environment describes it: _functions says so.
        return
    items = table.read([user.sub for user in page.users]) if page.users else {}
    latest = timestamp(datetime.now(UTC) - _SYNCED_WITHIN)
    users = [user for user in page.users if user.status != UNCONFIRMED and user.modified_at < latest]
    missing = [user.sub for user in users if not table.layout.is_ours(items.get(user.sub, {}))]
    yield Fact("looked_at", len(users))
    yield Fact("missing", missing, f"{len(missing):,} of {counted(len(users), 'user')} in a sample of the pool")
    if missing:
        yield Problem(
            f"Missing in the table: {len(missing):,} of {counted(len(users), 'user')} in a sample of the pool, for"
            f" example {missing[0]}. To sync them: cognito-user-sync reconcile"
        )


def _welcome_sender(deployment: Deployment) -> Findings:
    """Look whether SES has verified the sender, or its domain, or a parent domain."""
    function = f"{deployment.prefix}-send-welcome"
    if "send-welcome" not in deployment.function_arns or not _exists(deployment, function):
        yield Fact("verified", None, "none")
        return
    try:
        email = welcome.deployed(deployment.functions, function)
    except welcome.NoWelcomeEmailError as error:
        raise NotDeployedError(str(error)) from error
    if email.identity_arn and email.identity_arn.split(":")[4] != deployment.account:
        yield Fact("verified", None, f"not checked: {email.identity_arn} is of another account")
        return
    region = email.region or deployment.region
    address = parseaddr(header_mailbox(email.sender))[1]
    labels = address.rpartition("@")[2].split(".")
    identities = [address, *(".".join(labels[start:]) for start in range(len(labels) - 1))]
    ses = deployment.ses(region)
    found = [unless_gone(partial(ses.get_email_identity, EmailIdentity=name)) for name in identities]
    is_verified = any(identity and identity["VerifiedForSendingStatus"] for identity in found)
    yield Fact("verified", is_verified, f"{'' if is_verified else 'not '}verified in {region}")
    if not is_verified:
        yield Problem(
            f"SES in {region} has verified neither the sender in welcome_email.from, nor its domain or a parent domain,"
            " so no welcome email is sent. Verify one of them, then: cognito-user-sync failures redrive"
        )


def _functions(deployment: Deployment) -> Findings:
    names = [arn.split(":")[6] for arn in deployment.function_arns.values()]
    missing = [name for name in names if not _exists(deployment, name)]
    yield Fact("missing", missing, f"{len(names) - len(missing)} of {len(names)} exist")
    for name in missing:
        yield Problem(f"the function {name} does not exist: apply again")
    chained = deployment.user_pool_trigger["chained_function_arn"]
    if chained and not _exists(deployment, chained):
        yield Problem(
            f"the chained function {chained} does not exist, so every sign-up ends with an error. Create it again, or"
            " remove chained_function_arn and apply"
        )


def _trigger_policy(deployment: Deployment) -> Findings:
    """Check that the trigger's role has its policy. Without it, each sign-up is lost."""
    function = f"{deployment.prefix}-post-confirmation"
    found = unless_gone(lambda: deployment.functions.get_function_configuration(FunctionName=function))
    if found is None:
        # _functions says so.
        return
    role = found["Role"].rpartition("/")[2]
    policy = unless_gone(lambda: deployment.iam.get_role_policy(RoleName=role, PolicyName=function))
    yield Fact("exists", policy is not None, "exists" if policy else "")
    if policy is None:
        yield Problem(
            f"the role {role} has no policy {function}, so each sign-up is lost: apply again. Then:"
            f" {_sync_of_last_day(deployment)}"
        )


def _exists(deployment: Deployment, function: str) -> bool:
    return unless_gone(lambda: deployment.functions.get_function_configuration(FunctionName=function)) is not None


def _lost_sign_ups(deployment: Deployment) -> Findings:
    """Read the ERROR lines of post_confirmation: a sign-up that could be neither started nor queued is only there."""
    function = f"{deployment.prefix}-post-confirmation"
    group = f"/aws/lambda/{function}"
    if not (yield from _can_be_filtered(deployment, group)):
        return
    found_lines = json_lines(deployment.logs, group, '{ $.level = "ERROR" }', datetime.now(UTC) - RECENT)
    # The pattern asks for it, and the local AWS ignores patterns.
    lines = [line for line in found_lines if line.get("level") == "ERROR"]
    logged = dict.fromkeys(line["sub"] for line in lines if line.get("sub"))
    states, machine = deployment.states, deployment.user_sync_state_machine_arn
    try:
        started = {sub for sub in islice(logged, _SUBS_LOOKED_UP) if of_sign_up(states, machine, sub)}
    except (BotoCoreError, ClientError):
        yield Fact("subs", list(logged), f"at most {len(logged):,} in 24 hours")
        raise
    subs = [sub for sub in logged if sub not in started]
    yield Fact("subs", subs, f"{len(subs):,} in 24 hours")
    if subs:
        more = f" and {len(subs) - _SUBS_NAMED:,} more" if len(subs) > _SUBS_NAMED else ""
        yield Problem(
            f"Lost in the last 24 hours, neither synced nor welcomed: {counted(len(subs), 'user')} who signed up:"
            f" {', '.join(subs[:_SUBS_NAMED])}{more}. See why: aws logs tail {group} --since 1d --region"
            f" {deployment.region}. When the cause is fixed: {_sync_of_last_day(deployment)}"
        )
    others = sum(not line.get("sub") for line in lines)
    yield Fact("other_errors", others)
    if others:
        yield Problem(
            f"the function {function} logged {others:,} other errors in 24 hours: aws logs tail {group} --since 1d"
            f" --region {deployment.region}"
        )


def _can_be_filtered(deployment: Deployment, group: str) -> Generator[Fact | Problem, None, bool]:
    """Return whether CloudWatch filters this log group, and yield why not."""
    found = deployment.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    classes = {each["logGroupName"]: each.get("logGroupClass", "STANDARD") for each in found}
    if group not in classes:
        yield Problem(f"the log group {group} does not exist: apply again")
        return False
    if classes[group] != "STANDARD":
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
        yield Fact("not_counted", classes[group], f"not counted: the log group is of the class {classes[group]}")
        return False
    return True


def _welcome_emails(deployment: Deployment) -> Findings:
    """Count the welcome emails that were skipped for a reason: no problem, and an answer to "I got no email"."""
    if "send-welcome" not in deployment.function_arns:
        yield Fact("skipped", {}, "none")
        return
    group = f"/aws/lambda/{deployment.prefix}-send-welcome"
    if not (yield from _can_be_filtered(deployment, group)):
        return
    pattern = f'{{ $.welcome_email = "*" && $.welcome_email != "{SENT}" }}'
    lines = json_lines(deployment.logs, group, pattern, datetime.now(UTC) - RECENT)
    # The pattern asks for it, and the local AWS ignores patterns.
    skipped = Counter(line["welcome_email"] for line in lines if line.get("welcome_email", SENT) != SENT)
    reasons = "".join(f", {number:,} {reason}" for reason, number in skipped.most_common())
    yield Fact("skipped", skipped, f"{skipped.total():,} skipped in 24 hours{reasons.replace(',', ':', 1)}")


def _sync_of_last_day(deployment: Deployment) -> str:
    """Return the command for users whose sign-up was lost."""
    # Only a deployment with a welcome email has that command.
    return f"cognito-user-sync {'welcome --since 24h' if 'send-welcome' in deployment.function_arns else 'reconcile'}"


def _executions(deployment: Deployment) -> Findings:
    arn = deployment.user_sync_state_machine_arn
    executions = unless_gone(lambda: list(failed(deployment.states, arn)))
    if executions is None:
        yield Problem(f"the state machine {arn} does not exist: apply again")
        return
    yield Fact("failed_in_14_days", len(executions))
    recent = unacknowledged(deployment, [each for each in executions if each["stopDate"] >= datetime.now(UTC) - RECENT])
    yield Fact("failed_in_one_day", len(recent), f"{len(recent):,} failed in 24 hours, {len(executions):,} in 14 days")
    if recent:
        yield Problem(f"{counted(len(recent), 'execution')} failed in 24 hours: cognito-user-sync failures")
    running = sum(1 for _ in retried(deployment.states, arn))
    yield Fact("retried", running, f"{running:,} retried for more than 10 minutes")
    if running:
        yield Problem(
            f"Retried for more than 10 minutes: {counted(running, 'execution')}. See why in the logs of sync-user"
            " and send-welcome"
        )


@dataclass(frozen=True)
class _QueueKind:
    """What differs between the queues."""

    consumer: str
    waiting: str | None
    given_up: str


_RETRY_QUEUE = _QueueKind(
    consumer="retry-sign-ups",
    waiting="Sign-ups that could not be started yet: {}, tried again every 3 minutes, for 12 hours",
    given_up="Sign-ups that could not be started: {}. When the cause is fixed: cognito-user-sync failures requeue",
)
_CHANGES = _QueueKind(
    consumer="sync-changes",
    waiting=None,
    given_up="Changes that could not be synced: {}. cognito-user-sync reconcile, then purge the queue",
)


def _retry_queue(deployment: Deployment) -> Findings:
    yield from _queue(deployment, deployment.retry_queue_url, _RETRY_QUEUE)


def _changes(deployment: Deployment) -> Findings:
    if deployment.changes_queue_url is None:
        yield Fact("tracked", False, "not tracked")
        return
    yield from _queue(deployment, deployment.changes_queue_url, _CHANGES)
    rule = f"{deployment.prefix}-changes"
    answer = unless_gone(lambda: deployment.events.describe_rule(Name=rule))
    if answer is None:
        yield Problem(f"the EventBridge rule {rule} does not exist: apply again, then cognito-user-sync reconcile")
    elif answer["State"] == "DISABLED":
        yield Problem(f"the EventBridge rule {rule} is disabled: aws events enable-rule --name {rule}")


def _queue(deployment: Deployment, url: str, kind: _QueueKind) -> Findings:
    name = url.rpartition("/")[2]
    attributes = _queue_attributes(deployment.queues, url, "QueueArn", "RedrivePolicy")
    if attributes is None:
        yield Problem(f"the queue {name} does not exist, and what was in it is lost: apply again, then reconcile")
    else:
        waiting = _count(attributes)
        yield Fact("waiting", waiting, f"{waiting:,} waiting")
        if waiting and kind.waiting:
            yield Problem(kind.waiting.format(waiting))
        if "RedrivePolicy" not in attributes:
            yield Problem(f"the queue {name} has lost its dead-letter queue: apply again")
        yield from _mapping(deployment, name, attributes["QueueArn"], kind.consumer)
    dead_letters = _queue_attributes(deployment.queues, f"{url}-dead-letter")
    if dead_letters is None:
        yield Problem(f"the queue {name}-dead-letter does not exist, and what was in it is lost: apply again")
    else:
        given_up = _count(dead_letters)
        yield Fact("given_up", given_up, f"{given_up:,} given up")
        if given_up:
            yield Problem(kind.given_up.format(given_up))


def _mapping(deployment: Deployment, queue: str, queue_arn: str, consumer: str) -> Findings:
    function = f"{deployment.prefix}-{consumer}"
    pages = deployment.functions.get_paginator("list_event_source_mappings").paginate(EventSourceArn=queue_arn)
    states = [
        mapping["State"]
        for page in pages
        for mapping in page["EventSourceMappings"]
        if mapping["FunctionArn"].split(":")[6] == function
    ]
    if not states:
        yield Problem(f"the event source mapping of {queue} and {function} does not exist: apply again")
    # Changes are paused so.
    elif states[0] in ("Disabled", "Disabling") and consumer != _CHANGES.consumer:
        yield Problem(f"{function} does not read {queue}: its event source mapping is disabled. Apply again")


def _queue_attributes(
    queues: SQSClient, url: str, *others: QueueAttributeNameType
) -> dict[QueueAttributeNameType, str] | None:
    """Return the attributes and the counts of a queue; None if it does not exist."""
    names: list[QueueAttributeNameType] = [*_COUNTS, *others]
    answer = unless_gone(lambda: queues.get_queue_attributes(QueueUrl=url, AttributeNames=names))
    return answer and answer.get("Attributes", {})


_COUNTS: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)


def _count(attributes: dict[QueueAttributeNameType, str]) -> int:
    return sum(int(attributes[name]) for name in _COUNTS)


def messages(queues: SQSClient, url: str) -> int:
    """Return how many messages a queue holds, those that are being worked on among them."""
    return _count(queues.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"])


def _reconciliation(deployment: Deployment) -> Findings:
    arn = deployment.reconciliation_state_machine_arn
    if arn is None:
        yield Fact("enabled", False, "not enabled")
        return
    found = unless_gone(lambda: _last_run(deployment, arn))
    if found is None:
        yield Problem(f"the state machine {arn} does not exist: apply again")
        return
    run, going_on = found
    yield Fact("last_run", run, f"last run: {_of_run(run)}")
    yield Fact("run_going_on", going_on, "one is going on: cognito-user-sync reconcile --follow" if going_on else "")
    if run and run.status != "SUCCEEDED":
        for problem in run.problems:
            yield Problem(f"the last reconciliation: {problem}")
        # That problem names its own command.
        if not run.allow_deletes_needed:
            again = "reconcile --dry-run" if run.dry_run else "reconcile"
            yield Problem(f"the last reconciliation ended as {run.status}: see above, then: cognito-user-sync {again}")
    elif run and run.dry_run:
        yield Problem(
            "the last reconciliation was a dry run and wrote nothing. Review its counts and examples, run"
            ' cognito-user-sync reconcile, then set reconciliation.run_on_apply = "sync" and apply, so that'
            " scheduled runs write, too"
        )


def _last_run(deployment: Deployment, arn: str) -> tuple[Run | None, str | None]:
    """Return the last run that ended, and the one that is going on.

    A dry run that was started by hand after runs that write is not the last run: its operator saw its counts. If apply
    and the schedule start dry runs, a dry run is.
    """
    newest = going_on = None
    for run in runs(deployment.states, arn):
        if run.status == "RUNNING":
            going_on = run.arn
            continue
        newest = newest or run
        if not run.dry_run:
            return run, going_on
        if not run.is_by_hand:
            break
    return newest, going_on


def _of_run(run: Run | None) -> str:
    if run is None:
        return "none has ended yet"
    counts = ", ".join(
        f"{value:,} {name.replace('_', ' ')}" for name, value in user_counts(run.summary).items() if value
    )
    ended = f"{run.status}, a dry run" if run.dry_run else run.status
    return f"{ended}, begun {run.started_at:%Y-%m-%d %H:%M} UTC: {counts or run.reason or 'no user listed'}"


def _schedule(deployment: Deployment) -> Findings:
    name = f"{deployment.prefix}-reconciliation"
    if deployment.reconciliation_schedule_arn is None:
        yield Fact("expression", None, "none")
    elif (schedule := _schedule_of_name(deployment, name)) is None:
        yield Problem(f"the schedule {name} does not exist, so no reconciliation starts by itself: apply again")
    else:
        # A disabled one is paused.
        yield Fact("expression", schedule["ScheduleExpression"], schedule["ScheduleExpression"])
    if "pool-trigger" not in deployment.function_arns:
        return
    name = f"{deployment.prefix}-trigger-check"
    check = _schedule_of_name(deployment, name)
    if check and check["State"] == "ENABLED":
        yield Fact("trigger_check", check["ScheduleExpression"], f"trigger check {check['ScheduleExpression']}")
    else:
        what = "is disabled" if check else "does not exist"
        yield Problem(f"the schedule {name} {what}, so a trigger that is removed is not attached again: apply again")


def _schedule_of_name(deployment: Deployment, name: str) -> dict[str, Any] | None:
    return unless_gone(lambda: deployment.scheduler.get_schedule(Name=name))


def _alarms(deployment: Deployment) -> Findings:
    names = deployment.alarm_names
    pages = chain.from_iterable(
        deployment.alarms.get_paginator("describe_alarms").paginate(AlarmNames=names[start : start + _ALARMS_AT_ONCE])
        for start in range(0, len(names), _ALARMS_AT_ONCE)
    )
    states = {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}
    in_alarm = [name for name, state in states.items() if state == "ALARM"]
    yield Fact("in_alarm", in_alarm, f"in ALARM: {', '.join(in_alarm) or 'none'}")
    for name in in_alarm:
        yield Problem(f"alarm {name}: its description says what to do")
    for name in names:
        if name not in states:
            yield Problem(f"the alarm {name} does not exist: apply again")


def _paused(deployment: Deployment) -> Findings:
    found = pauses(deployment)
    yield Fact("parts", [each.part for each in found], ", ".join(each.part for each in found) or "nothing")
    for each in found:
        yield Problem(each.problem)


def _code(deployment: Deployment) -> Findings:
    found = unless_gone(lambda: code(deployment))
    rolled_back = found.rolled_back if found else []
    yield Fact("rolled_back", rolled_back, f"{len(rolled_back)} functions are rolled back")
    if rolled_back:
        yield Problem(
            f"other code than Terraform deployed last runs in {', '.join(rolled_back)}. To end a roll-back:"
            " cognito-user-sync rollback --undo"
        )


SECTIONS: dict[str, Callable[[Deployment], Findings]] = {
    "paused": _paused,
    "code": _code,
    "user_pool": _user_pool,
    "lost_sign_ups": _lost_sign_ups,
    "trigger_policy": _trigger_policy,
    "executions": _executions,
    "retry": _retry_queue,
    "changes": _changes,
    "reconciliation": _reconciliation,
    "schedule": _schedule,
    "user_table": _user_table,
    "users": _users,
    "welcome_sender": _welcome_sender,
    "welcome_emails": _welcome_emails,
    "functions": _functions,
    "alarms": _alarms,
}
