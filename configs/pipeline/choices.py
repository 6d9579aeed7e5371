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
the fold are scored, those of ridge regression and of the raw representations
beside it. Then VICE and the teacher are fitted to all. Published are
`results.json`, two pictures of the calibration, `vice.npz` and `transform.npz`.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """The stages and what is published."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.folds = 3
  config.trials = 100_000  # Choices of a fold that are scored, at most.
  config.samples = 50  # Of the posterior predictive; the paper's: not public.
  config.level = "concept"
  config.paths = dict(choices="", concepts="", representations="")
  config.vice = dict(width=100, steps=20_000)
  config.teacher = dict(steps=400, inner_folds=5)
  field, path = config.get_ref, config.paths.get_ref
  vice = {k: config.vice.get_ref(k) for k in config.vice}
  teacher = {k: config.teacher.get_ref(k) for k in config.teacher}
  stages = config.stages = ml_collections.ConfigDict()
  representations = dict(representations=path("representations"))
  judged = dict(choices="choices")
  taught = {k: field(k) for k in ("level", "seed", "samples")}
  stages.choices = dict(
      run="choices",
      files=dict(choices=path("choices"), concepts=path("concepts")),
      params=dict(format="odd_last", on_impossible="error", on_unknown="error"),
  )
  stages.cross_validation = dict(
      run="cross_validate_choices",
      inputs=judged,
      files=representations,
      params=dict(
          folds=field("folds"),
          trials=field("trials"),
          vice=vice,
          teacher=teacher,
          **taught,
      ),
  )
  stages.vice = dict(
      run="vice", inputs=judged, params=dict(seed=field("seed"), **vice)
  )
  stages.teacher = dict(
      run="teach_posterior",
      inputs=dict(vice="vice/vice.npz", **judged),
      files=representations,
      params=dict(**taught, **teacher),
  )
  stages.report = dict(
      run="choices_report",
      inputs=dict(
          cross_validation="cross_validation/report.json",
          vice="vice/vice.npz",
          **judged,
      ),
  )
  config.publish = (
      "report/results.json",
      "cross_validation/calibration.png",
      "cross_validation/calibration_fitted.png",
      "vice/vice.npz",
      "teacher/transform.npz",
  )
  return config
