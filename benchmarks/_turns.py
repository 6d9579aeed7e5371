"""Programs that take turns, call by call: what disturbs one disturbs all."""

from collections.abc import Callable, Mapping, Sequence
import os
import statistics
import subprocess
import sys
import time


def work(functions: Mapping[str, Callable[[], object]]) -> None:
  """Runs what each line of stdin names, and prints its two times."""
  for line in sys.stdin:
    function = functions[line.strip()]
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    print(time.process_time() - cpu, time.perf_counter() - wall, flush=True)


def compare(
    commands: Mapping[str, Sequence[str]], what: Sequence[str], repeats: int
) -> dict[str, dict[str, list[float]]]:
  """Runs each function of each side, in turns.

  Args:
    commands: side -> arguments of a Python program that calls `work`.
    what: names of functions.
    repeats: timed calls of each; one before them compiles.

  Returns:
    Function -> side -> median CPU seconds, of all threads, and seconds.
  """
  sides = {
      side: subprocess.Popen(
          [sys.executable, *command],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          text=True,
          # PyTorch's threads would spin while they wait: that is no work.
          env=os.environ | {"OMP_WAIT_POLICY": "passive"},
      )
      for side, command in commands.items()
  }

  def call(side, function):
    process = sides[side]
    process.stdin.write(function + "\n")
    process.stdin.flush()
    return tuple(map(float, process.stdout.readline().split()))

  result = {}
  try:
    for function in what:
      times = {side: [] for side in sides}
      for i in range(repeats + 1):
        for side in times:
          found = call(side, function)
          if i:  # The first call compiles.
            times[side].append(found)
      result[function] = {
          side: [statistics.median(t) for t in zip(*found)]
          for side, found in times.items()
      }
  finally:
    for process in sides.values():
      process.stdin.close()
      process.wait()
  return result
