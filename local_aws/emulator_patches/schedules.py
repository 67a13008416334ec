"""A schedule of EventBridge Scheduler starts within a second of its time. ministack checks every 10 seconds.

AWS does so within a minute: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

from ministack.services import scheduler

from local_aws.emulator_patches.patching import expect


def apply() -> None:
    expect(scheduler._ticker_loop, "time.sleep(_SCHEDULE_TICK_INTERVAL)")
    scheduler._SCHEDULE_TICK_INTERVAL = 1
