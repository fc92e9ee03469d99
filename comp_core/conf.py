"""Settings of comp_core: the dict ``COMP_CORE``, read live."""

from __future__ import annotations

import sys

from comp_users.settings_dict import Setting, SettingsDict

# Ten years and a hundred: what columns and moments in time can hold with ease.
LONGEST_SECONDS = 315_360_000
LONGEST_DAYS = 36_500


def _seconds(default: float, doc: str, *, minimum: float) -> Setting[float]:
    return Setting(default, doc, types=(int, float), minimum=minimum, maximum=LONGEST_SECONDS)


def _days(default: float | None, doc: str) -> Setting[float | None]:
    types = (int, float, type(None))
    return Setting(default, doc, types=types, minimum=1, maximum=LONGEST_DAYS)


class CoreSettings(SettingsDict):
    """Keys of ``COMP_CORE``. Durations are seconds, sizes bytes."""

    name = "COMP_CORE"

    METER = Setting("comp_core.metering.NullMeter", "Dotted path of the meter that prices runs.")
    CURRENCY = Setting(
        "usd", "ISO 4217 code, lower case, in which a site without billing shows costs."
    )
    TASK_BACKEND = Setting("default", "Alias in TASKS of the backend that carries tickets.")
    CHECK_QUEUE = Setting("checks", "Queue of input checks, which never wait behind runs.")
    STORAGE = Setting("default", "Alias in STORAGES where outputs are kept.")
    PYTHON = Setting(sys.executable, "Python interpreter that executes models.")
    LEASE_SECONDS = _seconds(60, "How long a run stays a silent worker's.", minimum=1)
    HEARTBEAT_SECONDS = _seconds(2.0, "Pause between two heartbeats.", minimum=0.01)
    DEADLINE_SECONDS = _seconds(3600, "Longest a model may run.", minimum=1)
    QUEUE_DEADLINE_SECONDS = _seconds(
        86_400, "Longest a run may wait before it is aborted.", minimum=1
    )
    CHECK_SECONDS = _seconds(120, "Longest an input check may take.", minimum=0.1)
    TERMINATE_GRACE_SECONDS = _seconds(
        2.0, "Time between SIGTERM and SIGKILL of a model.", minimum=0
    )
    MAX_RUNNING_RUNS_PER_PROFILE = Setting(
        None,
        "How many runs of one profile are under way at a time, the others waiting their turn; "
        "None: any number. A profile may have a limit of its own.",
        types=(int, type(None)),
        minimum=1,
    )
    MAX_QUEUED_RUNS_PER_PROFILE = Setting(
        10_000,
        "How many runs of one profile may wait, further ones being refused; None: any number. "
        "A profile may have a limit of its own.",
        types=(int, type(None)),
        minimum=0,
    )
    MAX_ATTEMPTS = Setting(
        2, "How often a run is started before it counts as lost.", minimum=1, maximum=1000
    )
    MAX_MEMORY_BYTES = Setting(
        4 * 2**30,
        "Resident memory at which a model is stopped; None: unbounded.",
        types=(int, type(None)),
        minimum=2**20,
    )
    ADDRESS_SPACE_BYTES = Setting(
        None,
        "Limit on a model's address space; breaks models that reserve much, such as the JVM.",
        types=(int, type(None)),
        minimum=2**20,
    )
    MODEL_ENVIRONMENT: Setting[list[str]] = Setting(
        [], "Names of environment variables that models get besides the harmless ones."
    )
    MAX_OUTPUT_BYTES = Setting(64 * 2**20, "Largest single output.", minimum=1)
    MAX_RUN_OUTPUT_BYTES = Setting(256 * 2**20, "Largest sum of one run's outputs.", minimum=1)
    MAX_UPLOAD_BYTES = Setting(20 * 2**20, "Largest uploaded input file.", minimum=1)
    MAX_ROWS_SHOWN = Setting(
        200, "Rows of a table that a page shows; downloads have them all.", minimum=0
    )
    STDOUT_TAIL_BYTES = Setting(16_384, "How much of a model's last words is kept.", minimum=1)
    WORKER_POLL_SECONDS = _seconds(0.2, "Pause of an idle worker.", minimum=0)
    SHUTDOWN_SECONDS = _seconds(
        8.0, "How long a stopping worker lets its run go on before it is requeued.", minimum=0
    )
    MAINTENANCE_SECONDS = _seconds(1.0, "Pause between two maintenance rounds.", minimum=0.01)
    SWEEP_AFTER_SECONDS = _seconds(
        3600,
        "How long after an attempt was interrupted the files that it may have left are removed.",
        minimum=0,
    )
    KEEP_OUTPUTS_DAYS = _days(
        None,
        "Days after a run's end at which its output files are removed; None: kept for ever. "
        "Time, cost and the list of the files stay.",
    )
    KEEP_UNRUN_INPUTS_DAYS = _days(
        30,
        "Days after which inputs that were never run are removed, with their uploads; "
        "None: kept for ever.",
    )
    KEEP_LOGS_DAYS = _days(
        None,
        "Days after a run's end at which what its model printed, and its traceback, are removed; "
        "None: kept for ever.",
    )


conf = CoreSettings()
