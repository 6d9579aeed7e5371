"""Trainings in a Python of their own, where devices or processes are several.

  python -m tests.training.trainings '[{"name": …, "cfg": …, "changes": […]},
  …]'

Each is a config with changes; `stop` ends it after so many steps, as a kill
would. The last line is JSON: of each how often the step was compiled and, where
it was stopped, how many arrays lie on the devices in parts.
"""

import collections
from collections.abc import Iterator
import contextlib
import json
import logging
import sys
from typing import Any

import jax

STEP = "jit(_guarded_step)"


@contextlib.contextmanager
def compilations() -> Iterator[collections.Counter[str]]:
  """Counts the programs that JAX compiles, by name."""
  counts = collections.Counter()

  class Handler(logging.Handler):

    def emit(self, record):
      words = record.getMessage().split()
      if words[0] == "Compiling":
        counts[words[1]] += 1

  logger = logging.getLogger("jax._src.interpreters.pxla")
  others = logging.getLogger("jax._src.dispatch")
  handler = Handler()
  logger.addHandler(handler)
  levels = logger.level, others.level
  # Nobody reads so much: the pipe of a process that waits would be full.
  logger.propagate = others.propagate = False
  try:
    with jax.log_compiles():
      yield counts
  finally:
    logger.removeHandler(handler)
    logger.propagate = others.propagate = True
    for each, level in zip((logger, others), levels):
      each.setLevel(level)


def run(
    *, name: str, cfg: str, changes: list[str], stop: int | None = None
) -> dict[str, Any]:
  """Trains; what is counted, see above."""
  from alignet.io import config_files
  from alignet.training import training_run
  from kauldron import konfig

  config = config_files.load(cfg, changes)
  config.evals = {
      k: v for k, v in config.evals.items() if k == "synthetic_valid"
  }
  config.stop_after_steps = stop
  trainer = konfig.resolve(config)
  with compilations() as counts:
    if stop is None:
      training_run.train(trainer)
      return {"name": name, "compiled": counts[STEP]}
    state, _ = trainer.train()
  return {
      "name": name,
      "compiled": counts[STEP],
      "at_start": _in_parts(trainer.init_state()),
      "at_end": _in_parts(state),
  }


def _in_parts(state: Any) -> list[int]:
  """How many arrays of the parameters, and of the optimizer, are in parts."""
  return [
      sum(not x.is_fully_replicated for x in jax.tree.leaves(tree))
      for tree in (state.params, state.opt_state)
  ]


if __name__ == "__main__":
  from alignet.training import training_run

  training_run.join_processes()
  print(json.dumps([run(**job) for job in json.loads(sys.argv[1])]))
