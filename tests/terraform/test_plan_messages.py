"""Messages of a plan: triggers, incomplete tables, unverified addresses, another deployment, invalid variables."""

from __future__ import annotations

import pytest

from tests.errors import PLANS, Situation
from tests.terraform.conftest import (
    ATTRIBUTES,
    FAILURES,
    FOREIGN_TRIGGERS,
    REPORTS,
    TABLES,
    TRIGGERS,
    WELCOMES,
    Plan,
    Terraform,
)


def cases(plan: Plan) -> list[str]:
    return [case for case, (_, parts) in plan.items() if parts]


def matching(messages: list[str], plan: Plan, case: str) -> list[str]:
    return [message for message in messages if all(part in message for part in plan[case][1])]


@pytest.mark.parametrize("case", cases(TRIGGERS))
def test_plan_reports_trigger_that_is_lost_or_foreign(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.reports, TRIGGERS, case)) == 1, terraform.reports


@pytest.mark.parametrize("case", cases(TABLES))
def test_plan_reports_what_an_existing_table_lacks(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.reports, TABLES, case)) == 1, terraform.reports


@pytest.mark.parametrize("case", cases(ATTRIBUTES))
def test_plan_reports_attributes_that_the_pool_lacks(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.reports, ATTRIBUTES, case)) == 1, terraform.reports


@pytest.mark.parametrize("case", cases(WELCOMES))
def test_plan_reports_addresses_that_are_not_verified(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.reports, WELCOMES, case)) == 1, terraform.reports


@pytest.mark.parametrize("case", cases(FOREIGN_TRIGGERS))
def test_plan_fails_before_attach_would_find_a_foreign_trigger(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.failures, FOREIGN_TRIGGERS, case)) == 1, terraform.failures


@pytest.mark.parametrize("case", cases(FAILURES))
def test_plan_fails_with_the_value_and_the_allowed_form(terraform: Terraform, case: str) -> None:
    assert len(matching(terraform.failures, FAILURES, case)) == 1, terraform.failures


def test_plan_has_no_other_messages(terraform: Terraform) -> None:
    assert len(terraform.reports) == len(cases(REPORTS)), terraform.reports
    assert len(terraform.failures) == len(cases(FAILURES | FOREIGN_TRIGGERS)), terraform.failures


@pytest.mark.parametrize("situation", PLANS, ids=lambda each: each.command)
def test_errors_page_has_the_messages_of_plans(terraform: Terraform, situation: Situation) -> None:
    assert any(f"{situation.wrong} {situation.to_do}" in message for message in terraform.failures)
