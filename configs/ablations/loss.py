"""Does it matter which divergence the student minimises?

alignet sweep loss --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "The student's loss"
  config.question = "Does it matter which divergence the student minimises?"
  config.paper = "the released recipe has JSD."
  config.cells = (
      dict(name="JSD", settings=dict()),
      dict(
          name="KL",
          settings=dict(student=dict(aux=dict(loss=dict(jsd=0.0, kl=1.0)))),
      ),
      dict(
          name="cross-entropy with the hard answer",
          settings=dict(student=dict(aux=dict(loss=dict(jsd=0.0, hard=1.0)))),
      ),
  )
  return config
