"""Choice probabilities in AligNet's format, whoever gave them.

Names of scores begin with their source: `synthetic/…` AligNet's responses,
`simulated/…` simulated observers, `vice/…` an embedding of people's choices,
`human/…` people themselves. The first three say how well a target is met; only
the last say anything about people.
"""

import dataclasses

from alignet import errors
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.model import objects_of
from alignet.evals.scores.choices import choice_scores
from alignet.human import trials as trials_lib
from alignet.io import files
from alignet.report.shown import Shown
from alignet.triplets import similarity
import numpy as np

SOURCES = ("human", "simulated", "synthetic", "vice")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Sets of trials.

  Attributes:
    trials: SOURCE or SOURCE/SET to an AligNet npz, or a folder of them.
  """

  trials: evaluation.Pairs = flag(
      (),
      is_path=True,
      type=evaluation.pair,
      metavar="SOURCE[/SET]=PATH",
      help=(
          "AligNet npz or folder of them, answered by SOURCE: synthetic,"
          " simulated, vice or human; SET names the set, by default the file"
          " does; repeatable"
      ),
  )


class Trials(evaluation.Evaluation):
  """Agreement with choice probabilities: modal, expected, likelihoods.

  `{source}/{set}/{modal, expected, cross_entropy, kl, brier, …_fitted,
  calibration_error, calibration_error_fitted}`. The bootstrap draws concepts,
  where all images of the set's trials have one, and else images.
  """

  Settings = Settings
  needs = "an AligNet npz, or a folder of them, about the images by name"
  shown = {
      "human": evaluation.PEOPLE,
      "vice": Shown(
          title="Agreement with an embedding of people's choices",
          text=(
              "An embedding that was fitted to people's choices stands for"
              " them: a model of people, whose mistakes count as agreement too."
          ),
      ),
      "simulated": Shown(
          title="Agreement with simulated observers",
          text=(
              "Observers that are a formula: a test of the pipeline, which says"
              " nothing about people."
          ),
      ),
      "synthetic": Shown(
          title="Agreement with AligNet's own responses",
          text=(
              "The responses that students are trained on: how well training"
              " worked, not whether anything became more human."
          ),
      ),
  }

  def sets(self, suite):
    return [name for name, _ in _sets(suite)]

  def inputs(self, suite):
    return dict(_sets(suite))

  def check(self, suite):
    for name, _ in suite.trials:
      errors.check_choice("source", name.partition("/")[0], SOURCES)

  def compute(self, suite, models):
    scores, details, rows = {}, {}, {}
    for name, path in _sets(suite):
      trials = trials_lib.read(path, image_names=models.model.filenames)
      ours, *theirs = (
          choice_scores.of_probabilities(
              similarity.of_triplets(m.features, trials.indices, m.kind),
              trials.probabilities,
              rng=np.random.default_rng(suite.seed),
          )
          for m in models.tested
      )
      objects, drawn = objects_of(models.model.labels, trials.indices)
      found = choice_scores.summarise(
          ours,
          objects,
          baseline=theirs[0] if theirs else None,
          seed=suite.seed,
          resamples=suite.resamples,
      )
      scores |= {f"{name}/{key}": value for key, value in found.items()}
      rows |= {f"{name}/{key}": value for key, value in ours.items()}
      details[name] = {"drawn": [drawn]}
    return evaluation.Result(scores=scores, details=details, rows=rows)


def _sets(suite) -> list[tuple[str, files.Path]]:
  """SOURCE/SET and file of each set."""
  found = []
  for name, path in suite.trials:
    source, _, of_set = name.partition("/")
    for set_name, file in trials_lib.find(path, of_set).items():
      found.append((f"{source}/{set_name}", file))
  return found
