"""How strongly should the student be held to what it knew?

alignet sweep decay --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Decay to the initial weights"
  config.question = "How strongly should the student be held to what it knew?"
  config.paper = "rates x decay sum to 1.5."
  config.cells = (
      dict(name="1.5", settings=dict()),
      dict(name="0", settings=dict(student=dict(aux=dict(decay=0.0)))),
      dict(name="0.5", settings=dict(student=dict(aux=dict(decay=0.5)))),
      dict(name="5", settings=dict(student=dict(aux=dict(decay=5.0)))),
  )
  return config
