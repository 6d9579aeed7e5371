"""One cell of an ablation: the stages that follow from its settings.

A scale (`configs/scales/`) is the first half of a pipeline: images, a base
model, representations, human judgments, and the settings that all cells start
from. A table (`configs/ablations/`) names cells, each by the few settings in
which it differs. `complete` adds what depends on them: teacher, triplets,
responses, student, scores. Cells that agree on what a stage depends on share
its output, by the runner's fingerprints.

Settings:

  teacher   "aligned"; "untransformed", the raw representations; "matched",
            these at the temperature that gives the aligned ones' entropy;
            "shuffled", a teacher of concepts' vectors dealt anew
  distil    arguments of the stage `teach`: how the teacher is fitted
  judgments "embedding", or "posterior", one that knows how sure it is
  features  which of the scale's representations the teacher transforms
  sampling  cluster_border, random, or a strategy over classes
  k, law    number of clusters; what is uniform, "groups" or "images"
  triplets  how many
  student   {"config": name, and overrides of it}; "times_steps" of them
            multiplies the steps, whatever the scale makes these
"""

from collections.abc import Mapping
from typing import Any

from alignet import errors
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.pipeline import runner
import ml_collections

JUDGMENTS = ("embedding", "posterior")
TEACHERS = ("aligned", "untransformed", "matched", "shuffled")


def complete(
    scale: ml_collections.ConfigDict, settings: Mapping[str, Any], seed: int
) -> ml_collections.ConfigDict:
  """The pipeline of a cell; changes the scale's config in place.

  Args:
    scale: a config of `configs/scales/`, loaded anew for each cell.
    settings: what differs from the scale's settings; groups are merged.
    seed: of all that the cell draws, and of the world where the scale draws
      one.

  Returns:
    A pipeline config. The stages `evaluate_base` and `evaluate` write the
    scores of the base model and of the cell's student.

  Raises:
    AlignetError: a setting, or a value of one, that the scale does not have.
  """
  if scale.draws_world:
    scale.seed = seed
  cell = settings_of(scale, settings)
  features = _choose(scale.features, cell["features"], "features")
  for name, known in (("teacher", TEACHERS), ("judgments", JUDGMENTS)):
    errors.check_choice(name, cell[name], known)
  stages = scale.stages
  roles = dict(
      scale.roles,
      features=features,
      transform="teacher/transform.npz",
      clusters="clusters/clusters.npz",
      responses="responses/alignet.npz",
  )

  def add(name, run, takes, **params):
    """A stage; what it takes comes from a stage or from a file outside."""
    inputs, outside = {}, {}
    for key, role in takes.items():
      path = roles.get(role, role)
      (outside if is_outside(scale, path) else inputs)[key] = path
    stages[name] = dict(
        run=run,
        inputs=runner.nest(inputs),
        files=runner.nest(outside),
        params=params,
    )

  judged = dict(
      representations=scale.get("concept_features", scale.features)[
          cell["features"]
      ],
      embedding="embedding",
      held_out="held_out",
      **(
          {} if cell["judgments"] == "embedding" else {"posterior": "posterior"}
      ),
  )
  add(
      "teacher",
      "teach",
      judged,
      level=scale.levels.concept,
      seed=seed,
      **({"shuffle": True} if cell["teacher"] == "shuffled" else {}),
      **cell["distil"],
  )
  add(
      "clusters",
      "cluster",
      {"representations": "features"},
      k=cell["k"],
      seed=seed,
  )
  sampling = cell["sampling"]
  if sampling == "cluster_border":
    sampling += f"_{cell['k']}"
    groups = dict(clusters="clusters")
  else:
    groups = dict(representations="features")
  add(
      "triplets",
      "sample",
      groups,
      strategy=sampling,
      n=cell["triplets"],
      law=cell["law"],
      seed=seed,
      **({} if "clusters" in groups else {"group_level": scale.levels.classes}),
  )
  answered = dict(representations="features", triplets="triplets/triplets.npz")
  aligned = dict(answered, transform="transform")
  if cell["teacher"] == "untransformed":
    aligned = answered
  elif cell["teacher"] == "matched":
    add("responses_aligned", "respond", aligned)
    aligned = dict(answered, temperature_from="responses_aligned/alignet.npz")
  add("responses", "respond", aligned)

  overrides = dict(cell["student"])
  name = overrides.pop("config")
  takes = _choose(scale.students, name, "student.config")
  takes = dict(runner.flatten(takes.to_dict()))
  times = overrides.pop("times_steps", 1)
  if times != 1:
    steps = overrides.get("num_train_steps")
    steps = steps or config_files.load(name).num_train_steps
    overrides["num_train_steps"] = times * steps
  add("student", "train", takes, config=name, seed=seed, **overrides)
  compared = {
      role: role
      for role in ("train", "test", "trials", "class_test")
      if role in roles
  }
  for stage, weights in (
      ("evaluate_base", roles["base"]),
      ("evaluate", "student/weights.safetensors"),
  ):
    add(
        stage,
        "evaluate",
        dict(weights=weights, **compared),
        class_level=scale.levels.classes,
    )
  _keep_only(stages, ("evaluate_base", "evaluate"))
  return scale


def settings_of(
    scale: ml_collections.ConfigDict, settings: Mapping[str, Any]
) -> dict[str, Any]:
  """The scale's settings with those of a cell in them."""
  defaults = scale.settings.to_dict()
  unknown = sorted(set(settings) - set(defaults))
  if unknown:
    raise AlignetError(
        f"unknown setting {unknown[0]!r}; expected some of"
        f" {', '.join(defaults)}"
    )
  return runner.merge(defaults, settings)


def is_outside(scale: ml_collections.ConfigDict, path: str) -> bool:
  """Whether a path is one that was given, not that of a stage's output."""
  return path in scale.get("paths", {}).values()


def _choose(table, name, what):
  if name not in table:
    raise AlignetError(
        f"{what}: this scale has {', '.join(table)}; found {name!r}"
    )
  return table[name]


def _keep_only(stages, wanted) -> None:
  """Drops the stages that the wanted ones do not need."""
  needed, todo = set(), list(wanted)
  while todo:
    name = todo.pop()
    if name not in needed:
      needed.add(name)
      fields = stages[name].to_dict()
      todo += [source for _, source, _ in runner.inputs_of(fields)]
  for name in list(stages):
    if name not in needed:
      del stages[name]
