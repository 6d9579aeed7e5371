"""How certain should the answers be that the student learns from?

alignet sweep target_temperature --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Temperature of the answers"
  config.question = (
      "How certain should the answers be that the student learns from?"
  )
  config.paper = "the teacher's similarities as they are, temperature 1."
  config.cells = (
      dict(name="1", settings=dict()),
      dict(name="0.3", settings=dict(student=dict(aux=dict(target_tau=0.3)))),
      dict(name="3", settings=dict(student=dict(aux=dict(target_tau=3.0)))),
      dict(name="10", settings=dict(student=dict(aux=dict(target_tau=10.0)))),
  )
  return config
