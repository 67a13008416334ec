"""Checks the locked dependencies for known vulnerabilities, by pip-audit. Prints each; exits 1 if there is one.

A vulnerability service is used only if it knows the vulnerabilities of a vulnerable release. pip-audit also passes with
a mirror of the package index that answers "not found" to every request. If no service is reachable, the check reports
that nothing was audited, and exits 0.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements/dev.txt", "requirements/scan.txt", "requirements/javascript.txt")
PIP_AUDIT = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
SERVICES = ("pypi", "osv")

KNOWN_TO_BE_VULNERABLE = """\
requests==2.19.0 --hash=sha256:421cfc8d9dde7d6aff68196420afd86b88c65d77d8da9cf83f4ecad785d7b9d6
"""

# Errors of pip-audit without a connection, or if a proxy answers without the service's certificate. A failure of the
# service (status 5xx) is another error.
NO_CONNECTION = re.compile(
    r"^requests\.exceptions\.(ConnectionError|ProxyError|SSLError|ConnectTimeout|ReadTimeout)\b"
    r"|network may be blocking this",
    re.MULTILINE,
)

# Accepted vulnerabilities, each with the reason.
IGNORED = {
    "CVE-2024-23342": "ecdsa: timing of signatures, which the project will not fix; checkov never signs",
}


class AuditError(Exception):
    """A vulnerability service failed."""


def is_in_reach(service: str) -> bool:
    # With a new cache: a cached answer does not show that the service is reachable now.
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "requirements.txt")
        lock.write_text(KNOWN_TO_BE_VULNERABLE, encoding="utf-8")
        options = ["--requirement", str(lock), "--cache-dir", folder, "--timeout", "10", "--format", "json"]
        audit = subprocess.run(
            [*PIP_AUDIT, "--vulnerability-service", service, *options], capture_output=True, text=True, check=False
        )
    if audit.returncode != 0 and NO_CONNECTION.search(audit.stderr):
        return False
    try:
        (answer,) = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        raise AuditError(f"{service}: {audit.stderr.strip()}") from None
    return bool(answer.get("vulns"))


def unlocked() -> list[str]:
    """Return the dependencies of the command line that are in no lock."""
    locked = {
        name.lower()
        for lock in LOCKS
        for name in re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
    }
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [each for each in dependencies if re.split(r"[^\w.-]", each)[0].lower() not in locked]


def is_sound(lock: str, service: str) -> bool:
    print(f"pip-audit: {lock}, by {service}", flush=True)
    ignored = [f"--ignore-vuln={vulnerability}" for vulnerability in IGNORED]
    # --strict fails if the service does not know a release, which was then not audited.
    options = ["--strict", "--vulnerability-service", service, "--requirement", lock, *ignored]
    return subprocess.run([*PIP_AUDIT, *options], cwd=ROOT, check=False).returncode == 0


def main() -> int:
    for dependency in unlocked():
        print(f"pip-audit: {dependency} of pyproject.toml is in no lock, and so not audited", file=sys.stderr)
        return 1
    errors = []
    for service in SERVICES:
        try:
            if is_in_reach(service):
                sound = [is_sound(lock, service) for lock in LOCKS]
                return 0 if all(sound) else 1
        except AuditError as error:
            errors.append(f"pip-audit: {error}")
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 1
    print("pip-audit: no vulnerability service reachable; dependencies were not audited", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
