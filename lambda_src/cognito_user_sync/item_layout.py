"""The layout of a user's item: its key, and the names and values of its attributes.

The table may belong to the application, with other keys and attributes. So all names are configured (variable `table`
of the root module), and each item has the names of the attributes from Cognito (`synced_attributes`): only these are
removed again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from cognito_user_sync.user import SUB, User

ItemValue: TypeAlias = str | bool | int | frozenset[str]
Item: TypeAlias = Mapping[str, Any]
"""An item as boto3's client returns it: {"id": {"S": "..."}, "enabled": {"BOOL": True}}."""

# DynamoDB's limit for a sort key, the smaller of its two key limits, in UTF-8 bytes.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_INDEX_KEY_BYTES = 1024

# Fields besides the key, the synced attributes, the extra attributes and the TTL attribute: first those from Cognito,
# then those of this module.
FROM_COGNITO = ("username", "status", "enabled", "cognito_created_at", "cognito_modified_at")
BOOKKEEPING = ("observed_at", "synced_at", "shard", "user_pool_id", "synced_attributes", "deleted_at")
# Fields of an item with `sync_groups`. `groups` is absent if the user has none.
GROUPS = ("groups", "groups_observed_at")

_PLACEHOLDER = re.compile(r"\{([^{}|]+)(?:\|(lower|upper))?\}")
_FILTERS: dict[str | None, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, None: str}


@dataclass(frozen=True)
class Key:
    """A key of the table. `value` is a template with {sub} and {user_pool_id}."""

    name: str
    value: str


@dataclass(frozen=True)
class ItemLayout:
    """The layout of the items of one pool's users.

    Attributes:
        attributes: Names of the synced attributes in Cognito.
        partition_key: Contains {sub} exactly once.
        attribute_prefix: Prefix of each field that is not in `attribute_names`.
        attribute_names: Names in the item by field.
        extra_attributes: Templates by name in the item, with {sub}, {username} and synced attributes. |lower and |upper
            convert a value.
        ttl_attribute: TTL attribute of the table.
        index_keys: Attributes that are keys of an index.
        sync_groups: Whether items have the groups of their users.
    """

    user_pool_id: str
    attributes: tuple[str, ...]
    partition_key: Key = Key("id", "{sub}")
    sort_key: Key | None = None
    attribute_prefix: str = ""
    attribute_names: Mapping[str, str] = field(default_factory=dict)
    extra_attributes: Mapping[str, str] = field(default_factory=dict)
    ttl_attribute: str = "expires_at"
    index_keys: Set[str] = frozenset()
    sync_groups: bool = False

    def name(self, field: str) -> str:
        """Return the name of a field in the item."""
        return self.attribute_names.get(field, f"{self.attribute_prefix}{field}")

    def names(self) -> tuple[str, ...]:
        """Return the names of the keys and of all attributes that this module writes."""
        fields = (*self.attributes, *FROM_COGNITO, *BOOKKEEPING, *(GROUPS if self.sync_groups else ()))
        named = (*map(self.name, fields), *self.extra_attributes, self.ttl_attribute)
        return tuple(dict.fromkeys((*self.key(""), *named)))

    def key(self, sub: str) -> dict[str, dict[str, str]]:
        """Return the key of a user's item for boto3's client."""
        keys = [self.partition_key, *([self.sort_key] if self.sort_key else [])]
        return {key.name: {"S": _fill(key.value, sub=sub, user_pool_id=self.user_pool_id)} for key in keys}

    def key_prefix(self, sub_prefix: str) -> str:
        """Return the prefix of the partition keys of users whose sub begins with `sub_prefix`."""
        return _fill(self.partition_key.value.partition("{sub}")[0], user_pool_id=self.user_pool_id) + sub_prefix

    def sub_of(self, item: Item) -> str | None:
        """Return the sub in an item's key, or None if the item does not belong to a user.

        An application's copy under another sort key is not the user's item.
        """
        before, _, after = _fill(self.partition_key.value, user_pool_id=self.user_pool_id).partition("{sub}")
        sub = str(item[self.partition_key.name]["S"]).removeprefix(before).removesuffix(after)
        return sub if SUB.fullmatch(sub) and item.items() >= self.key(sub).items() else None

    def shard(self, prefix: str) -> str:
        """Return the key in the index by_shard of users whose sub begins with `prefix`, at least one digit."""
        return f"{self.user_pool_id}#{prefix[0]}"

    def index_key(self, sub: str) -> dict[str, dict[str, str]]:
        """Return the key of an active user's entry in the index by_shard."""
        return {**self.key(sub), self.name("shard"): {"S": self.shard(sub)}}

    def text(self, item: Item, field: str) -> str:
        """Return a string field of an item, or "" if the item lacks it."""
        return str(item.get(self.name(field), {}).get("S", ""))

    def is_ours(self, item: Item) -> bool:
        """Return whether the item belongs to a user of this pool. Items of an application have no pool."""
        return self.text(item, "user_pool_id") == self.user_pool_id

    def synced(self, item: Item) -> frozenset[str]:
        """Return the names of the item's attributes from Cognito."""
        return frozenset(item.get(self.name("synced_attributes"), {}).get("SS", ()))

    def groups(self, item: Item) -> frozenset[str]:
        """Return the names of the groups in an item. An attribute of this name that is not synced is not read."""
        name = self.name("groups")
        return frozenset(item[name]["SS"]) if name in self.synced(item) and "SS" in item.get(name, {}) else frozenset()

    def removed(self, item: Item, values: Mapping[str, ItemValue]) -> list[str]:
        """Return what an update with these values removes: the deletion, and synced attributes that they lack."""
        synced = self.synced(item) if self.is_ours(item) else frozenset()
        return sorted({*synced, self.name("deleted_at")} - self.listed(values))

    def listed(self, values: Mapping[str, ItemValue]) -> frozenset[str]:
        """Return the synced attributes that an item with these values has."""
        names = values[self.name("synced_attributes")]
        return names if isinstance(names, frozenset) else frozenset()

    def to_item(self, user: User, found: Item = MappingProxyType({})) -> dict[str, ItemValue]:
        """Return the item's attributes for an answer of Cognito, without the key.

        Attributes without a value are left out, and also keys of an index with a value that is too long for DynamoDB.
        The groups are left out if the item `found` has newer ones, or if they were not read: they are only listed in
        `synced_attributes`, so that an update keeps them.
        """
        values = {name: user.attributes.get(name, "") for name in self.attributes}
        item: dict[str, ItemValue] = {self.name(name): value for name, value in values.items()}
        known = {**values, "sub": user.sub, "username": user.username}
        item |= {name: filled(template, known) for name, template in self.extra_attributes.items()}
        item |= {
            self.name("username"): user.username,
            self.name("status"): user.status,
            self.name("enabled"): user.enabled,
            self.name("cognito_created_at"): user.created_at,
            self.name("cognito_modified_at"): user.modified_at,
        }
        item = {name: value for name, value in item.items() if value != "" and self._fits(name, value)}
        kept: frozenset[str] = frozenset()
        if user.groups is not None and self.are_groups_newer(user.groups_observed_at, found):
            item |= self.groups_to_item(user.groups, user.groups_observed_at)
        elif self.sync_groups and self.is_ours(found):
            kept = self.synced(found) & {self.name(field) for field in GROUPS}
        return item | {
            self.name("observed_at"): user.observed_at,
            self.name("shard"): self.shard(user.sub),
            self.name("user_pool_id"): self.user_pool_id,
            self.name("synced_attributes"): frozenset(item) | kept,
        }

    def groups_to_item(self, groups: frozenset[str], observed_at: str) -> dict[str, ItemValue]:
        """Return the item's attributes for the groups of a user. DynamoDB has no empty set."""
        item: dict[str, ItemValue] = {self.name("groups"): groups} if groups else {}
        return item | {self.name("groups_observed_at"): observed_at}

    def are_groups_newer(self, observed_at: str, found: Item) -> bool:
        """Return whether groups that were read at this time belong in the item `found`."""
        is_newer = not self.is_ours(found) or self.text(found, "groups_observed_at") <= observed_at
        return self.sync_groups and is_newer

    def _fits(self, name: str, value: ItemValue) -> bool:
        # JSON can contain half of a surrogate pair, which `encode` rejects otherwise.
        is_short = not isinstance(value, str) or len(value.encode(errors="surrogatepass")) <= MAX_INDEX_KEY_BYTES
        return is_short or name not in self.index_keys


def has(item: Item, name: str, value: ItemValue) -> bool:
    """Return whether an attribute of an item has this value."""
    found = item.get(name, {})
    # The order of a set is not defined.
    return frozenset(found.get("SS", ())) == value if isinstance(value, frozenset) else found == marshal(value)


def marshal(value: ItemValue) -> dict[str, Any]:
    """Return a value for boto3's client."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value} if isinstance(value, str) else {"SS": sorted(value)}


def _fill(template: str, **values: str) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def placeholders(template: str) -> frozenset[str]:
    """Return the names of the placeholders in the template of an extra attribute."""
    return frozenset(match[1] for match in _PLACEHOLDER.finditer(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the value of an extra attribute, or "" if one of the placeholders of its template has no value."""
    used = [values[name] for name in placeholders(template)]
    return _PLACEHOLDER.sub(lambda match: _FILTERS[match[2]](values[match[1]]), template) if all(used) else ""
