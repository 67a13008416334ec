"""Scans the Terraform code with checkov, by .checkov.yaml. Prints each failed check; exits 1 if there is one.

checkov passes if it cannot read a file, if it scans no resource, and if a skip has no reason. This check then fails.
Every resource of the module and its examples must be scanned.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("*.tf", "modules/*/*.tf", "examples/*/*.tf")


def declared_resources() -> set[str]:
    """Return each resource in the sources, as path:type.name."""
    return {
        f"{path.relative_to(ROOT).as_posix()}:{kind}.{name}"
        for pattern in SOURCES
        for path in ROOT.glob(pattern)
        for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def scanned_resource(resource: str) -> str:
    """Return a scanned resource in the same form. checkov reports the absolute path and the modules of the address."""
    path, _, address = resource.rpartition(":")
    kind, name = address.split(".")[-2:]
    return f"{Path(path).relative_to(ROOT).as_posix()}:{kind}.{name.partition('[')[0]}"


def problems() -> Iterator[str]:
    # checkov reads these when it is imported, and looks up a newer version of itself. A skip-path in .checkov.yaml
    # applies to whole paths, so it would also skip a clone below a folder named build.
    os.environ["CKV_SKIP_PACKAGE_UPDATE_CHECK"] = "true"
    os.environ["CKV_IGNORED_DIRECTORIES"] = "build,node_modules"
    from checkov.main import Checkov

    scan = Checkov(argv=["--directory", "."])
    status = scan.run()
    passed, failed = 0, 0
    scanned: set[str] = set()
    skips: set[tuple[str, str]] = set()
    for report in scan.scan_reports:
        passed += len(report.passed_checks)
        failed += len(report.failed_checks)
        scanned |= {scanned_resource(resource) for resource in report.resources}
        for path in report.parsing_errors:
            yield f"{path} could not be read"
        for skip in report.skipped_checks:
            skips.add((f"{skip.file_path}:{skip.file_line_range}", skip.check_id))
            if skip.check_result["suppress_comment"].strip() in ("", "No comment provided"):
                yield f"{skip.file_path}: {skip.check_id} is skipped for {skip.resource} without a reason"
    if scan.config.check or scan.config.skip_check:
        yield "a check is skipped for all resources: skip it at its resource, with its reason"
    declared = declared_resources()
    for resource in sorted(declared - scanned):
        yield f"{resource} was not scanned"
    if not declared or not passed:
        yield "nothing was scanned"
    # Both are needed: a setting can disable the exit status, and an aborted run has no report.
    if failed or status != 0:
        yield f"{failed} checks failed (exit status {status})"
    print(f"checkov: {len(scanned)} resources, as often as they are called: {passed} checks passed, {len(skips)} skips")


def main() -> int:
    os.chdir(ROOT)
    found = list(problems())
    for problem in found:
        print(f"checkov: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
