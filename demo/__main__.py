"""Runs the demo: `python -m demo [--keep]`. With --keep, it destroys nothing until you press Ctrl-C.

Exits 0 if all steps succeeded, 1 if one failed, and 128 + the signal's number if it was interrupted. In each case it
stops what it started, and removes its files.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError

from demo.deployment import MODULE
from demo.report import Interrupted, Report, Unexpected
from demo.steps import Demo
from local_aws.client import HOST, LocalAws, LocalAwsError
from local_aws.offline.terraform_providers import ProvidersError, terraform_environment


def main() -> int:
    _unwind_on_signals()
    # boto3 would use the user's proxy also for addresses of this machine.
    direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{direct},{HOST}" if direct else HOST
    report = Report()
    error, status = None, 0
    try:
        _run(report, keep="--keep" in sys.argv[1:])
    except (Unexpected, LocalAwsError, ProvidersError, ClientError, BotoCoreError, OSError) as failure:
        error, status = str(failure), 1
    except Interrupted as interrupted:
        error, status = f"interrupted by {interrupted}", 128 + interrupted.number
    except Exception:  # noqa: BLE001 - a bug in the demo itself also ends with the summary
        error, status = traceback.format_exc(), 1
    report.summary(error)
    return status


def _run(report: Report, keep: bool) -> None:
    providers = terraform_environment()
    parent = MODULE / ".local"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-", dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = folder / "local-aws.log"
        with LocalAws.started(log=log) as aws:
            report.say(f"The local AWS listens at {aws.endpoint_url}.")
            demo = Demo(report, aws, folder, providers)
            try:
                demo.run(keep)
            except Exception as failure:
                if aws.is_ready():
                    raise
                end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise Unexpected(f"{failure}\nThe local AWS does not answer. The end of its log:\n{end}") from failure


def _unwind_on_signals() -> None:
    """Raise Interrupted on Ctrl-C, a closed terminal and `kill`, unless the signal is ignored (nohup)."""

    def unwind(number: int, _frame: FrameType | None) -> None:
        for each in handled:  # so that a second signal does not interrupt the cleanup
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handled = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, unwind)


if __name__ == "__main__":
    sys.exit(main())
