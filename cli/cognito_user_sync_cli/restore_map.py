"""The map of a restore: the old and the new sub of each user. It is also the record with which a restore continues."""

from __future__ import annotations

import os
import threading
from enum import StrEnum
from pathlib import Path
from typing import Final

from cognito_user_sync.user import SUB
from cognito_user_sync_cli.deployment import DeploymentError

COLUMNS: Final = ("old_sub", "new_sub", "new_user_pool_id", "state")
_HEADER: Final = f"{','.join(COLUMNS)}\n".encode()
_OWNER_ONLY: Final = 0o600


class State(StrEnum):
    """What is done for a user."""

    CREATED = "created"
    """The user exists. Groups, password and the status disabled are not set yet."""
    RESTORED = "restored"


class RestoreMap:
    """A CSV file, to which a line is added for each user. A later line replaces an earlier one of the same user.

    Args:
        path: The file. It is created by the first line.
        pool_id: The new pool.

    Raises:
        DeploymentError: The file is not the map of a restore into this pool.
    """

    def __init__(self, path: Path, pool_id: str) -> None:
        self.path = path
        self._pool_id = pool_id
        self._lock = threading.Lock()
        # 16 bytes each, because there may be millions.
        self._restored: set[bytes] = set()
        self._new_subs: set[bytes] = set()
        self._created: dict[str, str] = {}
        self._complete_bytes = 0
        if path.exists():
            self._read()

    def __len__(self) -> int:
        """Return the number of restored users."""
        return len(self._restored)

    def is_restored(self, old_sub: str) -> bool:
        return _key(old_sub) in self._restored

    def is_taken(self, new_sub: str) -> bool:
        """Return whether the user of the new pool is that of an old user already."""
        return _key(new_sub) in self._new_subs

    def new_sub(self, old_sub: str) -> str | None:
        """Return the new sub of a user who is created and not restored."""
        return self._created.get(old_sub)

    def add(self, old_sub: str, new_sub: str, state: State) -> None:
        """Add a line, and wait until it is stored. Raises OSError."""
        with self._lock:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
            with os.fdopen(descriptor, "ab") as file:
                # Without the part of a line at the end that a killed restore has left.
                file.truncate(self._complete_bytes)
                row = f"{old_sub},{new_sub},{self._pool_id},{state}\n".encode()
                text = row if self._complete_bytes else _HEADER + row
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._complete_bytes += len(text)
            self._remember(old_sub, new_sub, state)

    def _remember(self, old_sub: str, new_sub: str, state: str) -> None:
        self._new_subs.add(_key(new_sub))
        if state == State.RESTORED:
            self._restored.add(_key(old_sub))
            self._created.pop(old_sub, None)
        else:
            self._created[old_sub] = new_sub

    def _read(self) -> None:
        """Read all whole lines. Only the last line can be a part of one."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                is_part = not line.endswith(b"\n")
                is_valid = _HEADER.startswith(line) if number == 0 else is_part or _is_row(line, self._pool_id)
                if not is_valid:
                    raise DeploymentError(
                        f"line {number + 1} of {self.path} is not of a restore into {self._pool_id}: use the map of"
                        " this restore, or another file in --map"
                    )
                if is_part:
                    break
                self._complete_bytes += len(line)
                if number:
                    old_sub, new_sub, _, state = _cells(line)
                    self._remember(old_sub, new_sub, state)


def _cells(line: bytes) -> list[str]:
    return line.decode("utf-8", "replace").rstrip("\n").split(",")


def _is_row(line: bytes, pool_id: str) -> bool:
    cells = _cells(line)
    is_complete = len(cells) == len(COLUMNS) and all(map(SUB.fullmatch, cells[:2]))
    return is_complete and cells[2] == pool_id and cells[3] in set(State)


def _key(sub: str) -> bytes:
    return bytes.fromhex(sub.replace("-", ""))
