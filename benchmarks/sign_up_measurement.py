"""Everything that is measured on a laptop AWS, with the module applied to it three times over by the real Terraform."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import sign_up_path
from benchmarks.laptop import WITH_CHANGES, WITHOUT_WELCOME, Laptop
from benchmarks.sign_up_path import SignUpPath
from benchmarks.sign_up_usage import CHANGE, DEFAULT, NO_WELCOME, TRACKED, TUTORIAL, WELCOME, Measurement
from demo.deployment import MODULE, Deployment, clean_environment
from demo.pool import SENDER, make_foreign_pool
from demo.report import Report, Unexpected
from local_aws.client import LocalAws
from local_aws.provider_processes import RARELY_COLLECTED, running_providers
from local_aws.terraform_providers import terraform_environment


def measure(
    people: int, sign_ups: int, burst: int, told: Report, one_provider: bool = False
) -> tuple[Measurement, SignUpPath]:
    """What `people` cost who sign up or change, and how long each of `sign_ups` takes, and a burst of them.

    Takes minutes. With `one_provider`, which all commands of Terraform share, the seconds of a stage are not a user's.
    Raises Unexpected where something does not go as it should.
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

        def alive() -> None:
            if aws.process is not None and aws.process.poll() is not None:
                raise Unexpected("the laptop AWS has ended")

        environment = {**aws.environment(), **providers}
        if one_provider:
            environment |= RARELY_COLLECTED
            environment |= shared.enter_context(running_providers(clean_environment(os.environ, environment), folder))
        deployment = Deployment(told, folder, pool.id, SENDER, environment, alive)
        laptop = Laptop(aws, pool, deployment, folder)
        usage, standing = {}, {}

        told.say("terraform: plan, apply, plan")
        stage = sign_up_path.measure_stage(deployment)
        laptop.look()
        standing[DEFAULT] = laptop.standing()
        told.say(f"{people} sign-ups with the welcome")
        greeted = laptop.sign_up(range(people + 1))
        usage[WELCOME] = laptop.confirmations(greeted)
        rivals = sign_up_path.Rivals(laptop)
        usage[TUTORIAL] = sign_up_path.tutorial_usage(rivals, people)
        told.say(f"{sign_ups} sign-ups: the handlers alone")
        handler = sign_up_path.measure_handlers(rivals, sign_ups)
        told.say(f"{sign_ups} sign-ups in each shape: through Cognito")
        confirm, calls, readable = sign_up_path.measure_confirmations(rivals, sign_ups)

        told.say("apply without the welcome")
        laptop.apply(WITHOUT_WELCOME)
        usage[NO_WELCOME] = laptop.confirmations(laptop.sign_up(range(people + 1, 2 * people + 2)))

        told.say("apply with change tracking")
        laptop.apply(WITH_CHANGES)
        standing[TRACKED] = laptop.standing()
        usage[CHANGE] = laptop.changes(greeted)

        told.say(f"{burst:,} sign-ups at once")
        at_once = sign_up_path.measure_burst(rivals, burst)
        path = SignUpPath(sign_ups, handler, confirm, calls, readable, at_once, stage)
        return Measurement(people, laptop.memory_mb(), usage, standing), path
