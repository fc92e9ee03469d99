"""Ways in which models go wrong; each function is one of them."""

import decimal
import os
import signal
import subprocess
import sys
import time
import warnings

from comp_core.outputs import Chart, File, Table
from comp_core.progress import progress, track
from tests.testapp import hostile


def get_version():
    return "0.9"


def validate(inputs):
    if inputs.behaviour == "check_raises":
        raise RuntimeError("The check itself is broken.")
    if inputs.behaviour == "check_returns_list":
        return ["wrong"]
    if inputs.behaviour == "check_sleeps":
        time.sleep(inputs.amount)
    return {"behaviour": "Not this one."} if inputs.behaviour == "refused" else None


def run(inputs):
    behaviour = globals().get(inputs.behaviour) or getattr(hostile, inputs.behaviour)
    return behaviour(inputs.amount)


def fine(amount):
    return [File("hello.txt", "Hello")]


def raises(amount):
    raise ValueError("The reservoir is empty: raise the inflow.")


def raises_half_text(amount):
    raise ValueError("half \ud800 pair and \x00 zero")


def raises_wordless(amount):
    raise KeyboardInterrupt


def exits(amount):
    sys.stdout.write("Goodbye.\n")
    sys.exit(3)


def hard_exits(amount):
    os._exit(7)


def aborts(amount):
    os.abort()


def sleeps(amount):
    time.sleep(amount)
    return []


def ignores_sigterm(amount):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.01)


def prints(amount):
    line = "x" * 1023 + "\n"
    for _ in range(int(amount)):
        sys.stdout.write(line)
    sys.stdout.write("the last \x00 words \x1b[0m\n")
    return []


def hoards(amount):
    hoard = bytearray(int(amount))
    hoard[::4096] = b"x" * len(hoard[::4096])
    time.sleep(30)


def forks(amount):
    for _ in range(int(amount)):
        if os.fork() == 0:
            time.sleep(300)
            os._exit(0)
    return []


def forks_and_sleeps(amount):
    forks(amount)
    time.sleep(300)


def daemonises(amount):
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    return []


def forked_child_returns(amount):
    os.fork()
    return [File("who.txt", "me")]


def recurses(amount):
    return recurses(amount)


def big_output(amount):
    return [File("big.bin", b"x" * int(amount))]


def many_outputs(amount):
    return [File(f"{number}.bin", b"x" * 1000) for number in range(int(amount))]


def returns_text(amount):
    return "not a list"


def returns_strangers(amount):
    return [Table("Fine", ["a"], [[1]]), {"title": "a dict"}]


def strange_value(amount):
    return [Table("Values", ["good", "bad"], [[1, 2], [3, object()]])]


def ragged(amount):
    return [Table("Ragged", ["a", "b"], [[1, 2], [3]])]


def no_numbers(amount):
    row = [float("nan"), float("inf"), -float("inf"), decimal.Decimal("NaN"), None, True]
    spec = {"data": {"values": [{"x": float("nan"), "y": 1.5}]}}
    return [Table("Numbers", list("abcdef"), [row]), Chart("Chart", spec, alt="Nothing")]


def same_titles(amount):
    return (File("a/../same.txt", text, title="Same") for text in ("first", "second"))


def reports(amount):
    for number in range(int(amount)):
        progress(number / amount, "hammering")
    for _ in track(range(3), "three steps"):
        pass
    return []


def reports_nonsense(amount):
    progress(float("nan"), "\ud800")
    time.sleep(amount)
    return []


def reads_input(amount):
    return [File("stdin.txt", sys.stdin.read())]


def turns_warnings_into_errors(amount):
    warnings.simplefilter("error")
    return [File("fine.txt", "fine")]


def writes_into_working_directory(amount):
    with open("report.txt", "w") as file:
        file.write("left behind")
    return [File("where.txt", os.getcwd())]


def chatters(amount):
    subprocess.run(["/bin/cat", "/dev/zero"], check=False)


def names_files_badly(amount):
    names = ["***", "数" * 100 + ".csv", "..", "a" * 300 + ".txt"]
    return [File(name, "x") for name in names]


def closes_stdout(amount):
    sys.stdout = None
    return [File("fine.txt", "fine")]


def raises_unprintable(amount):
    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    raise Unprintable


async def is_async(amount):
    return []


def returns_none(amount):
    return None


def makes_too_many(amount):
    return [File(f"{number}.txt", "") for number in range(int(amount))]


def hoards_when_stopped(amount):
    signal.signal(signal.SIGTERM, lambda number, frame: hoards(amount))
    time.sleep(30)
