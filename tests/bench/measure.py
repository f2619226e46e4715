"""One command, measured from outside; and the edge that it talks to, as a process of its own."""

import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import asdict, dataclass, field

# A tool that takes longer than this is said to have given up.
LIMIT_SECONDS = 600


@dataclass
class Run:
    """What one run took. Memory is the largest resident size of a process, in bytes."""

    wall: float
    cpu: float
    memory: int
    exit: int
    edge_cpu: float
    requests: dict = field(default_factory=dict)
    bytes: int = 0
    refused: int = 0

    def record(self):
        return asdict(self)


class Edge:
    """A local edge that adds `latency` milliseconds to each request."""

    def __init__(self, program, latency):
        self.process = subprocess.Popen(
            [program, "--script", "--latency", str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = json.loads(self.process.stdout.readline())["url"]

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def measure(self, command, environment, log):
        self.say("count")
        before = self.cpu()
        wall, cpu, memory, code = measure(command, environment, log)
        spent = self.cpu() - before
        count = self.say("count")
        return Run(wall, cpu, memory, code, spent, count["operations"], count["bytes"], count["refused"])


def measure(command, environment, log):
    """Wall and CPU seconds, peak memory in bytes, and the exit code of a command and its children.

    The memory of a child is never less than this process's own at the time, which is why the sites
    are built by another one.
    """
    with open(log, "ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        limit = threading.Timer(LIMIT_SECONDS, os.kill, (process.pid, signal.SIGKILL))
        limit.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        limit.cancel()
    # It was waited for already; without this, Popen would wait again.
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, process.returncode
