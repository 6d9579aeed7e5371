"""Does the teacher need the uncertainty of people's judgments?

alignet sweep labels --scale=shapes --out=out/ablations

All teachers start from the identity and take as many steps, so that they differ
by what they learn from alone; the scale's own teacher may start elsewhere and
chooses its steps. On `shapes` the last two know of the observers only what the
choices of `hard` say: VICE is fitted to those. On `cifar` they need
--cfg.paths.posterior.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the others are compared with the first."""
  config = ml_collections.ConfigDict()
  config.title = "What the teacher learns from"
  config.question = (
      "Does the teacher need the uncertainty of people's judgments?"
  )
  config.paper = (
      "the posterior's mean probabilities (uncertainty distillation) are the"
      " paper's choice; figures of the others are not known to us."
  )
  cells = []
  for scales, fit in (
      (("shapes", "paper"), dict(steps=400)),
      # A map of 1,280 dimensions from 64 concepts: small steps, few of them.
      (
          ("cifar",),
          dict(
              steps=60,
              optimisation=dict(
                  regulariser_weight=0.1,
                  learning_rate=1e-4,
                  batch=4096,
                  every=20,
              ),
          ),
      ),
  ):
    fit = dict(start="identity", input_map="none", inner_folds=0, **fit)
    for name, targets, judgments in (
        ("soft_point", "soft_point", "embedding"),
        ("hard", "hard", "embedding"),
        ("soft_point of a posterior's mean", "soft_point", "posterior"),
        ("posterior", "posterior", "posterior"),
    ):
      cells.append(
          dict(
              name=name,
              settings=dict(
                  judgments=judgments, distil=dict(fit, targets=targets)
              ),
              scales=scales,
              needs=judgments,
          )
      )
  config.cells = tuple(cells)
  return config
