"""From people's odd-one-out choices to a teacher, cross-validated.

  alignet run choices --out=out/choices \
    --cfg.paths.choices=choices.npy \
    --cfg.paths.concepts=names.txt \
    --cfg.paths.representations=DIR

Choices are rows of three concepts, read in one of the formats odd_last,
odd_first (npy or text) or things_csv; concepts a file of names, or THINGS'
concepts.tsv, in the order of the numbers; DIR holds representations whose
labels of level concept have the same numbers (`alignet extract --concepts=…`).

On each fold of the concepts VICE is fitted to the choices among the others, its
posterior predictive is distilled into a transform, and people's choices about
the fold are scored. Then both are fitted to all. Published are `vice.npz`,
`transform.npz` and `results.json`.
"""

import ml_collections

_FOLDS = 3


def get_config() -> ml_collections.ConfigDict:
  """The stages and what is published."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.samples = 50  # Of the posterior predictive; the paper's: not public.
  config.level = "concept"
  config.paths = dict(choices="", concepts="", representations="")
  config.vice = dict(width=100, steps=20_000)
  field, path = config.get_ref, config.paths.get_ref
  stages = config.stages = ml_collections.ConfigDict()
  representations = dict(representations=path("representations"))
  stages.choices = dict(
      run="choices",
      files=dict(choices=path("choices"), concepts=path("concepts")),
      params=dict(format="odd_last", on_impossible="error", on_unknown="error"),
  )
  stages.folds = dict(
      run="concept_folds",
      files=representations,
      params=dict(level=field("level"), folds=_FOLDS, seed=field("seed")),
  )
  judged = dict(triplets="choices/triplets.npy", report="choices/report.json")
  fitted = dict(
      seed=field("seed"),
      width=config.vice.get_ref("width"),
      steps=config.vice.get_ref("steps"),
  )
  taught = dict(
      level=field("level"), seed=field("seed"), samples=field("samples")
  )
  for i in range(1, _FOLDS + 1):
    held_out = dict(held_out=f"folds/fold{i}/held_out.npy")
    stages[f"vice_fold{i}"] = dict(
        run="vice", inputs=dict(**judged, **held_out), params=fitted
    )
    stages[f"teacher_fold{i}"] = dict(
        run="teach_posterior",
        inputs=dict(
            vice=f"vice_fold{i}/vice.npz",
            triplets="choices/triplets.npy",
            **held_out,
        ),
        files=representations,
        params=taught,
    )
    stages[f"scores_fold{i}"] = dict(
        run="evaluate_choices",
        inputs=dict(
            transform=f"teacher_fold{i}/transform.npz",
            triplets="choices/triplets.npy",
            **held_out,
        ),
        files=representations,
        params=dict(level=field("level"), seed=field("seed")),
    )
  stages.vice = dict(run="vice", inputs=judged, params=fitted)
  stages.teacher = dict(
      run="teach_posterior",
      inputs=dict(vice="vice/vice.npz", triplets="choices/triplets.npy"),
      files=representations,
      params=taught,
  )
  stages.report = dict(
      run="choices_report",
      inputs=dict(
          scores={f"fold{i}": f"scores_fold{i}" for i in range(1, _FOLDS + 1)},
          report="choices/report.json",
          vice="vice/vice.npz",
      ),
      params=dict(seed=field("seed")),
  )
  config.publish = (
      "report/results.json",
      "vice/vice.npz",
      "teacher/transform.npz",
  )
  return config
