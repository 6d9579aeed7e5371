"""What representations are good for: classes of images.

Names of scores: `knn`, `probe`, `few_shot1` (and other shots), `retrieval_map`,
`retrieval_recall1`; one number a test image, for paired comparisons, for
few-shot one a draw and test image. For BREEDS `source/…` and `target/…`: the
target subclasses were never seen in training.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from alignet.data import breeds as breeds_lib
from alignet.data.labels import UNLABELLED
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import evaluation
from alignet.evals.evaluation import flag
from alignet.evals.scores import bootstrap
from alignet.evals.scores.classes import few_shot
from alignet.evals.scores.classes import knn
from alignet.evals.scores.classes import linear_probe
from alignet.evals.scores.classes import retrieval
from alignet.human import readers
from alignet.io import files
from alignet.report.shown import Shown
import numpy as np

TASKS = ("knn", "probe", "few_shot", "retrieval")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
  """How representations are classified: the same for all models compared.

  Attributes:
    tasks: some of `TASKS`.
    k: neighbours of k-NN.
    shots: images a class of few-shot classification.
    repeats: draws of these.
    penalties: of the linear probe, chosen on a fifth of the training images.
    recall_at: k of recall at k.
    seed: of draws.
  """

  tasks: tuple[str, ...] = TASKS
  k: int = 10
  shots: tuple[int, ...] = (1, 5)
  repeats: int = 10
  penalties: tuple[float, ...] = linear_probe.PENALTIES
  recall_at: tuple[int, ...] = (1, 5, 10)
  seed: int = 0

  def __post_init__(self):
    unknown = set(self.tasks) - set(TASKS)
    if unknown or not self.tasks:
      raise AlignetError(
          f"tasks: expected some of {', '.join(TASKS)}, found"
          f" {', '.join(sorted(unknown)) or 'none'}"
      )


def scores(
    train: np.ndarray,
    train_ids: np.ndarray,
    tests: Mapping[str, tuple[np.ndarray, np.ndarray]],
    protocol: Protocol,
    among: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
  """Scores of test images; images without a class, id -1, are left out.

  Args:
    train: (n, d).
    train_ids: (n,) classes.
    tests: prefix of the names ("" or ending in "/") to features (m, d) and
      classes (m,).
    protocol: what to compute.
    among: classes to choose from. The probe learns all classes, and its logits
      of others are masked; for k-NN and few-shot, which learn nothing, images
      of others are left out. None for all.

  Returns:
    Name to one number a test image that has a class (for retrieval: that has
    another one of its class among the test images); for few-shot (repeats, m).

  Raises:
    AlignetError: no labelled images, classes of one image, NaN.
  """
  train, train_ids = _labelled(train, train_ids, "training")
  tests = {prefix: _labelled(*test, "test") for prefix, test in tests.items()}
  chosen = train, train_ids
  if among is not None:
    inside = np.where(np.isin(train_ids, among), train_ids, UNLABELLED)
    chosen = _labelled(train, inside, "training")
  if "few_shot" in protocol.tasks:  # Before the probe, which takes long.
    for shots in protocol.shots:
      few_shot.check_shots(chosen[1], shots)
  out = {}
  if "probe" in protocol.tasks:
    probe = linear_probe.fit_chosen(
        train,
        train_ids,
        rng=np.random.default_rng(protocol.seed),
        penalties=protocol.penalties,
    )
    for prefix, (x, y) in tests.items():
      out[f"{prefix}probe"] = (probe.predict(x, among) == y).astype(np.float64)
  for prefix, (x, y) in tests.items():
    if "knn" in protocol.tasks:
      out[f"{prefix}knn"] = knn.accuracy(*chosen, x, y, k=protocol.k)
    if "few_shot" in protocol.tasks:
      for shots in protocol.shots:
        # Equal generators: every model and test sees the same draws.
        out[f"{prefix}few_shot{shots}"] = few_shot.accuracy(
            *chosen,
            x,
            y,
            shots=shots,
            repeats=protocol.repeats,
            rng=np.random.default_rng(protocol.seed),
        )
    if "retrieval" in protocol.tasks:
      ks = [k for k in protocol.recall_at if k < len(x)]
      found = retrieval.retrieve(x, y, ks=ks)
      out[f"{prefix}retrieval_map"] = found.average_precision
      for k, values in found.recall.items():
        out[f"{prefix}retrieval_recall{k}"] = values
  return out


def common_classes(
    train: Labels, test: Labels, *, mask: bool | Sequence[str] = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
  """Class numbers that mean the same in both, joined by name.

  Args:
    train: labels of the training images.
    test: labels of the test images.
    mask: names of the classes to choose from: the protocol of ImageNet-A, whose
      classifiers learn 1,000 classes and choose among 200. True leaves out
      training images of classes that no test image has, so that only those are
      learned.

  Returns:
    Ids of training and of test images, -1 for what is left out: test images of
    a class that training does not have. And the ids to choose from, as `scores`
    takes them; None for all that training has.

  Raises:
    AlignetError: no class in common; names that training does not have, or that
      lack a class of the test images.
  """
  number = {name: i for i, name in enumerate(train.names.tolist())}
  of_class = np.array(
      [number.get(name, UNLABELLED) for name in test.names.tolist()]
      + [UNLABELLED]
  )
  test_ids = of_class[test.ids]
  if (test_ids == UNLABELLED).all():
    raise AlignetError(
        "training and test images have no class in common: found"
        f" {', '.join(train.names[:3].tolist())} … and"
        f" {', '.join(test.names[:3].tolist())} …; give labels of one level"
    )
  if mask is False:
    return train.ids, test_ids, None
  if mask is True:
    kept = np.isin(train.ids, test_ids)
    return np.where(kept, train.ids, UNLABELLED), test_ids, None
  unknown = [name for name in mask if name not in number]
  among = np.array([number[name] for name in mask if name in number])
  missing = np.setdiff1d(test_ids[test_ids != UNLABELLED], among)
  if unknown or missing.size:
    problem = (
        f"{len(unknown)} names of the mask are no class of the training images,"
        f" the first is {unknown[0]}"
        if unknown
        else f"the mask lacks {len(missing)} classes of the test images, the"
        f" first is {train.names[missing[0]]}"
    )
    raise AlignetError(f"{problem}; give names of the labels' level")
  return train.ids, test_ids, among


def breeds_scores(
    train: tuple[np.ndarray, Labels],
    test: tuple[np.ndarray, Labels],
    benchmark: breeds_lib.Breeds,
    protocol: Protocol,
) -> dict[str, np.ndarray]:
  """Superclass accuracy on source and target subclasses.

  Args:
    train: features and labels whose names are WordNet ids; images of source
      classes are used.
    test: the same of other images, such as ImageNet's validation split.
    benchmark: as `breeds.make` gives it.
    protocol: what to compute.

  Returns:
    `source/…` and `target/…` as `scores` gives them.
  """
  relabel = lambda labels, half: breeds_lib.relabel(
      labels, half, benchmark.superclasses
  ).ids
  return scores(
      train[0],
      relabel(train[1], benchmark.source),
      {
          "source/": (test[0], relabel(test[1], benchmark.source)),
          "target/": (test[0], relabel(test[1], benchmark.target)),
      },
      protocol,
  )


def check_level(
    labels: Mapping[str, Labels], level: str, where: object
) -> None:
  """Fails where images have no labels of a level."""
  if level not in labels:
    raise AlignetError(
        f"{where} has no labels of the level {level!r}; found"
        f" {', '.join(labels) or 'none'}"
    )


def summarise(
    rows: Mapping[str, np.ndarray],
    baseline: Mapping[str, np.ndarray] | None = None,
) -> dict[str, dict[str, Any]]:
  """Means over test images, and paired differences from a baseline.

  Args:
    rows: as `scores` gives them.
    baseline: the same of another model on the same images and draws.

  Returns:
    Score to mean, n and, of two images or more, se, low and high: 95 %, by
    Student's t over images, for several draws of few-shot over draws and images
    (see `few_shot`). With a baseline also `baseline`, its mean, and
    `difference`, the same of the paired differences.
  """
  out = {}
  for name, values in rows.items():
    out[name] = {**_mean(values), "n": values.shape[-1]}
    if baseline is not None:
      other = baseline[name]
      out[name]["baseline"] = float(other.mean())
      out[name]["difference"] = _mean(values - other)
  return out


def _mean(values: np.ndarray) -> dict[str, Any]:
  n = values.shape[-1]
  if values.ndim == 2 and len(values) > 1 < n:
    se, freedom = few_shot.error(values)
  else:
    se = float(values.std() / np.sqrt(n - 1)) if n > 1 else np.nan
    freedom = n - 1
  return bootstrap.student_score(float(values.mean()), se, freedom, n=n)


def _labelled(
    features: np.ndarray, ids: np.ndarray, what: str
) -> tuple[np.ndarray, np.ndarray]:
  rows: Sequence[int] | np.ndarray = np.flatnonzero(ids != UNLABELLED)
  if not len(rows):
    raise AlignetError(
        f"no {what} image has a class of this task; give labelled images"
    )
  if len(rows) == len(ids):
    return features, np.asarray(ids)
  return np.asarray(features[rows]), np.asarray(ids)[rows]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Classes of test images, learned from training images.

  Attributes:
    tasks: some of `TASKS`.
    level: of the labels.
    mask: names of the classes to choose from, or their file, or a switch; see
      `common_classes`.
    protocol: how; None for the default one with the suite's seed.
  """

  tasks: Sequence[str] = flag(
      (),
      type=evaluation.split,
      action="store",
      metavar="A,B",
      help="some of knn, probe, few_shot and retrieval",
  )
  level: str = flag("subordinate", help="of labels")
  mask: files.Path | bool | Sequence[str] = flag(
      False,
      is_path=True,
      nargs="?",
      const=True,
      metavar="FILE",
      help=(
          "learn all classes and choose among those whose names FILE has, one a"
          " line: ImageNet-A's 200 WordNet ids; without FILE learn the test"
          " images' classes only"
      ),
  )

  protocol: Protocol | None = dataclasses.field(default=None)


class Classes(evaluation.Evaluation):
  """Classification and retrieval: `classes/{knn, probe, few_shot1, …}`."""

  Settings = Settings
  needs = "labels, and representations of training images with labels"
  needs_train = True
  shown = {
      "classes": Shown(
          title="Classes",
          text=(
              "What the representations are good for: none of this is about"
              " people."
          ),
          intervals="over test images, of few-shot over draws and images",
      )
  }

  def inputs(self, suite):
    in_memory = isinstance(suite.mask, bool | tuple)
    return {} if in_memory else {"mask": suite.mask}

  def check(self, suite):
    _protocol(suite)

  def compute(self, suite, models):
    mask = suite.mask
    if not isinstance(mask, bool | tuple):
      mask = readers.read_names(mask).tolist()
    ids = None
    rows = []
    for train, test, labels in _pairs(suite, models):
      # A baseline is asked the same: its labels are the model's.
      ids = ids or common_classes(*labels, mask=mask)
      train_ids, test_ids, among = ids
      found = scores(
          train.features,
          train_ids,
          {"": (test.features, test_ids)},
          _protocol(suite),
          among=among,
      )
      rows.append({f"classes/{key}": value for key, value in found.items()})
    return evaluation.Result(scores=summarise(*rows), rows=rows[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class BreedsSettings:
  """Benchmarks of subclasses that were not seen.

  Attributes:
    breeds: their names.
    breeds_hierarchy: folder that `alignet fetch breeds` wrote.
  """

  breeds: Sequence[str] = flag(
      (),
      metavar="NAME",
      help="living17, nonliving26, entity13 or entity30; repeatable",
  )
  breeds_hierarchy: files.Path | None = flag(
      is_path=True, metavar="DIR", help="as `alignet fetch breeds` writes it"
  )


class Breeds(evaluation.Evaluation):
  """Superclasses: `breeds/{name}/{source, target}/{knn, …}`."""

  Settings = BreedsSettings
  needs = "the hierarchy of `alignet fetch breeds`, labels that are WordNet ids"
  needs_train = True
  shown = {
      "breeds": Shown(
          title="BREEDS",
          text=(
              "Superclasses, tested on the subclasses trained on (source) and"
              " on others (target)."
          ),
          intervals="over test images, of few-shot over draws and images",
      )
  }

  def sets(self, suite):
    return [f"breeds/{name}" for name in suite.breeds]

  def check(self, suite):
    if not suite.breeds_hierarchy:
      raise AlignetError(
          "--breeds needs --breeds_hierarchy=DIR; get it with `alignet fetch"
          " breeds --out=DIR`"
      )
    hierarchy = breeds_lib.Hierarchy(suite.breeds_hierarchy)
    for name in suite.breeds:
      breeds_lib.make(name, hierarchy)

  def compute(self, suite, models):
    hierarchy = breeds_lib.Hierarchy(suite.breeds_hierarchy)
    protocol = _protocol(suite)
    rows = []
    for train, test, labels in _pairs(suite, models):
      rows.append({})
      for name in suite.breeds:
        found = breeds_scores(
            (train.features, labels[0]),
            (test.features, labels[1]),
            breeds_lib.make(name, hierarchy),
            protocol,
        )
        rows[-1] |= {f"breeds/{name}/{key}": x for key, x in found.items()}
    return evaluation.Result(scores=summarise(*rows), rows=rows[0])


def _protocol(suite) -> Protocol:
  """The suite's; of BREEDS alone k-NN."""
  if suite.protocol is not None:
    return suite.protocol
  return Protocol(tasks=tuple(suite.tasks) or ("knn",), seed=suite.seed)


def _pairs(suite, models):
  """Training and test images of each model, and the model's labels of both."""
  for one, what in ((models.train, "training"), (models.model, "test")):
    check_level(one.labels, suite.level, f"the set of {what} images")
  labels = [m.labels[suite.level] for m in (models.train, models.model)]
  yield models.train, models.model, labels
  if models.baseline is not None:
    yield models.baseline_train, models.baseline, labels
