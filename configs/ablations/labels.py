"""Does the teacher need the uncertainty of people's judgments?

alignet sweep labels --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Soft or hard judgments"
  config.question = (
      "Does the teacher need the uncertainty of people's judgments?"
  )
  config.paper = (
      "soft judgments (uncertainty distillation) are the paper's choice."
  )
  config.cells = (
      dict(name="soft", settings=dict()),
      dict(name="hard", settings=dict(distil=dict(targets="hard"))),
  )
  return config
