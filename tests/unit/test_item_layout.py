"""Where a user's item is, and what its attributes are called and hold."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_user_sync.item_layout import FROM_COGNITO, ItemLayout, ItemValue, Key, marshal
from cognito_user_sync.user import User
from tests.samples import OTHER_SUB, POOL_ID, SUB

ATTRIBUTES = ("name", "email", "custom:plan")
ADA = User(
    sub=SUB,
    observed_at="2026-01-02T00:00:00.000Z",
    username="ada",
    attributes={"name": "Ada", "email": "Ada@Example.com", "email_verified": "true"},
    status="RESET_REQUIRED",
    enabled=False,
    created_at="2026-01-01T00:00:00.000Z",
    modified_at="2026-01-01T12:00:00.000Z",
)
PLAIN = ItemLayout(POOL_ID, ATTRIBUTES)
SINGLE_TABLE = ItemLayout(
    POOL_ID,
    ATTRIBUTES,
    partition_key=Key("PK", "USER#{sub}"),
    sort_key=Key("SK", "PROFILE#{user_pool_id}"),
    attribute_prefix="cognito_",
    extra_attributes={"GSI1PK": "EMAIL#{email|lower}"},
    ttl_attribute="ttl",
)


def layout(**changes: Any) -> ItemLayout:
    return dataclasses.replace(PLAIN, **changes)


def item_of(ours: ItemLayout, **attributes: str) -> dict[str, ItemValue]:
    return ours.to_item(dataclasses.replace(ADA, attributes=attributes))


# The key.


def test_key_is_the_sub_by_default() -> None:
    assert PLAIN.key(SUB) == {"id": {"S": SUB}}


def test_key_fills_in_the_templates() -> None:
    assert SINGLE_TABLE.key(SUB) == {"PK": {"S": f"USER#{SUB}"}, "SK": {"S": f"PROFILE#{POOL_ID}"}}


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        ("{sub}", "b4"),
        ("USER#{sub}", "USER#b4"),
        ("{user_pool_id}/{sub}/{user_pool_id}", f"{POOL_ID}/b4"),
        ("a{sub}z", "ab4"),
    ],
)
def test_key_prefix_is_where_keys_of_the_subs_begin(template: str, prefix: str) -> None:
    ours = layout(partition_key=Key("pk", template))
    assert ours.key_prefix("b4") == prefix
    assert ours.key(SUB)["pk"]["S"].startswith(prefix)


@pytest.mark.parametrize("template", ["{sub}", "USER#{sub}", "{user_pool_id}/{sub}/{user_pool_id}", "a{sub}a"])
def test_sub_of_reads_the_sub_out_of_the_key(template: str) -> None:
    ours = layout(partition_key=Key("pk", template))
    assert ours.sub_of(ours.key(SUB)) == SUB


@pytest.mark.parametrize(
    "value",
    [
        *("", "USER#", "USER#b4", SUB, f"USER#{SUB.upper()}", f"USER#{SUB}\n", f"USER#{SUB}#1", f"user#{SUB}"),
        *(f"USER#USER#{SUB}", f"ORDER#{SUB}", f"USER#{SUB}{OTHER_SUB}", 'USER#b" or sub ^= "'),
    ],
)
def test_sub_of_is_none_for_an_item_of_no_user(value: str) -> None:
    assert SINGLE_TABLE.sub_of({**SINGLE_TABLE.key(SUB), "PK": {"S": value}}) is None


def test_sub_of_is_none_for_a_copy_under_another_sort_key() -> None:
    assert SINGLE_TABLE.sub_of(SINGLE_TABLE.key(SUB)) == SUB
    assert SINGLE_TABLE.sub_of({**SINGLE_TABLE.key(SUB), "SK": {"S": "ORDER"}}) is None


def test_sub_of_is_none_for_a_part_of_its_template() -> None:
    ours = layout(partition_key=Key("pk", "x{sub}x"))
    assert ours.sub_of({"pk": {"S": SUB}}) is None
    assert ours.sub_of({"pk": {"S": f"x{SUB}"}}) is None


def test_shard_is_of_one_pool_and_digit() -> None:
    assert PLAIN.shard("b4c8") == f"{POOL_ID}#b"
    assert PLAIN.to_item(ADA)["shard"] == PLAIN.shard(SUB)


# Names.


def test_name_is_prefixed_unless_renamed() -> None:
    ours = layout(attribute_prefix="cognito_", attribute_names={"email": "emailAddress", "synced_at": "updatedAt"})
    renamed = {"email": "emailAddress", "synced_at": "updatedAt"}
    assert {field: ours.name(field) for field in (*renamed, "custom:plan", "shard")} == {
        **renamed,
        "custom:plan": "cognito_custom:plan",
        "shard": "cognito_shard",
    }


def test_names_has_keys_fields_extras_and_ttl() -> None:
    fields = [
        *(*ATTRIBUTES, "username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at"),
        *("synced_at", "shard", "user_pool_id", "synced_attributes", "deleted_at"),
    ]
    assert sorted(SINGLE_TABLE.names()) == sorted(
        ["PK", "SK", *(f"cognito_{field}" for field in fields), "GSI1PK", "ttl"]
    )


def test_names_has_each_name_once() -> None:
    # A plan with such a layout fails; DynamoDB takes no projection that names one twice.
    ours = layout(attribute_names={"email": "id"}, extra_attributes={"name": "{username}"}, ttl_attribute="status")
    assert len(ours.names()) == len(set(ours.names()))


# What an item holds.


def test_to_item_has_every_field_and_the_synced_attributes() -> None:
    assert PLAIN.to_item(ADA) == {
        "name": "Ada",
        "email": "Ada@Example.com",
        "username": "ada",
        "status": "RESET_REQUIRED",
        "enabled": False,
        "cognito_created_at": "2026-01-01T00:00:00.000Z",
        "cognito_modified_at": "2026-01-01T12:00:00.000Z",
        "observed_at": "2026-01-02T00:00:00.000Z",
        "shard": f"{POOL_ID}#b",
        "user_pool_id": POOL_ID,
        "synced_attributes": frozenset(
            {"name", "email", "username", "status", "enabled", "cognito_created_at", "cognito_modified_at"}
        ),
    }


def test_to_item_of_a_single_table_has_its_names() -> None:
    from_cognito = {
        "cognito_name": "Ada",
        "cognito_email": "Ada@Example.com",
        "cognito_username": "ada",
        "cognito_status": "RESET_REQUIRED",
        "cognito_enabled": False,
        "cognito_cognito_created_at": "2026-01-01T00:00:00.000Z",
        "cognito_cognito_modified_at": "2026-01-01T12:00:00.000Z",
        "GSI1PK": "EMAIL#ada@example.com",
    }
    assert SINGLE_TABLE.to_item(ADA) == {
        **from_cognito,
        "cognito_observed_at": "2026-01-02T00:00:00.000Z",
        "cognito_shard": f"{POOL_ID}#b",
        "cognito_user_pool_id": POOL_ID,
        "cognito_synced_attributes": frozenset(from_cognito),
    }


def test_to_item_leaves_out_the_key_and_what_is_written_later() -> None:
    # DynamoDB rejects an update that names a key.
    later = {SINGLE_TABLE.name(field) for field in ("synced_at", "deleted_at")}
    assert SINGLE_TABLE.to_item(ADA).keys() | later | {"PK", "SK", "ttl"} == {
        *SINGLE_TABLE.names(),
    } - {SINGLE_TABLE.name("custom:plan")}


def test_to_item_leaves_out_what_is_not_synced() -> None:
    assert "email" not in layout(attributes=("name",)).to_item(ADA)


@pytest.mark.parametrize("attributes", [{}, {"name": ""}], ids=["missing", "empty"])
def test_to_item_leaves_out_an_attribute_without_a_value(attributes: dict[str, str]) -> None:
    item = item_of(PLAIN, **attributes)
    assert item.keys().isdisjoint(ATTRIBUTES)
    assert item["synced_attributes"] == frozenset(FROM_COGNITO)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("User", "User"),
        ("EMAIL#{email|lower}", "EMAIL#ada@example.com"),
        ("{email|upper}", "ADA@EXAMPLE.COM"),
        ("{email}", "Ada@Example.com"),
        ("{sub}/{username|upper}/{custom:plan}", f"{SUB}/ADA/gold"),
        ("{name|upper}{name|lower}{name}", "STRASSEstraßeStraße"),
        ("{email", "{email"),
        ("", None),
        ("{locale}", None),
        ("EMAIL#{email}#{locale|lower}", None),
    ],
)
def test_to_item_fills_in_extra_attributes(template: str, value: str | None) -> None:
    ours = layout(attributes=(*ATTRIBUTES, "locale"), extra_attributes={"extra": template})
    item = item_of(ours, email="Ada@Example.com", name="Straße", **{"custom:plan": "gold", "locale": ""})
    assert item.get("extra") == value
    synced: Any = item["synced_attributes"]
    assert ("extra" in synced) is (value is not None)


def test_to_item_fills_no_value_in_twice() -> None:
    # A value that looks like a placeholder is a value.
    ours = layout(extra_attributes={"extra": "{name}#{email}"})
    assert item_of(ours, name="{email}", email="{sub|upper}")["extra"] == "{email}#{sub|upper}"


INDEX_KEY_LENGTHS = {
    "one": ("a", True),
    "1024": ("a" * 1024, True),
    "1025": ("a" * 1025, False),
    "1024-in-two-byte": ("é" * 512, True),
    "1026-in-two-byte": ("é" * 513, False),
    "1024-in-four-byte": ("😀" * 256, True),
    "1028-in-four-byte": ("😀" * 257, False),
}


@pytest.mark.parametrize(("value", "kept"), INDEX_KEY_LENGTHS.values(), ids=INDEX_KEY_LENGTHS)
def test_to_item_leaves_out_an_index_key_that_is_too_long(value: str, kept: bool) -> None:
    renamed = layout(attribute_prefix="c_", extra_attributes={"extra": "{email}"})
    item = item_of(dataclasses.replace(renamed, index_keys=frozenset({"c_email", "extra"})), email=value)
    assert {name: item.get(name) for name in ("c_email", "extra")} == dict.fromkeys(
        ("c_email", "extra"), value if kept else None
    )
    # The keys of an index are names in the item, not Cognito's.
    assert item_of(dataclasses.replace(renamed, index_keys=frozenset({"email"})), email=value)["c_email"] == value


def test_to_item_takes_half_of_a_surrogate_pair_as_an_index_key() -> None:
    assert item_of(layout(index_keys=frozenset({"email"})), email="\ud800")["email"] == "\ud800"


@given(
    attributes=st.dictionaries(st.sampled_from([*ATTRIBUTES, "other"]), st.text(max_size=9) | st.just("é" * 513)),
    index_keys=st.frozensets(st.sampled_from(ATTRIBUTES)),
)
def test_to_item_has_each_value_unless_an_index_cannot_hold_it(
    attributes: dict[str, str], index_keys: frozenset[str]
) -> None:
    item = item_of(layout(index_keys=index_keys), **attributes)
    held = {
        name: value
        for name, value in attributes.items()
        if name in ATTRIBUTES and value and (name not in index_keys or len(value.encode()) <= 1024)
    }
    assert {name: item[name] for name in item.keys() & {*ATTRIBUTES, "other"}} == held
    synced: Any = item["synced_attributes"]
    assert synced & {*ATTRIBUTES, "other"} == held.keys()


# What an item says.


def test_text_is_empty_where_the_item_has_none() -> None:
    item = {"cognito_email": {"S": "ada@example.com"}, "cognito_name": {"N": "7"}, "status": {"S": "theirs"}}
    assert {field: SINGLE_TABLE.text(item, field) for field in ("email", "name", "status")} == {
        "email": "ada@example.com",
        "name": "",
        "status": "",
    }


@pytest.mark.parametrize(
    ("item", "ours"),
    [
        ({}, False),
        ({"user_pool_id": {"S": POOL_ID}}, False),
        ({"cognito_user_pool_id": {"S": POOL_ID}}, True),
        ({"cognito_user_pool_id": {"S": "eu-central-1_other"}}, False),
    ],
    ids=["empty", "application", "ours", "other-pool"],
)
def test_is_ours_is_an_item_of_this_pool(item: Any, ours: bool) -> None:
    assert SINGLE_TABLE.is_ours(item) is ours


def test_synced_is_what_the_item_got_from_cognito() -> None:
    item = {"cognito_synced_attributes": {"SS": ["plan", "cognito_email"]}}
    assert SINGLE_TABLE.synced(item) == {"plan", "cognito_email"}
    assert SINGLE_TABLE.synced({}) == frozenset()


@pytest.mark.parametrize(
    ("value", "marshalled"),
    [
        ("Ada", {"S": "Ada"}),
        (True, {"BOOL": True}),
        (False, {"BOOL": False}),
        (frozenset({"b", "a"}), {"SS": ["a", "b"]}),
    ],
    ids=["text", "true", "false", "set"],
)
def test_marshal_gives_boto3s_types(value: ItemValue, marshalled: dict[str, Any]) -> None:
    assert marshal(value) == marshalled
