"""How the teacher is learned, and whether people matter to it.

alignet sweep transform --scale=shapes --out=out/ablations

`soft_point` distils the probabilities of an embedding, `posterior` their mean
over an embedding's posterior (uncertainty distillation); see the table `labels`
for a comparison that holds all else equal.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "The teacher"
  config.question = (
      "Is it the human judgments that help, and how should the transform be"
      " learned?"
  )
  config.paper = (
      "students of untransformed representations (UnAligNet) do not become more"
      " human; figures are not known to us."
  )
  glocal = dict(alpha=0.1, tau=0.1)
  config.cells = (
      dict(name="soft_point", settings=dict()),
      dict(
          name="posterior",
          settings=dict(
              judgments="posterior", distil=dict(targets="posterior")
          ),
          needs="posterior",
      ),
      dict(
          name="glocal",
          settings=dict(distil=dict(optimisation=glocal)),
          scales=("shapes", "paper"),
      ),
      # There the default starts from a ridge regression, which glocal has not.
      dict(
          name="glocal",
          settings=dict(
              distil=dict(
                  start="identity",
                  input_map="none",
                  steps=200,
                  optimisation=dict(
                      glocal,
                      regulariser_weight=0.1,
                      learning_rate=1e-4,
                      batch=4096,
                      every=20,
                  ),
              )
          ),
          scales=("cifar",),
      ),
      dict(
          name="ridge regression",
          settings=dict(distil=dict(start="ridge", steps=0)),
      ),
      dict(name="untransformed", settings=dict(teacher="untransformed")),
      dict(
          name="untransformed, entropy matched",
          settings=dict(teacher="matched"),
      ),
      dict(name="shuffled judgments", settings=dict(teacher="shuffled")),
  )
  return config
