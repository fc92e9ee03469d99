"""Models that attack what runs them; each function is one way of it."""

import atexit
import contextlib
import ctypes
import faulthandler
import itertools
import locale
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

from comp_core.outputs import Chart, File, Table
from comp_core.progress import progress

SPECIAL = (None, "text", [], object(), float("nan"), float("inf"), -float("inf"), -1, 1e400, 2, 1j)


def bombs_memory(amount):
    hoard = []
    while True:
        hoard.append(b"x" * 10**7)


def bombs_memory_in_children(amount):
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            hoard = b"x" * int(amount / 3)
            time.sleep(60)
            os._exit(len(hoard))
    time.sleep(60)


def shares_memory(amount):
    """Four processes that hold the same memory: hardly more than one of them."""
    hoard = b"x" * int(amount)
    for _ in range(3):
        if os.fork() == 0:
            time.sleep(300)
            os._exit(0)
    time.sleep(1)
    return [File("size.txt", str(len(hoard)))]


def loops_in_c(amount):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    re.match("(a+)+$", "a" * 60 + "b")


def sleeps_with_the_lock(amount):
    ctypes.PyDLL(None).sleep(60)


def forks_daemons(amount):
    for number in range(int(amount)):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if number % 2:
                os.setsid()
            if number % 3 == 0 and os.fork():
                os._exit(0)
            if number % 5 == 0:
                os.chdir("/")
            time.sleep(300)
            os._exit(0)
    return []


def forgets_its_environment(amount):
    subprocess.Popen(
        ["/bin/sleep", "300"], env={}, start_new_session=True, stdout=subprocess.DEVNULL
    )
    return []


def multiplies(amount):
    first = os.getpid()
    for _ in range(int(amount)):
        os.fork()
    if os.getpid() != first:
        os.setpgid(0, 0)
        time.sleep(300)
    time.sleep(0.2)
    return []


def overflows_the_stack(amount):
    faulthandler._stack_overflow()


def reads_nowhere(amount):
    ctypes.string_at(0)


def exits_with(amount):
    sys.exit([0, "Nothing to do."][int(amount)])


def hard_exits_well(amount):
    os._exit(0)


def closes_descriptors(amount):
    os.closerange(0, int(amount))
    return [File("hello.txt", "Hello")]


def never_stops_returning(amount):
    for number in itertools.count():
        yield File(f"{number}.txt", "x" * 10**6)


def never_stops_a_table(amount):
    return [Table("Endless", ["n"], ([number] for number in itertools.count()))]


def never_stops_a_row(amount):
    return [Table("Endless", ["n"], [itertools.count()])]


def never_stops_its_columns(amount):
    return [Table("Endless", map(str, itertools.count()), [])]


def works_while_it_returns(amount):
    yield File("first.txt", "1")
    time.sleep(amount)
    yield Table("Rows", ["n"], (time.sleep(amount) or [number] for number in range(2)))


NOISE = {
    "garbage": b"\x00\xff nonsense \n" * 5,
    "half a line": b'{"type": "progress", "frac',
    "a long line": b"x" * 20_000_000,
    "deep": b"[" * 200_000 + b"\n",
    "no object": b"[1]\n",
    "forged": b'{"type": "done"}\n',
    "forged progress": b'{"type": "progress", "fraction": 1e400, "message": ""}\n',
    "forged numbers": b'{"type": "done", "version": "", "seconds": NaN, "outputs": [],'
    b' "peak_memory_bytes": 1}\n',
    "forged outputs": b'{"type": "done", "version": "", "seconds": 0, "peak_memory_bytes": 1,'
    b' "outputs": [{"kind": "file", "title": "", "file": "7", "media_type": "",'
    b' "filename": "x"}]}\n',
    "forged check": b'{"type": "done", "version": "", "errors": {}, "peak_memory_bytes": 1}\n',
    "forged paths": b'{"type": "done", "version": "", "seconds": 0, "peak_memory_bytes": 1,'
    b' "outputs": [{"kind": "file", "title": "", "file": "../job", "media_type": "",'
    b' "filename": "x"}]}\n',
}


def makes_noise(amount, seconds=0.3):
    """Writes into every descriptor that is open; those of the prints are left out."""
    noise = list(NOISE.values())[int(amount)]
    for descriptor in range(3, 1100):
        with contextlib.suppress(OSError):
            os.write(descriptor, noise)
    time.sleep(seconds)
    return [File("hello.txt", "Hello")]


def never_stops_a_line(amount):
    while True:
        makes_noise(list(NOISE).index("a long line"), 0)


def kills_its_group(amount):
    # Its worker it can kill as well, being the same user's: that costs the run an attempt.
    os.killpg(0, int(amount))
    time.sleep(60)


def removes_its_directories(amount):
    scratch = os.path.dirname(os.getcwd())
    os.chdir("/")
    shutil.rmtree(scratch)
    return [File("hello.txt", "Hello")]


def replaces_modules(amount):
    for name in ("json", "time", "os", "traceback", "math", "comp_core.outputs.writing"):
        sys.modules[name] = None
    sys.path.clear()
    sys.meta_path.clear()
    return [Table("T", ["a"], [[1.5]]), Chart("C", {"mark": "bar"}), File("hello.txt", "Hello")]


def replaces_modules_and_fails(amount):
    replaces_modules(amount)
    raise ValueError("The reservoir is empty.")


def turns_the_clock(amount):
    time.monotonic = itertools.cycle([1e9, -1e9, float("nan")]).__next__
    return [File("hello.txt", "Hello")]


def leaves_a_thread(amount):
    threading.Thread(target=time.sleep, args=(300,)).start()
    return [File("hello.txt", "Hello")]


def leaves_an_exit_handler(amount):
    atexit.register(time.sleep, 300)
    return [File("hello.txt", "Hello")]


def replaces_its_streams(amount):
    class Stream:
        def write(self, text):
            return len(text)

        def flush(self):
            time.sleep(300)

    sys.stdout = Stream()
    return [File("hello.txt", "Hello")]


def sets_an_alarm(amount):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    time.sleep(60)


def raises_base(amount):
    raise type("OwnBase", (BaseException,), {})("The pump is gone.")


def raises_at_length(amount):
    raise ValueError("x" * int(amount))


def raises_many(amount):
    raise ExceptionGroup("Many", [ValueError("x" * 1000) for _ in range(int(amount / 1000))])


def raises_recursively(amount):
    class Endless(Exception):
        def __str__(self):
            return str(self)

        __repr__ = __str__

    raise Endless


def raises_an_exiting_text(amount):
    class Exiting(Exception):
        def __str__(self):
            raise SystemExit(0)

    raise Exiting


def raises_a_group(amount):
    raise ExceptionGroup("Two pumps failed", [ValueError("first"), KeyError("second")])


def limits_its_files(amount):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return [File("hello.txt", "Hello")]


def limits_its_bytes(amount):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    return [File("big.txt", "x" * 100_000)]


def limits_its_seconds(amount):
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


def changes_its_ways(amount):
    locale.setlocale(locale.LC_ALL, "C")
    sys.setrecursionlimit(20)
    sys.settrace(lambda *event: None)
    return [Table("T", ["a"], [[[[[1.5]]]]])]


def reports_anything(amount):
    def report():
        for number in range(20_000):
            progress(SPECIAL[number % len(SPECIAL)], SPECIAL[-1 - number % len(SPECIAL)])

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(amount)
    return [File("hello.txt", "Hello")]


def reports_in_a_handler(amount):
    signal.signal(signal.SIGALRM, lambda *signal: progress(0.5, "handler"))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    end = time.monotonic() + amount
    while time.monotonic() < end:
        progress(0.1, "x" * 200)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return [File("hello.txt", "Hello")]


def run(inputs):
    """A model of its own, which changes what it is given."""
    inputs.tree["list"].append("changed")
    inputs.tree.clear()
    inputs.words = "changed"
    with open(inputs.document, "w") as file:
        file.write("changed")
    return []
