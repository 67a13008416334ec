"""Sections `functions` and `alarms`: missing functions, and missing or firing alarms."""

from __future__ import annotations

from itertools import chain

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem, function_exists

# The maximum of DescribeAlarms.
_ALARMS_PER_REQUEST = 100


def check_functions(deployment: Deployment) -> Findings:
    names = [arn.split(":")[6] for arn in deployment.function_arns.values()]
    missing = [name for name in names if not function_exists(deployment, name)]
    yield Fact("missing", missing, f"{len(names) - len(missing)} of {len(names)} exist")
    for name in missing:
        yield Problem(f"the function {name} does not exist: apply again")
    chained = deployment.user_pool_trigger["chained_function_arn"]
    if chained and not function_exists(deployment, chained):
        yield Problem(
            f"the chained function {chained} does not exist, so every sign-up ends with an error. Create it again, or"
            " remove chained_function_arn and apply"
        )


def check_alarms(deployment: Deployment) -> Findings:
    names = deployment.alarm_names
    pages = chain.from_iterable(
        deployment.alarms.get_paginator("describe_alarms").paginate(
            AlarmNames=names[start : start + _ALARMS_PER_REQUEST]
        )
        for start in range(0, len(names), _ALARMS_PER_REQUEST)
    )
    states = {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}
    in_alarm = [name for name, state in states.items() if state == "ALARM"]
    yield Fact("in_alarm", in_alarm, f"in ALARM: {', '.join(in_alarm) or 'none'}")
    for name in in_alarm:
        yield Problem(f"alarm {name}: its description has the next steps")
    for name in names:
        if name not in states:
            yield Problem(f"the alarm {name} does not exist: apply again")
