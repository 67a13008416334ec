"""Section `paused`: the parts that an operator has paused."""

from __future__ import annotations

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.pauses import list_pauses
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem


def check_pauses(deployment: Deployment) -> Findings:
    found = list_pauses(deployment)
    yield Fact("parts", [each.part for each in found], ", ".join(each.part for each in found) or "nothing")
    for each in found:
        yield Problem(each.problem)
