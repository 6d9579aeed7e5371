"""Time, CPU time and peak memory, each function in a process of its own."""

from collections.abc import Callable, Sequence
import json
import pathlib
import re
import resource
import subprocess
import sys
import threading
import time


def in_process(script: str, arguments: Sequence[object]) -> dict:
  """Runs a benchmark script as a child; returns the JSON of its last line."""
  done = subprocess.run(
      [sys.executable, script, *map(str, arguments)],
      stdout=subprocess.PIPE,
      text=True,
      check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def measure(function: Callable[[], object]) -> dict[str, float]:
  """Runs the function once.

  Returns:
    seconds, cpu_seconds (of all threads), peak_anonymous_mib (what the process
    allocated beyond what it held before; memory maps of files do not count).
  """
  before = _anonymous()
  peak = before
  done = threading.Event()

  def watch():
    nonlocal peak
    while not done.wait(0.01):
      peak = max(peak, _anonymous())

  watcher = threading.Thread(target=watch)
  watcher.start()
  cpu, wall = time.process_time(), time.perf_counter()
  try:
    function()
  finally:
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = max(peak, _anonymous())
    done.set()
    watcher.join()
  return {
      "seconds": round(wall, 4),
      "cpu_seconds": round(cpu, 4),
      "peak_anonymous_mib": round((peak - before) / 2**20, 1),
  }


def compare(ours: dict[str, float], user: dict[str, float]) -> dict[str, float]:
  """How many times less time, CPU time and memory than the user's way."""
  return {
      "ratio": round(user["seconds"] / ours["seconds"], 2),
      "cpu_ratio": round(user["cpu_seconds"] / ours["cpu_seconds"], 2),
      "memory_ratio": round(
          user["peak_anonymous_mib"] / max(ours["peak_anonymous_mib"], 0.1), 2
      ),
  }


def _anonymous() -> int:
  """Bytes of anonymous memory in use; the peak of all where Linux is not."""
  status = pathlib.Path("/proc/self/status")
  if status.exists():
    kib = re.search(r"RssAnon:\s+(\d+) kB", status.read_text())
    if kib:
      return 1024 * int(kib.group(1))
  return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
