"""Saved queries of CloudWatch Logs Insights, as Terraform puts, reads and deletes them."""

from __future__ import annotations

import pytest

from local_aws.client import LocalAws


def test_saved_query_is_kept_until_it_is_deleted(aws: LocalAws) -> None:
    logs = aws.client("logs")
    given = {"name": "ours/errors", "queryString": "fields @message", "logGroupNames": ["/aws/lambda/ours"]}
    identifier = logs.put_query_definition(**given)["queryDefinitionId"]
    logs.put_query_definition(name="theirs", queryString="fields @message")
    assert logs.put_query_definition(**{**given, "queryString": "limit 1"}, queryDefinitionId=identifier)
    found = logs.describe_query_definitions(queryDefinitionNamePrefix="ours/")["queryDefinitions"]
    assert found == [{**given, "queryString": "limit 1", "queryDefinitionId": identifier}]
    assert logs.delete_query_definition(queryDefinitionId=identifier)["success"]
    assert logs.describe_query_definitions(queryDefinitionNamePrefix="ours/")["queryDefinitions"] == []
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.delete_query_definition(queryDefinitionId=identifier)
