"""Finds the remaining resources of a run by tag and by name, and deletes them.

Dashboards and schedules have no tags, the Resource Groups Tagging API does not list roles, and its index is eventually
consistent. So resources are also listed by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.acceptance.account import Account

TAG = "acceptance-run"


@dataclass(frozen=True)
class Kind:
    """A kind of resource: how to list all names (or IDs, ARNs, URLs), and how to delete a resource by name."""

    name: str
    service: str
    list: Callable[[Any], Iterable[str]]
    delete: Callable[[Any, str], object]


def listed(operation: str, key: str, name: str | None, **arguments: Any) -> Callable[[Any], Iterable[str]]:
    """Return a function that lists the names of a paginated operation. `name` is None for a list of names."""

    def names(client: Any) -> Iterable[str]:
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from (found if name is None else found[name] for found in page.get(key, []))

    return names


def delete_role(iam: Any, role: str) -> None:
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=attached["PolicyArn"])
    iam.delete_role(RoleName=role)


def delete_rule(events: Any, rule: str) -> None:
    if targets := [target["Id"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]]:
        events.remove_targets(Rule=rule, Ids=targets)
    events.delete_rule(Name=rule)


def mappings(client: Any) -> Iterable[str]:
    """Yield event source mappings, each as <function ARN> <UUID>, because they have no names."""
    for page in client.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            yield f"{mapping['FunctionArn']} {mapping['UUID']}"


def delete_layer(functions: Any, layer: str) -> None:
    for version in functions.list_layer_versions(LayerName=layer)["LayerVersions"]:
        functions.delete_layer_version(LayerName=layer, VersionNumber=version["Version"])


# In the order of deletion: first the pool, which invokes the trigger, then other resources that invoke functions.
KINDS = (
    Kind(
        "user pool",
        "cognito-idp",
        lambda cognito: (
            f"{pool['Name']} {pool['Id']}"
            for page in cognito.get_paginator("list_user_pools").paginate(MaxResults=60)
            for pool in page["UserPools"]
        ),
        lambda cognito, pool: cognito.delete_user_pool(UserPoolId=pool.split()[1]),
    ),
    Kind(
        "schedule",
        "scheduler",
        listed("list_schedules", "Schedules", "Name"),
        lambda scheduler, name: scheduler.delete_schedule(Name=name),
    ),
    Kind("rule", "events", listed("list_rules", "Rules", "Name"), delete_rule),
    Kind(
        "event source mapping",
        "lambda",
        mappings,
        lambda functions, mapping: functions.delete_event_source_mapping(UUID=mapping.split()[1]),
    ),
    Kind(
        "state machine",
        "stepfunctions",
        listed("list_state_machines", "stateMachines", "stateMachineArn"),
        lambda states, arn: states.delete_state_machine(stateMachineArn=arn),
    ),
    Kind(
        "function",
        "lambda",
        listed("list_functions", "Functions", "FunctionName"),
        lambda functions, name: functions.delete_function(FunctionName=name),
    ),
    # Layers take no tags.
    Kind("layer", "lambda", listed("list_layers", "Layers", "LayerName"), delete_layer),
    Kind(
        "queue", "sqs", listed("list_queues", "QueueUrls", None), lambda queues, url: queues.delete_queue(QueueUrl=url)
    ),
    Kind(
        "table",
        "dynamodb",
        listed("list_tables", "TableNames", None),
        lambda tables, name: tables.delete_table(TableName=name),
    ),
    Kind(
        "alarm",
        "cloudwatch",
        listed("describe_alarms", "MetricAlarms", "AlarmName"),
        lambda alarms, name: alarms.delete_alarms(AlarmNames=[name]),
    ),
    Kind(
        "dashboard",
        "cloudwatch",
        listed("list_dashboards", "DashboardEntries", "DashboardName"),
        lambda dashboards, name: dashboards.delete_dashboards(DashboardNames=[name]),
    ),
    Kind(
        "log group",
        "logs",
        listed("describe_log_groups", "logGroups", "logGroupName"),
        lambda logs, name: logs.delete_log_group(logGroupName=name),
    ),
    Kind(
        "parameter",
        "ssm",
        listed("describe_parameters", "Parameters", "Name"),
        lambda parameters, name: parameters.delete_parameter(Name=name),
    ),
    # A saved query has no paginator.
    Kind(
        "saved query",
        "logs",
        lambda logs: (
            f"{query['name']} {query['queryDefinitionId']}"
            for query in logs.describe_query_definitions(maxResults=1000)["queryDefinitions"]
        ),
        lambda logs, query: logs.delete_query_definition(queryDefinitionId=query.split()[1]),
    ),
    Kind("role", "iam", listed("list_roles", "Roles", "RoleName"), delete_role),
)


def prefix(run_id: str) -> str:
    """Return the text that the name of each resource of a run contains. The ID makes it unique."""
    return f"acc-{run_id}"


def tagged(account: Account, run_id: str) -> list[str]:
    """Return the ARNs of the resources with the run's tag."""
    pages = account.client("resourcegroupstaggingapi").get_paginator("get_resources")
    filters = [{"Key": TAG, "Values": [run_id]}]
    return [
        found["ResourceARN"] for page in pages.paginate(TagFilters=filters) for found in page["ResourceTagMappingList"]
    ]


def named(account: Account, run_id: str) -> list[tuple[Kind, str]]:
    """Return the resources with the run's prefix in their name, in the order of deletion."""
    return [
        (kind, name) for kind in KINDS for name in kind.list(account.client(kind.service)) if prefix(run_id) in name
    ]


def left_over(account: Account, run_id: str) -> list[str]:
    """Return the existing resources of a run."""
    return [f"{kind.name} {name}" for kind, name in named(account, run_id)] + tagged(account, run_id)


def delete_named(account: Account, run_id: str) -> list[str]:
    """Delete all resources with the run's prefix in their name. Return those that could not be deleted, and why.

    If Terraform was killed, some resources are not in its state.
    """
    failures = []
    for kind, name in named(account, run_id):
        try:
            kind.delete(account.client(kind.service), name)
        except ClientError as error:
            failures.append(f"{kind.name} {name}: {error}")
    return failures
