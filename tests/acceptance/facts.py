"""Questions about AWS that its documentation does not answer and that this module depends on, each with a probe.

The acceptance tests ask them. They write docs/aws-facts.md only in an AWS account, because answers of the local AWS are
not facts about AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from tests.acceptance.account import Account
from tests.deployed import ROOT, Pool

PAGE = ROOT / "docs" / "aws-facts.md"
OPEN: Final = "open"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"

# CloudTrail's event history, which exists without a trail, usually has a record after 5 minutes:
# https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html
RECORD_SECONDS: Final = 480


@dataclass
class Context:
    """What the tests have done and seen in the account. Probes use it."""

    account: Account
    pool: Pool
    # A user who signed up and was confirmed, and one who was not.
    username: str
    sub: str
    unconfirmed_username: str
    # A user whose name an administrator changed, and a user that made the change. Both changes are after `changed_at`.
    changed_sub: str
    self_service_sub: str
    changed_at: datetime
    record_seconds: float = RECORD_SECONDS
    # Answers that the tests saw, by the question's key.
    seen: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question, why it matters, how it is tested, and the probe that tests it.

    A probe returns one line without IDs or personal data.
    """

    key: str
    text: str
    matters: str
    asked: str
    probe: Callable[[Context], str]


@dataclass(frozen=True)
class Answer:
    seen: str
    date: str
    region: str


def seen_by_tests(key: str) -> Callable[[Context], str]:
    return lambda context: context.seen.get(key, "not tried: the tests ended before")


def unconfirmed(context: Context) -> str:
    try:  # ListUsers is eventually consistent
        users = context.account.eventually(
            lambda: _list(context, f'username = "{context.unconfirmed_username}"'), seconds=30
        )
    except AssertionError:
        return "no: not within 30 s"
    return f"yes, with the status {users[0]['UserStatus']}"


def filtered(template: str) -> Callable[[Context], str]:
    def probe(context: Context) -> str:
        users = _list(context, template.format(sub=context.sub, prefix=context.sub[:8]))
        subs = {_sub(user) for user in users}
        if subs == {context.sub}:
            return "yes: exactly the matching user"
        return f"accepted, but with {len(subs)} users{'' if context.sub in subs else ', without the matching one'}"

    return probe


def filtered_twice(context: Context) -> str:
    """Find out which condition applies, with two conditions that no user meets."""
    users = _list(context, f'sub ^= "{context.sub[:8]}" and username = "{context.unconfirmed_username}"')
    names = {user["Username"] for user in users}
    return {
        frozenset[str](): "yes: both conditions apply",
        frozenset({context.username}): "accepted, but only the first condition applies",
        frozenset({context.unconfirmed_username}): "accepted, but only the second condition applies",
    }.get(frozenset(names), f"accepted, but with {len(names)} users who do not match")


def record(event_name: str, sub: Callable[[Context], str]) -> Callable[[Context], str]:
    def probe(context: Context) -> str:
        def find() -> dict[str, Any] | None:
            return next(_records(context, event_name, sub(context)), None)

        try:
            passed = (datetime.now(UTC) - context.changed_at).total_seconds()
            found = context.account.eventually(find, seconds=context.record_seconds - passed)
        except AssertionError:
            return f"no record with the user's sub in the event history within {context.record_seconds:.0f} s"
        attributes = (found.get("requestParameters") or {}).get("userAttributes")
        pool = _places(found, context.pool.id)
        return (
            f"sub: {', '.join(_places(found, sub(context)))}; pool: {', '.join(pool) or 'nowhere'}; "
            f"attributes: {'hidden' if attributes == HIDDEN else 'left out' if attributes is None else 'shown'}"
        )

    return probe


QUESTIONS = (
    Question(
        "settings",
        "Does UpdateUserPool accept all settings that DescribeUserPool returns, and keep each of them?",
        "the module attaches its trigger with such a request (lambda_src/cognito_user_sync/pool_trigger.py)",
        "by comparing the settings of a pool before and after an apply of the module",
        seen_by_tests("settings"),
    ),
    Question(
        "unconfirmed",
        "Does ListUsers return users who signed up and never confirmed?",
        "the reconciliation must skip them",
        "a user signs up without confirming; then ListUsers is called",
        unconfirmed,
    ),
    Question(
        "filter-sub",
        'Does ListUsers accept the filter `sub = "..."`?',
        "a changed user is read with it",
        "by a call with the sub of a user",
        filtered('sub = "{sub}"'),
    ),
    Question(
        "filter-prefix",
        'Does ListUsers accept the filter `sub ^= "..."`?',
        "the reconciliation lists the pool by prefixes of sub; otherwise it lists the pool with one paging token",
        "by a call with the first eight digits of the sub of a user",
        filtered('sub ^= "{prefix}"'),
    ),
    Question(
        "filter-both",
        "Does ListUsers accept `=` and `^=` in one filter?",
        "the documentation allows one attribute at a time, and does not describe the response to two",
        'by a call with `sub ^= "..." and username = "..."`, two conditions that no user meets together',
        filtered_twice,
    ),
    Question(
        "record-admin",
        "Where does CloudTrail's record of an administrator's change name the user and the pool?",
        "the EventBridge rule of `track_changes` matches these fields",
        "AdminUpdateUserAttributes, then reading CloudTrail's event history",
        record("AdminUpdateUserAttributes", lambda context: context.changed_sub),
    ),
    Question(
        "record-self-service",
        "Where does CloudTrail's record of a user's own change name the user and the pool?",
        "the request names no pool, and AWS does not document whether the record does",
        "UpdateUserAttributes with the user's access token, then reading CloudTrail's event history",
        record("UpdateUserAttributes", lambda context: context.self_service_sub),
    ),
    Question(
        "change-delay",
        "How soon is an administrator's change in the table, with a trail that logs management events?",
        "the delay in the README",
        "AdminUpdateUserAttributes, then reading the table",
        seen_by_tests("change-delay"),
    ),
)

# Open questions that the tests cannot ask.
NOT_ASKED = (
    (
        "Does the first sign-in of a federated user invoke the post-confirmation trigger?",
        "this needs an identity provider",
    ),
    (
        "Does an update of a pool with a KMS key for custom senders need `kms:CreateGrant`?",
        "this needs a customer managed key, which can be deleted only after seven days",
    ),
    (
        "Can a pool with the `aws:` tags of CloudFormation be updated with the tags that it has?",
        "this needs a CloudFormation stack, because only CloudFormation sets such tags",
    ),
    (
        "Does AdminListGroupsForUser make a user count as monthly active?",
        "the bill shows this, weeks later; AWS's list of such calls does not name it",
    ),
    (
        "How long can AdminListGroupsForUser and ListUsersInGroup return groups from before a change?",
        "AWS documents no bound, and a test can only show that it did not happen",
    ),
    (
        "Do AdminCreateUser and AdminSetUserPassword make a user count as monthly active?",
        "the bill shows this, weeks later",
    ),
    (
        "Which values does a user import job reject?",
        "this needs a role and a job of minutes for each value; the export follows AWS's documentation",
    ),
    (
        "Does botocore repeat a request that timed out?",
        "this does not depend on AWS; the functions that send email allow one attempt",
    ),
    (
        "Are the list prices in docs/cost.md still right?",
        "this needs no account: AWS publishes the prices",
    ),
)


def ask(context: Context) -> dict[str, Answer]:
    """Return the answers to all questions. An error of AWS is also an answer."""
    answers = {}
    for question in QUESTIONS:
        try:
            seen = question.probe(context)
        except ClientError as error:
            seen = _without_ids(f"no: {error.response['Error']['Code']}: {error.response['Error']['Message']}", context)
        print(f"\n{question.text}\n  {seen}", flush=True)
        answers[question.key] = Answer(seen, f"{datetime.now(UTC):%Y-%m-%d}", context.account.region)
    return answers


def record_answers(account: Account, answers: Mapping[str, Answer], page: Path = PAGE) -> bool:
    """Add answers to the page if they are from AWS. Return whether they are."""
    if not account.is_aws:
        return False
    page.write_text(page_of({**answers_of(page.read_text(encoding="utf-8")), **answers}), encoding="utf-8")
    return True


# --- the page


def page_of(answers: Mapping[str, Answer]) -> str:
    """Return docs/aws-facts.md with these answers, by question."""
    state = (
        "Each answer has the date and the region of its run of `make acceptance`."
        if answers
        else "**The tests have not been run on AWS yet**, so every question is open."
    )
    unknown = Answer(OPEN, "", "")
    rows = []
    for question in QUESTIONS:
        answer = answers.get(question.key, unknown)
        cells = (question.text, answer.seen, answer.date, answer.region)
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    how = [
        f"- **{question.text}** Why it matters: {question.matters}. Tested: {question.asked}." for question in QUESTIONS
    ]
    not_asked = [f"- {text} Not tested: {why}." for text, why in NOT_ASKED]
    return "\n".join(
        [
            "# Facts about AWS",
            "",
            "This module depends on behavior of AWS that is not documented.",
            "The [acceptance tests](acceptance.md) check it in an AWS account, and write the answers to this page.",
            state,
            "",
            "| question | answer | date | region |",
            "|---|---|---|---|",
            *rows,
            "",
            "## How each question is tested",
            "",
            *how,
            "",
            "## Not tested",
            "",
            *not_asked,
            "",
        ]
    )


def answers_of(page: str) -> dict[str, Answer]:
    """Return the answers of a page to the current questions."""
    keys = {_cell(question.text): question.key for question in QUESTIONS}
    answers = {}
    for line in page.splitlines():
        cells = re.split(r" (?<!\\)\| ", line.removeprefix("| ").removesuffix(" |"))
        if len(cells) == 4 and cells[0] in keys and cells[1] != OPEN:
            answers[keys[cells[0]]] = Answer(cells[1].replace("\\|", "|"), cells[2].strip(), cells[3].strip())
    return answers


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- helpers of probes


def _list(context: Context, query: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = context.pool.cognito.list_users(UserPoolId=context.pool.id, Filter=query)["Users"]
    return listed


def _sub(user: Mapping[str, Any]) -> str:
    return next(str(each["Value"]) for each in user["Attributes"] if each["Name"] == "sub")


def _records(context: Context, event_name: str, sub: str) -> Iterator[dict[str, Any]]:
    found = context.account.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": event_name}], StartTime=context.changed_at
    )
    for event in found["Events"]:
        if sub in event["CloudTrailEvent"]:
            yield json.loads(event["CloudTrailEvent"])


def _places(value: object, wanted: str, path: str = "") -> list[str]:
    """Return the paths of a text in a record, such as additionalEventData.sub."""
    if isinstance(value, dict):
        return [place for key, each in value.items() for place in _places(each, wanted, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        return [place for each in value for place in _places(each, wanted, f"{path}[]")]
    return [path] if isinstance(value, str) and wanted in value else []


def _without_ids(text: str, context: Context) -> str:
    for secret, name in (
        (context.sub, "<sub>"),
        (context.sub[:8], "<prefix>"),
        (context.pool.id, "<pool>"),
        (context.account.id, "<account>"),
        (context.account.email, "<email>"),
    ):
        text = text.replace(secret, name)
    return text


if __name__ == "__main__":  # make docs: the questions of the code, with the answers that the page has
    PAGE.write_text(page_of(answers_of(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
