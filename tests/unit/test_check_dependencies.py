"""When the audit of the locks fails, when it passes, and when it reports that nothing was audited."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import check_dependencies

NOT_AUDITED = "pip-audit: no vulnerability service reachable; dependencies were not audited\n"

# The exit status and output of pip-audit 2.10 for each of these services.
KNOWS = (
    1,
    '{"dependencies": [{"name": "requests", "version": "2.19.0", "vulns": [{"id": "PYSEC-2018-28"}]}]}',
    "Found 1",
)
KNOWS_NOTHING = (0, '{"dependencies": [{"name": "requests", "version": "2.19.0", "vulns": []}]}', "")
IS_A_MIRROR = (0, '{"dependencies": [{"name": "requests", "skip_reason": "Dependency not found on PyPI"}]}', "")
IS_UNKNOWN = (1, "", "Traceback ...\nrequests.exceptions.ConnectionError: Failed to resolve 'example.com'\n")
IS_SILENT = (1, "", "ERROR:pip_audit._cli:Tip: your network may be blocking this service. Try another service\n")
IS_BROKEN = (1, "", "Traceback ...\npip_audit._service.interface.ServiceError\n")
IS_ANOTHER_HOST = (1, "", "Traceback ...\nrequests.exceptions.SSLError: certificate verify failed\n")

Answer = tuple[int, str, str]

# A fake pip-audit. It answers the probe as the service of --vulnerability-service, and audits a lock.
PIP_AUDIT = """
import json, sys
answers, unsound = json.loads(sys.argv[1])
arguments = sys.argv[2:]
service = arguments[arguments.index("--vulnerability-service") + 1]
lock = arguments[arguments.index("--requirement") + 1]
if "json" in arguments:
    assert "requests==2.19.0 --hash=sha256:" in open(lock).read()
    code, out, err = answers[service]
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(code)
assert "--strict" in arguments and "--ignore-vuln=CVE-2024-23342" in arguments
print("audited", lock, service)
sys.exit(lock in unsound)
"""


def audit(monkeypatch: pytest.MonkeyPatch, pypi: Answer, osv: Answer, unsound: tuple[str, ...] = ()) -> int:
    answers = json.dumps([{"pypi": pypi, "osv": osv}, unsound])
    monkeypatch.setattr(check_dependencies, "PIP_AUDIT", [sys.executable, "-c", PIP_AUDIT, answers])
    return check_dependencies.main()


def test_check_audits_every_lock_with_the_first_working_service(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, pypi=KNOWS, osv=KNOWS) == 0
    assert capfd.readouterr().out.splitlines()[1::2] == [
        "audited requirements/dev.txt pypi",
        "audited requirements/scan.txt pypi",
        "audited requirements/javascript.txt pypi",
    ]


@pytest.mark.parametrize("pypi", [IS_A_MIRROR, KNOWS_NOTHING, IS_UNKNOWN, IS_SILENT, IS_ANOTHER_HOST, IS_BROKEN])
def test_check_asks_another_service_when_the_first_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pypi: Answer
) -> None:
    assert audit(monkeypatch, pypi=pypi, osv=KNOWS) == 0
    assert "audited requirements/scan.txt osv" in capfd.readouterr().out


@pytest.mark.parametrize("lock", check_dependencies.LOCKS)
def test_check_fails_when_any_lock_has_a_vulnerability(monkeypatch: pytest.MonkeyPatch, lock: str) -> None:
    assert audit(monkeypatch, pypi=KNOWS, osv=KNOWS, unsound=(lock,)) == 1


@pytest.mark.parametrize("pypi", [IS_A_MIRROR, KNOWS_NOTHING, IS_UNKNOWN, IS_SILENT, IS_ANOTHER_HOST])
def test_check_reports_that_nothing_was_audited_without_a_service(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pypi: Answer
) -> None:
    assert audit(monkeypatch, pypi=pypi, osv=IS_UNKNOWN) == 0
    assert capfd.readouterr() == ("", NOT_AUDITED)


def test_check_fails_when_the_only_service_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, pypi=IS_UNKNOWN, osv=IS_BROKEN) == 1
    assert capfd.readouterr() == ("", f"pip-audit: osv: {IS_BROKEN[2]}")


def test_check_fails_when_a_dependency_is_in_no_lock(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(check_dependencies, "ROOT", tmp_path)
    for lock in check_dependencies.LOCKS:
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        (tmp_path / lock).write_text("boto3==1 \\\n    --hash=sha256:0\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["boto3>=1", "rich>=13"]\n', encoding="utf-8")
    assert audit(monkeypatch, pypi=KNOWS, osv=KNOWS) == 1
    assert capfd.readouterr().err == "pip-audit: rich>=13 of pyproject.toml is in no lock, and so not audited\n"
