"""Export users to files, in constant memory, and continue after an interruption without lost or repeated users.

Beside the files, a progress file has the number of complete bytes of each, and where the source continues after them.
The next run cuts off what is behind, such as half a line. So a run can end at any moment.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from cognito_user_sync.user_pool import CognitoUnavailableError
from cognito_user_sync_cli.deployment import DeploymentError
from cognito_user_sync_cli.export_formats import IMPORT_BYTES, IMPORT_ROWS, Writer, csv_line
from cognito_user_sync_cli.target_pool import NotImportableError
from cognito_user_sync_cli.user_records import Cursor, ListAgainError, Source

# The progress is stored at most this often.
_STORE_SECONDS: Final = 1.0
# Restarts in one run.
_MAX_RESTARTS: Final = 5
_OWNER_ONLY: Final = 0o600
_REJECTED_HEADER: Final = csv_line(["sub", "reason"])


@dataclass
class Progress:
    """The state after a batch.

    Attributes:
        cursor: Where the source continues.
        sizes: Complete bytes by file name.
        part: The number of the current file, from 1.
        rows: Users in the current file.
        exported: Users in all files.
        rejected: Users that are in no file, by reason.
    """

    cursor: Cursor | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    part: int = 1
    rows: int = 0
    exported: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.exported + self.rejected.total()


class Export:
    """An export to `output`, and to a list of the users that the format rejects, with the reasons.

    Args:
        output: The file. With `is_limited`, further files are named <name>-2, <name>-3 and so on.
        settings: The options of the export. Only an export with the same settings continues.
        is_limited: Whether a file has at most the rows and bytes of an import job.

    Raises:
        DeploymentError: A file exists already, or the unfinished export has other settings.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any], is_limited: bool = False) -> None:
        self.output = output
        self.rejected_file = output.with_name(f"{output.name}.rejected.csv")
        self._settings = dict(settings)
        self._is_limited = is_limited
        self._progress_file = output.with_name(f"{output.name}.progress")
        self._created: list[str] = []
        self._open: dict[str, IO[bytes]] = {}
        self._stored_at = 0.0
        self.is_continued = self._progress_file.exists()
        if self.is_continued:
            self.progress = self._load()
        else:
            self.progress = Progress()
            for path in (output, self.rejected_file):
                _check_is_new(path)
        self._complete = deepcopy(self.progress)

    @property
    def paths(self) -> list[Path]:
        """The files with users."""
        return [self._path(number) for number in range(1, self.progress.part + 1)]

    def run(self, source: Source, writer: Writer, report: Callable[[Progress], None]) -> None:
        """Export all users, and call `report` after each batch.

        If it is interrupted, it stores the progress. Raises the errors of the source, and OSError.
        """
        with ExitStack() as files:
            files.callback(self._close)
            self._cut_off()
            restarts = 0
            while not self._write(source, writer, report):
                restarts += 1
                if restarts > _MAX_RESTARTS:
                    raise CognitoUnavailableError("Cognito keeps rejecting the paging token of the list")
                self.progress = deepcopy(self._complete)
                self._cut_off()
        self._progress_file.unlink()

    def _write(self, source: Source, writer: Writer, report: Callable[[Progress], None]) -> bool:
        """Return whether all users are written. Otherwise those after the last cursor must be written again."""
        self._file(self._path(self.progress.part), writer.header())
        batches = source.batches(self.progress.cursor)
        while True:
            try:
                batch = next(batches, None)
            except ListAgainError:
                return False
            if batch is None:
                return True
            for record in batch.records:
                try:
                    self._append(writer.line(record), writer.header())
                except NotImportableError as reason:
                    self._reject(record.sub, str(reason))
            for error in batch.unusable:
                self._reject(error.sub, str(error).partition(": ")[2])
            if batch.cursor is not None:
                self.progress.cursor = batch.cursor
                self._complete = deepcopy(self.progress)
                if time.monotonic() - self._stored_at >= _STORE_SECONDS:
                    self._store()
            report(self.progress)

    def _reject(self, sub: str, reason: str) -> None:
        self._add(self.rejected_file, csv_line([sub, reason]), _REJECTED_HEADER)
        self.progress.rejected[reason] += 1

    def _append(self, line: bytes, header: bytes) -> None:
        progress = self.progress
        is_full = (
            progress.rows >= IMPORT_ROWS or progress.sizes[self._path(progress.part).name] + len(line) > IMPORT_BYTES
        )
        if self._is_limited and is_full:
            progress.part, progress.rows = progress.part + 1, 0
        self._add(self._path(progress.part), line, header)
        progress.rows += 1
        progress.exported += 1

    def _add(self, path: Path, line: bytes, header: bytes) -> None:
        self._file(path, header).write(line)
        self.progress.sizes[path.name] += len(line)

    def _file(self, path: Path, header: bytes) -> IO[bytes]:
        """Return an open file. A new one gets the header."""
        name = path.name
        if name not in self._open and name in self.progress.sizes:
            self._open[name] = path.open("ab")
        elif name not in self._open:
            if name not in self._created:
                _check_is_new(path)
                # First, so that a killed run does not leave a file that the next one does not know.
                self._created.append(name)
                self._store()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
            self._open[name] = os.fdopen(descriptor, "wb")
            self._open[name].write(header)
            self.progress.sizes[name] = len(header)
        return self._open[name]

    def _path(self, part: int) -> Path:
        return self.output if part == 1 else self.output.with_name(f"{self.output.stem}-{part}{self.output.suffix}")

    def _cut_off(self) -> None:
        """Remove what was written after the last complete batch."""
        self._close_files()
        for name in self._created:
            path = self.output.with_name(name)
            size = self.progress.sizes.get(name)
            found = path.stat().st_size if path.exists() else 0
            if size is None:
                path.unlink(missing_ok=True)
            elif found < size:
                raise DeploymentError(
                    f"{path} has {found:,} bytes, and had {size:,}: it was changed after the export was interrupted."
                    f" Delete it and {self._progress_file.name}, and export again"
                )
            else:
                os.truncate(path, size)

    def _store(self) -> None:
        """Store the last complete state, after the bytes that it counts."""
        for file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        stored = {**vars(self._complete), "created": self._created, "settings": self._settings}
        new = self._progress_file.with_name(f"{self._progress_file.name}-new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as progress:
            progress.write(json.dumps(stored).encode())
            progress.flush()
            os.fsync(progress.fileno())
        new.replace(self._progress_file)
        self._stored_at = time.monotonic()

    def _load(self) -> Progress:
        try:
            stored = json.loads(self._progress_file.read_text(encoding="utf-8"))
            settings, self._created = stored.pop("settings"), stored.pop("created")
            progress = Progress(**{**stored, "rejected": Counter(stored["rejected"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeploymentError(
                f"{self._progress_file} is not the progress of an export: delete it and {self.output}, and export again"
            ) from error
        if settings != self._settings:
            changed = [name for name, value in self._settings.items() if settings.get(name) != value]
            raise DeploymentError(
                f"{self.output} is an unfinished export with another {', '.join(changed)}: use the same options to"
                f" finish it, or delete it and {self._progress_file.name}"
            )
        return progress

    def _close(self) -> None:
        """Store the progress of a run that ends, in any way."""
        try:
            self._store()
        finally:
            self._close_files()

    def _close_files(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()


def _check_is_new(path: Path) -> None:
    if path.exists():
        raise DeploymentError(
            f"{path} exists already, and an export does not replace a file: delete it, or use another file"
        )
