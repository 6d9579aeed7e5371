"""Evaluators along a training say what offline scoring says."""

import dataclasses
import json
import pathlib
import re

from alignet import evals
from alignet.data import breeds
from alignet.data import images as images_lib
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import levels as levels_scores
from alignet.evals import usefulness
from alignet.human import levels as levels_lib
from alignet.representations import extract
from kauldron import kd
from kauldron import konfig
import numpy as np
import pytest
from scipy import stats
from tests.data import living_hierarchy
from tests.human import simulated_levels


@pytest.fixture(name="setup")
def _setup(shrunk, tmp_path):
  trainer = kd.konfig.resolve(shrunk("student/small", tmp_path))
  state = trainer.trainstep.init(
      elem_spec=trainer.train_ds.element_spec, skip_transforms=True
  )
  rng = np.random.default_rng(0)
  names = simulated_levels.images()
  store = images_lib.ImageStore(
      images=rng.integers(0, 256, (len(names), 8, 8, 3), np.uint8),
      filenames=np.array(names),
      labels={
          "subordinate": Labels(
              ids=np.repeat(np.arange(8), 6),
              names=np.array([f"n{c:08d}" for c in range(8)]),
          )
      },
      meta={},
  )
  images_lib.write(tmp_path / "images", store)
  features = extract.extract(trainer.model, state.params, store.images)
  return trainer, state, tmp_path, store, features


def _run(setup, evaluator):
  _, state, folder, *_ = setup
  evaluator.evaluate(state, step=7)
  path = folder / "scalars" / f"{evaluator.name}.jsonl"
  row = json.loads(path.read_text().splitlines()[-1])
  assert row.pop("step") == 7
  return row


def _make(setup, evaluator, **fields):
  trainer = setup[0]
  evaluator = evaluator(
      run=kd.evals.EveryNSteps(1), name="it", batch_size=16, **fields
  )
  return evaluator.update_from_root_cfg(trainer)


def test_levels(setup):
  _, _, folder, store, features = setup
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  levels_lib.write(folder / "levels.npz", levels, {})
  row = _run(
      setup,
      _make(
          setup,
          evals.LevelsEvaluator,
          images=str(folder / "images"),
          levels=str(folder / "levels.npz"),
      ),
  )
  found = levels_scores.evaluate(features, store.filenames, levels, resamples=0)
  assert set(row) == set(found["scores"])
  for name, score in found["scores"].items():
    assert row[name] == pytest.approx(score["mean"], rel=1e-6), name


def test_a_head_by_dot(setup):
  trainer, state, folder, store, _ = setup
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  levels_lib.write(folder / "levels.npz", levels, {})
  head = extract.extract(
      trainer.model, state.params, store.images, tap="triplet_logits"
  )
  more = {"tap": "triplet_logits", "kind": "dot"}
  more["images"] = str(folder / "images")
  path = str(folder / "levels.npz")
  row = _run(setup, _make(setup, evals.LevelsEvaluator, levels=path, **more))
  found = levels_scores.evaluate(
      head, store.filenames, levels, kind="dot", resamples=0
  )
  assert row == pytest.approx(
      {name: score["mean"] for name, score in found["scores"].items()}
  )
  human = np.random.default_rng(0).random((48, 48))
  np.save(folder / "h.npy", human + human.T)
  row = _run(
      setup,
      _make(
          setup,
          evals.RdmEvaluator,
          rdm=str(folder / "h.npy"),
          name_of_set="mine",
          rdm_kind="distance",
          rdm_images="sorted",
          **more,
      ),
  )
  z = head[np.argsort(store.filenames)].astype(np.float64)
  i, j = np.triu_indices(48, 1)
  wanted = stats.spearmanr(-(z @ z.T)[i, j], (human + human.T)[i, j])
  assert row["human/mine/spearman"] == pytest.approx(wanted.statistic, abs=1e-6)


def test_rdm(setup):
  _, _, folder, store, features = setup
  rng = np.random.default_rng(0)
  human = rng.random((3, 48, 48))
  human += human.transpose(0, 2, 1)
  np.save(folder / "r.npy", human)
  row = _run(
      setup,
      _make(
          setup,
          evals.RdmEvaluator,
          images=str(folder / "images"),
          rdm=str(folder / "r.npy"),
          name_of_set="mine",
          rdm_kind="distance",
          rdm_images="sorted",
      ),
  )
  i, j = np.triu_indices(48, 1)
  order = np.argsort(store.filenames)
  z = features[order].astype(np.float64)
  z /= np.linalg.norm(z, axis=1, keepdims=True)
  wanted = stats.spearmanr(-(z @ z.T)[i, j], human.mean(axis=0)[i, j])
  assert row["human/mine/spearman"] == pytest.approx(wanted.statistic, abs=1e-6)
  assert "human/mine/subjects_tau_a" in row
  # Other names are another order of the rows.
  other = np.random.default_rng(1).permutation(48)
  np.save(folder / "m.npy", human[:, other][:, :, other])
  fields = {"images": str(folder / "images"), "rdm": str(folder / "m.npy")}
  again = _run(
      setup,
      _make(
          setup,
          evals.RdmEvaluator,
          name_of_set="mine",
          rdm_kind="distance",
          rdm_images=tuple(store.filenames[order][other].tolist()),
          **fields,
      ),
  )
  assert again == pytest.approx(row, abs=1e-6)
  unsaid = _make(setup, evals.RdmEvaluator, name_of_set="mur2013", **fields)
  with pytest.raises(AlignetError, match="not in the order of their file"):
    _run(setup, unsaid)


def test_classes(setup):
  _, _, folder, store, features = setup
  path = str(folder / "images")
  evaluator = _make(
      setup,
      evals.ClassesEvaluator,
      train=path,
      test=path,
      tasks=("knn", "probe", "few_shot", "retrieval"),
      k=3,
      shots=(2,),
  )
  row = _run(setup, evaluator)
  ids = store.labels["subordinate"].ids
  wanted = usefulness.scores(
      features,
      ids,
      {"": (features, ids)},
      usefulness.Protocol(k=3, shots=(2,), penalties=(0.01,)),
  )
  assert set(row) == {f"classes/{name}" for name in wanted}
  for name, values in wanted.items():
    assert row[f"classes/{name}"] == pytest.approx(values.mean()), name
  other = _make(
      setup, evals.ClassesEvaluator, train=path, test=path, level="basic"
  )
  with pytest.raises(AlignetError, match="no labels of the level 'basic'"):
    _run(setup, other)


def _wolves_and_foxes(folder, store):
  """The same images, their classes those of two superclasses of living17."""
  living_hierarchy.write(folder / "breeds")
  benchmark = breeds.make("living17", breeds.Hierarchy(folder / "breeds"))
  places = [benchmark.superclasses.index(name) for name in ("wolf", "fox")]
  names = [
      name
      for place in places
      for half in (benchmark.source[place], benchmark.target[place])
      for name in half
  ]
  labels = Labels(
      ids=store.labels["subordinate"].ids, names=np.array(sorted(names))
  )
  return dataclasses.replace(store, labels={"subordinate": labels}), benchmark


def test_breeds_and_a_mask(setup):
  _, _, folder, store, features = setup
  store, benchmark = _wolves_and_foxes(folder, store)
  images_lib.write(folder / "wolves", store)
  path = str(folder / "wolves")
  labels = store.labels["subordinate"]
  evaluator = _make(
      setup,
      evals.ClassesEvaluator,
      train=path,
      test=path,
      tasks=("knn",),
      k=3,
      mask=tuple(labels.names.tolist()),
      breeds=("living17",),
      hierarchy=str(folder / "breeds"),
  )
  row = _run(setup, evaluator)
  wanted = usefulness.breeds_scores(
      (features, labels),
      (features, labels),
      benchmark,
      usefulness.Protocol(tasks=("knn",), k=3),
  )
  assert set(row) == {
      *("classes/knn", "breeds/living17/source/knn"),
      "breeds/living17/target/knn",
  }
  for half in ("source", "target"):
    assert row[f"breeds/living17/{half}/knn"] == pytest.approx(
        wanted[f"{half}/knn"].mean()
    )


def test_the_documented_config(setup, monkeypatch):
  """What docs/evaluation.md shows is run, at the size of these tests."""
  trainer, _, folder, store, _ = setup
  text = pathlib.Path(__file__).parents[2] / "docs" / "evaluation.md"
  (shown,) = re.findall(
      r"```python\n([^`]*cfg\.evals.*?)```", text.read_text(), re.DOTALL
  )
  monkeypatch.chdir(folder)
  images_lib.write(folder / "levels_images", store)
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  (folder / "levels").mkdir()
  levels_lib.write(folder / "levels" / "levels.npz", levels, {})
  wolves, _ = _wolves_and_foxes(folder, store)
  for part in ("train", "validation"):
    images_lib.write(folder / "imagenet" / part, wolves)
  cfg = konfig.ConfigDict({"evals": {}})
  exec(shown, {"cfg": cfg, "konfig": konfig})  # pylint: disable=exec-used
  written = set()
  for name, evaluator in konfig.resolve(cfg.evals).items():
    evaluator = dataclasses.replace(evaluator, name=name, batch_size=16)
    written |= set(_run(setup, evaluator.update_from_root_cfg(trainer)))
  assert {name.partition("/")[0] for name in written} == {
      *("human", "classes", "breeds"),
  }
