"""How many triplets does a student need?

alignet sweep triplets --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Number of triplets"
  config.question = "How many triplets does a student need?"
  config.paper = (
      "10 million triplets; fewer are not reported, as far as we know."
  )
  config.cells = (
      dict(name="50,000", settings=dict(), scales=("shapes",)),
      dict(name="200", settings=dict(triplets=200), scales=("shapes",)),
      dict(name="1,000", settings=dict(triplets=1_000), scales=("shapes",)),
      dict(name="5,000", settings=dict(triplets=5_000), scales=("shapes",)),
      dict(name="200,000", settings=dict(), scales=("cifar",)),
      dict(name="2,000", settings=dict(triplets=2_000), scales=("cifar",)),
      dict(name="20,000", settings=dict(triplets=20_000), scales=("cifar",)),
      dict(name="10 million", settings=dict(), scales=("paper",)),
      dict(
          name="10 thousand", settings=dict(triplets=10_000), scales=("paper",)
      ),
      dict(
          name="100 thousand",
          settings=dict(triplets=100_000),
          scales=("paper",),
      ),
      dict(
          name="1 million", settings=dict(triplets=1_000_000), scales=("paper",)
      ),
  )
  return config
