"""DescribeTable has the item count of an index. ministack returns 0.

AWS updates the count about every six hours. Here it is current, as ministack's count of a table.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GlobalSecondaryIndexDescription.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import dynamodb

from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]


def apply() -> None:
    describe = dynamodb._table_description
    expect(describe, '"ItemCount": t["ItemCount"],')

    def patched(name: str) -> Json:
        described: Json = describe(name)
        items = [item for partition in dynamodb._tables[name]["items"].values() for item in partition.values()]
        for index in described.get("GlobalSecondaryIndexes", []):
            keys = {key["AttributeName"] for key in index["KeySchema"]}
            index["ItemCount"] = sum(keys <= item.keys() for item in items)
        return described

    dynamodb._table_description = patched
