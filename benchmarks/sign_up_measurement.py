"""All measurements on a local AWS: Terraform applies the module with three configurations."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import sign_up_path
from benchmarks.measured_deployment import WITH_CHANGES_AND_EVENTS, WITHOUT_WELCOME, MeasuredDeployment
from benchmarks.sign_up_path import SignUpPath
from benchmarks.sign_up_usage import DEFAULT, NO_WELCOME, TRACKED, TUTORIAL, WELCOME, Measurement
from demo.deployment import MODULE, Deployment, clean_environment
from demo.pool import SENDER, make_foreign_pool
from demo.report import Report
from local_aws.client import LocalAws
from local_aws.offline.provider_processes import RARELY_COLLECTED, running_providers
from local_aws.offline.terraform_providers import terraform_environment


def measure(
    users: int, sign_ups: int, burst: int, report: Report, one_provider: bool = False
) -> tuple[Measurement, SignUpPath]:
    """Measure sign-ups and changes. Takes minutes.

    Args:
        users: Number of users whose usage is counted, for each kind of sign-up and change.
        sign_ups: Number of sign-ups that are timed, for each shape.
        burst: Number of users who confirm eight at a time.
        report: Gets a line for each step.
        one_provider: Whether all Terraform commands share one provider process. Then their times are not realistic.

    Raises:
        Unexpected: A step had another result than expected.
    """
    providers = terraform_environment()
    parent = MODULE / ".local"
    parent.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-", dir=parent) as name,
        LocalAws.started() as aws,
        ExitStack() as shared,
    ):
        folder = Path(name)
        pool = make_foreign_pool(aws)

        environment = {**aws.environment(), **providers}
        if one_provider:
            environment |= RARELY_COLLECTED
            environment |= shared.enter_context(running_providers(clean_environment(os.environ, environment), folder))
        terraform = Deployment(report, folder, pool.id, SENDER, environment)
        deployment = MeasuredDeployment(aws, pool, terraform, folder)
        usage, standing = {}, {}

        report.say("terraform: plan, apply, plan")
        terraform_times = sign_up_path.measure_terraform(terraform)
        deployment.read_outputs()
        standing[DEFAULT] = deployment.standing()
        report.say(f"{users} sign-ups with the welcome email")
        signed_up = deployment.sign_up(range(users + 1))
        usage[WELCOME] = deployment.confirmations(signed_up)
        shapes = sign_up_path.Shapes(deployment)
        usage[TUTORIAL] = sign_up_path.tutorial_usage(shapes, users)
        report.say(f"{sign_ups} sign-ups: the handlers alone")
        handler = sign_up_path.measure_handlers(shapes, sign_ups)
        report.say(f"{sign_ups} sign-ups in each shape: through Cognito")
        confirm, readable = sign_up_path.measure_confirmations(shapes, sign_ups)

        report.say("apply without the welcome email")
        deployment.apply(WITHOUT_WELCOME)
        usage[NO_WELCOME] = deployment.confirmations(deployment.sign_up(range(users + 1, 2 * users + 2)))

        report.say("apply with change tracking and events")
        deployment.apply(WITH_CHANGES_AND_EVENTS)
        standing[TRACKED] = deployment.standing()
        usage |= deployment.changes(signed_up)

        report.say(f"{burst:,} sign-ups, eight at a time")
        concurrent = sign_up_path.measure_burst(shapes, burst)
        path = SignUpPath(sign_ups, handler, confirm, readable, concurrent, terraform_times)
        return Measurement(users, deployment.memory_mb(), usage, standing), path
