"""Fits on simulated problems with a known answer, and one real one."""

import dataclasses
import json

from alignet import transforms
from alignet.data import linear_world
from alignet.errors import AlignetError
from alignet.human import judgments as judgments_lib
from alignet.triplets import similarity
import numpy as np
import pytest
from uncertainty_distillation import config as config_lib
from uncertainty_distillation import fit
from uncertainty_distillation import initial_transform
from uncertainty_distillation import objective
from uncertainty_distillation import ridge
from uncertainty_distillation import selection
from uncertainty_distillation import training_loop

_FAST = config_lib.Config(
    steps=100,
    optimisation=training_loop.Optimisation(batch=1024),
    inner_folds=3,
)


@pytest.fixture(scope="module")
def world():
  """Features, concepts, embedding, and which concepts are held out."""
  x, concepts, embedding = linear_world.make(90, 3, seed=2)
  return x, concepts, embedding, np.arange(90) >= 70


def _train(world, config=_FAST, judgments=None, with_embedding=True):
  x, concepts, embedding, held = world
  rows = ~held[concepts]
  if judgments is None:
    judgments = judgments_lib.from_embedding(
        embedding, concepts=np.flatnonzero(~held)
    )
  return fit.fit(
      x[rows],
      concepts[rows],
      judgments,
      config,
      embedding=embedding if with_embedding else None,
  )


def _held_out(world, transform):
  """Agreement and cross-entropy on single images of held-out concepts."""
  x, concepts, embedding, held = world
  rows = np.flatnonzero(held[concepts])[::3]
  trial = judgments_lib.from_embedding(embedding[concepts[rows]])
  s = similarity.of_triplets(transform(x[rows]), trial.triplets)
  return selection.score(s, trial.probabilities)


def test_recovers_a_linear_teacher(world):
  transform, report = _train(world)
  scores = _held_out(world, transform)
  # The best possible cross-entropy is the entropy of the targets.
  assert scores["agreement"] > 0.85
  assert scores["kl"] < 0.05
  raw = _held_out(world, transforms.identity(32))
  assert scores["agreement"] > raw["agreement"] + 0.05
  assert abs(report["inner"]["agreement"] - scores["agreement"]) < 0.1
  assert report["concepts"] == 70 and report["images"] == 210
  assert transform.weights.shape == (32, 6)
  json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("start", ["identity", "small"])
def test_whole_map_from_other_starts(world, start):
  config = dataclasses.replace(_FAST, start=start, steps=400)
  transform, report = _train(world, config)
  assert transform.weights.shape == (32, 32)
  assert _held_out(world, transform)["agreement"] > 0.8
  assert report["steps"] > 0


def _choices(world, n=6000):
  _, _, embedding, held = world
  rng = np.random.default_rng(0)
  soft = judgments_lib.from_embedding(
      embedding, concepts=np.flatnonzero(~held), max_triplets=n
  )
  u = rng.random((len(soft), 1))
  chosen = (soft.probabilities.cumsum(axis=1) > u).argmax(axis=1)
  orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[chosen]
  return np.take_along_axis(soft.triplets, orders, axis=1)


def test_choices_without_an_embedding(world):
  judgments = judgments_lib.from_choices(_choices(world), n_concepts=90)
  transform, _ = _train(world, judgments=judgments, with_embedding=False)
  assert _held_out(world, transform)["agreement"] > 0.75


def test_hard_choices_are_certain_probabilities(world):
  triplets = _choices(world, 2000)
  certain = np.tile([1, 0, 0], (len(triplets), 1))
  a, b = (
      _train(
          world,
          judgments=judgments_lib.from_choices(triplets, p, n_concepts=90),
      )[0]
      for p in (None, certain)
  )
  np.testing.assert_array_equal(a.weights, b.weights)
  np.testing.assert_array_equal(a.bias, b.bias)


def test_deterministic_by_seed_and_blind_to_order(world):
  x, concepts, embedding, held = world
  first, _ = _train(world)
  again, _ = _train(world)
  np.testing.assert_array_equal(first.weights, again.weights)
  other, _ = _train(world, dataclasses.replace(_FAST, seed=1))
  assert (first.weights != other.weights).any()


def test_held_out_concepts_leave_no_trace(world):
  """What is not given to fit cannot matter: embedding rows of held-out ones."""
  x, concepts, embedding, held = world
  first, _ = _train(world)
  changed = np.where(held[:, None], 7, embedding).astype(np.float32)
  second, _ = _train((x, concepts, changed, held))
  np.testing.assert_array_equal(first.weights, second.weights)


def test_judgments_of_concepts_without_images_are_counted(world):
  _, _, embedding, _ = world
  everything = judgments_lib.from_embedding(embedding)
  _, report = _train(world, judgments=everything)
  assert report["triplets"] == 70 * 69 * 68 // 6
  assert report["triplets"] + report["triplets_without_images"] == len(
      everything
  )


def test_width_and_per_dimension_standardisation(world, tmp_path):
  config = dataclasses.replace(
      _FAST, width=4, standardise="per_dimension", input_map="none"
  )
  transform, _ = _train(world, config)
  assert transform.weights.shape == (32, 4)
  assert transform.mean == 0 and transform.std == 1
  transforms.save(tmp_path / "t.npz", transform)
  loaded = transforms.load(tmp_path / "t.npz")
  assert _held_out(world, loaded)["agreement"] > 0.75
  with pytest.raises(AlignetError, match="at most 6.*found 7"):
    _train(world, dataclasses.replace(_FAST, width=7))


def test_without_inner_folds_all_steps_are_run(world):
  _, report = _train(world, dataclasses.replace(_FAST, inner_folds=0))
  assert report["steps"] == 100 and report["inner"] is None


@pytest.mark.parametrize(
    "change, message",
    [
        ({"steps": 70}, "steps: expected a multiple of 50, found 70"),
        ({"start": "zeros"}, "start: expected one of ridge, identity, small"),
        ({"start": "zero"}, 'gradient.*expected "small", a thousandth'),
        ({"input_map": "log"}, "input_map: expected one of"),
        ({"inner_folds": 1}, "inner_folds"),
        ({"width": 0}, "width: expected at least 1"),
    ],
)
def test_bad_settings(change, message):
  with pytest.raises(AlignetError, match=message):
    config_lib.Config(**change)


def test_bad_data(world):
  x, concepts, embedding, held = world
  judgments = judgments_lib.from_embedding(embedding)
  broken = x.copy()
  broken[11, 3] = np.nan
  with pytest.raises(AlignetError, match="features: row 11 .*NaN"):
    fit.fit(broken, concepts, judgments, _FAST, embedding=embedding)
  few = judgments_lib.from_embedding(embedding[:5])
  with pytest.raises(AlignetError, match="at least 6 concepts.*found 5"):
    fit.fit(x[:5], None, few, _FAST)
  with pytest.raises(AlignetError, match="all values are equal"):
    fit.fit(np.ones_like(x), concepts, judgments, _FAST, embedding=embedding)
  lonely = judgments_lib.from_choices(
      np.array([[0, i, i + 1] for i in range(1, 80)]), n_concepts=90
  )
  with pytest.raises(AlignetError, match="inner_folds=0"):
    fit.fit(x, concepts, lonely, _FAST, embedding=embedding)


def test_a_loss_that_explodes_is_an_error(world):
  config = dataclasses.replace(
      _FAST,
      start="identity",
      inner_folds=0,
      optimisation=training_loop.Optimisation(learning_rate=1e30, batch=64),
  )
  with pytest.raises(AlignetError, match="loss became .* lower the learning"):
    _train(world, config)


def _imagenet(folder):
  """Features (334, 1280) and VICE's embedding (334, 42) of ImageNet concepts.

  The rows of the features follow the data source, whose first images of each
  class come in no order we know without TFDS: the labels are read from it.
  """
  tfds = pytest.importorskip("tensorflow_datasets")
  source = tfds.data_source(
      "imagenet2012",
      split="train",
      data_dir=folder / "tfds",
      decoders={"image": tfds.decode.SkipDecoding()},
  )
  labels = np.array([source[i]["label"] for i in range(len(source))])
  names = source.dataset_info.features["label"].names
  table = (folder / "things" / "concepts.tsv").read_text().splitlines()[1:]
  ids = [line.split("\t")[1] for line in table]
  pairs = json.loads(
      (folder / "things" / "imagenet_to_things.json").read_text()
  )
  rows = [np.argmax(labels == names.index(wnid)) for wnid in pairs]
  features = np.load(folder / "features" / "imagenet2012_train_lite0.npy")
  embedding = np.load(folder / "things" / "vice_embedding.npy")
  return features[rows], embedding[[ids.index(v) for v in pairs.values()]]


def test_imagenet_and_vice(test_data):
  """One image each of the concepts; half of them as held-out."""
  features, embedding = _imagenet(test_data)
  train, held = np.arange(0, 334, 2), np.arange(1, 334, 2)
  transform, _ = fit.fit(
      features[train],
      train,
      judgments_lib.from_embedding(
          embedding, concepts=train, max_triplets=200_000
      ),
      config_lib.Config(steps=100),
      embedding=embedding,
  )
  trial = judgments_lib.from_embedding(embedding[held], max_triplets=50_000)
  s = similarity.of_triplets(transform(features[held]), trial.triplets)
  scores = selection.score(s, trial.probabilities)
  # Raw features reach .40, ridge from L2-normalised ones about .52 here.
  assert scores["agreement"] > 0.52
  assert scores["cross_entropy"] < 1.06


@pytest.mark.parametrize("start", ["ridge", "identity"])
def test_glocal_keeps_neighbourhoods(world, start):
  """More of the local term: closer to the neighbourhoods there were."""
  x, concepts, embedding, held = world
  images = np.random.default_rng(0).normal(size=(200, 32)).astype(np.float32)
  kept = []
  for alpha in (0.0, 0.9):
    config = dataclasses.replace(
        _FAST,
        start=start,
        inner_folds=0,
        optimisation=dataclasses.replace(
            _FAST.optimisation, alpha=alpha, tau=0.1, local_batch=64
        ),
    )
    transform, _ = fit.fit(
        x,
        concepts,
        judgments_lib.from_embedding(embedding),
        config,
        embedding=embedding,
        local_images=images if alpha else None,
    )
    kept.append(float(objective.locality(images, transform(images), 0.1)))
  assert kept[1] < kept[0] - 0.1


def test_inner_folds_keep_blocks_together(world, monkeypatch):
  """Those of the ridge regression and those on which steps are chosen."""
  x, concepts, embedding, _ = world
  blocks = np.random.default_rng(0).integers(0, 9, 90)
  judgments = judgments_lib.from_embedding(embedding, max_triplets=30_000)
  folds, parts = [], []
  ridge_fit, restrict = ridge.fit, training_loop.restrict
  monkeypatch.setattr(
      ridge, "fit", lambda *args: folds.extend(args[3]) or ridge_fit(*args)
  )
  monkeypatch.setattr(
      training_loop,
      "restrict",
      lambda pool, rows: parts.append(rows) or restrict(pool, rows),
  )
  config = dataclasses.replace(_FAST, input_map="none", steps=50)
  fit.fit(*(x, concepts, judgments, config), embedding=embedding, blocks=blocks)
  assert len(folds) == 9 and len(parts) == 2 * config.inner_folds
  assert all(len(set(blocks[fold])) == 1 for fold in folds)
  of = lambda rows: set(blocks[judgments.triplets[rows].ravel()])
  for training, validation in zip(parts[::2], parts[1::2]):
    assert not of(training) & of(validation)
  with pytest.raises(AlignetError, match="at least two categories"):
    fit.fit(*(x, concepts, judgments, config), blocks=0 * blocks)


def test_neighbourhoods_are_those_before_standardisation():
  """As in the Kauldron trainer, see `tests/configs`."""
  rng = np.random.default_rng(0)
  images = rng.gamma(2, size=(9, 4)).astype(np.float32)
  base, x = initial_transform.plain(images, "sqrt", "scalar")
  config = config_lib.Config(optimisation=training_loop.Optimisation(alpha=0.1))
  local = fit._local(images, 4, base, config)
  in_order = lambda a: np.asarray(a)[np.lexsort(np.asarray(a).T)]
  np.testing.assert_allclose(in_order(local.original), in_order(images**0.5))
  np.testing.assert_allclose(in_order(local.inputs), in_order(x), rtol=1e-5)


@pytest.mark.parametrize("alpha, images", [(0.1, None), (0.0, np.eye(32))])
def test_the_local_term_needs_images_and_a_share(world, alpha, images):
  x, concepts, embedding, _ = world
  config = config_lib.Config(
      optimisation=training_loop.Optimisation(alpha=alpha)
  )
  with pytest.raises(AlignetError, match="the local term needs both"):
    fit.fit(
        x,
        concepts,
        judgments_lib.from_embedding(embedding),
        config,
        embedding=embedding,
        local_images=images,
    )


def test_tune_takes_the_setting_that_does_best_on_inner_folds():
  x, concepts, embedding = linear_world.make(60, 2, features=16, seed=3)
  judgments = judgments_lib.from_embedding(embedding, seed=0)
  configs = [
      fit.Config(
          start="identity",
          steps=40,
          inner_folds=3,
          optimisation=training_loop.Optimisation(
              learning_rate=rate, batch=512, every=20
          ),
      )
      for rate in (1e-7, 1e-2)
  ]
  transform, report = fit.tune(x, concepts, judgments, configs)
  assert len(report["tuned"]) == 2 and report["tuned"][0] > report["tuned"][1]
  alone, _ = fit.fit(x, concepts, judgments, configs[1])
  np.testing.assert_array_equal(transform.weights, alone.weights)
  assert transform.meta["tuned"] == report["tuned"]
  # Images for the settings that have a local term, if there are any.
  local = [
      dataclasses.replace(
          configs[1],
          optimisation=dataclasses.replace(
              configs[1].optimisation, alpha=alpha, local_batch=9
          ),
      )
      for alpha in (0.0, 0.5)
  ]
  _, report = fit.tune(x, concepts, judgments, local, local_images=x[:20])
  assert len(report["tuned"]) == 2
  blind = [dataclasses.replace(c, inner_folds=0) for c in configs]
  with pytest.raises(AlignetError, match="2 settings .* no inner folds"):
    fit.tune(x, concepts, judgments, blind)
