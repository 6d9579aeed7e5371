"""Classes, masks and BREEDS against what the scores say directly."""

from alignet.data import breeds
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.evals import usefulness
from alignet.evals.scores.classes import few_shot
from alignet.evals.scores.classes import knn
from alignet.evals.scores.classes import linear_probe
import numpy as np
import pytest
from scipy import stats


@pytest.fixture(name="world")
def _world():
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(6, 8))

  def images(n):
    y = rng.integers(0, 6, n)
    return centres[y] + 0.7 * rng.normal(size=(n, 8)), y

  return images(200), images(80)


def test_all_tasks_and_unlabelled_images(world):
  (x, y), (t, ty) = world
  ty = ty.copy()
  ty[:5] = -1
  protocol = usefulness.Protocol(k=3, repeats=2, penalties=(0.01,))
  rows = usefulness.scores(x, y, {"": (t, ty)}, protocol)
  assert set(rows) == {
      *("knn", "probe", "few_shot1", "few_shot5", "retrieval_map"),
      *("retrieval_recall1", "retrieval_recall5", "retrieval_recall10"),
  }
  np.testing.assert_array_equal(
      rows["knn"], knn.accuracy(x, y, t[5:], ty[5:], k=3)
  )
  found = usefulness.summarise(rows)
  for name, score in found.items():
    assert score["n"] == 75 and 1 / 6 < score["mean"] <= 1, name
  assert found["few_shot5"]["mean"] > found["few_shot1"]["mean"]
  table = rows["few_shot1"]
  assert table.shape == (2, 75)
  assert found["few_shot1"]["se"] == few_shot.error(table)[0]
  assert found["few_shot1"]["se"] > table.mean(axis=0).std() / 75**0.5
  knn_score = found["knn"]
  assert (knn_score["low"], knn_score["high"]) == pytest.approx(
      stats.t.interval(0.95, 74, rows["knn"].mean(), stats.sem(rows["knn"]))
  )
  paired = usefulness.summarise(rows, {k: v * 0 for k, v in rows.items()})
  assert paired["knn"]["difference"]["mean"] == paired["knn"]["mean"]
  again = usefulness.scores(x, y, {"": (t, ty)}, protocol)
  assert all((again[name] == rows[name]).all() for name in rows)


def test_classes_are_joined_by_name_and_masked():
  train = Labels(ids=np.array([0, 1, 2, 2]), names=np.array(["a", "b", "c"]))
  test = Labels(ids=np.array([2, 0, 1, -1]), names=np.array(["c", "x", "a"]))
  ids = usefulness.common_classes(train, test)
  assert ids[0].tolist() == [0, 1, 2, 2] and ids[1].tolist() == [0, 2, -1, -1]
  ids = usefulness.common_classes(train, test, mask=True)
  assert ids[0].tolist() == [0, -1, 2, 2]
  assert ids[2] is None
  # A name without an image is not in the mask: TFDS gives ImageNet-A a
  # thousand names.
  few = Labels(ids=np.array([2]), names=test.names)
  assert usefulness.common_classes(train, few, mask=True)[0].tolist() == [
      *(0, -1, -1, -1)
  ]
  other = Labels(ids=np.array([0]), names=np.array(["z"]))
  with pytest.raises(AlignetError, match="no class in common"):
    usefulness.common_classes(train, other)


def test_a_mask_helps_where_the_other_classes_are_confused(world):
  (x, y), (t, ty) = world
  names = np.array(list("abcdef"))
  test = Labels(ids=np.where(ty < 2, ty, -1), names=names)
  train = Labels(ids=y, names=names)
  scores = []
  for mask in (False, True):
    a, b, _ = usefulness.common_classes(train, test, mask=mask)
    protocol = usefulness.Protocol(tasks=("knn",), k=5)
    scores.append(usefulness.scores(x, a, {"": (t, b)}, protocol)["knn"].mean())
  assert scores[1] > scores[0]


def test_a_list_of_classes_masks_the_logits(world):
  """ImageNet-A: learn all six classes, choose among three, two of which occur.

  The list, not the images that are there, says which."""
  (x, y), (t, ty) = world
  names = np.array(list("abcdef"))
  train = Labels(ids=y, names=names)
  test = Labels(ids=np.where(ty < 2, ty, -1), names=names)
  a, b, among = usefulness.common_classes(train, test, mask=["a", "b", "e"])
  assert among.tolist() == [0, 1, 4] and (a == y).all()
  protocol = usefulness.Protocol(
      tasks=("knn", "probe", "few_shot"), k=5, repeats=2, penalties=(0.01,)
  )
  rows = usefulness.scores(x, a, {"": (t, b)}, protocol, among=among)
  inside = ty < 2
  probe = linear_probe.fit(x, y, penalty=0.01)
  wanted = among[probe.logits(t[inside])[:, among].argmax(axis=1)]
  np.testing.assert_array_equal(rows["probe"], wanted == ty[inside])
  # It is another classifier than one that learned the three alone.
  kept = np.isin(y, among)
  alone = linear_probe.fit(x[kept], y[kept], penalty=0.01)
  assert not np.allclose(
      alone.logits(t)[:, 0] - alone.logits(t)[:, 1],
      probe.logits(t)[:, 0] - probe.logits(t)[:, 1],
      atol=0.01,
  )
  np.testing.assert_array_equal(
      rows["knn"], knn.accuracy(x[kept], y[kept], t[inside], ty[inside], k=5)
  )
  assert rows["few_shot1"].shape == (2, inside.sum())
  assert rows["probe"].mean() >= (probe.predict(t) == ty)[inside].mean()


def test_masks_that_do_not_fit():
  labels = Labels(ids=np.array([0, 1, 2]), names=np.array(["a", "b", "c"]))
  for mask, message in (
      (["a", "b", "z"], "1 names of the mask are no class .* is z"),
      (["a", "b"], "the mask lacks 1 classes of the test images, .* is c"),
  ):
    with pytest.raises(AlignetError, match=message):
      usefulness.common_classes(labels, labels, mask=mask)


def test_breeds(world):
  (x, y), (t, ty) = world
  names = np.array([f"n0000000{i}" for i in range(6)])
  benchmark = breeds.Breeds(
      name="living17",
      superclasses=("one", "two"),
      source=(("n00000000",), ("n00000001",)),
      target=(("n00000002",), ("n00000003",)),
  )
  rows = usefulness.breeds_scores(
      (x, Labels(ids=y, names=names)),
      (t, Labels(ids=ty, names=names)),
      benchmark,
      usefulness.Protocol(tasks=("knn",), k=5),
  )
  inside = y < 2
  for half, low in (("source", 0), ("target", 2)):
    test = (ty >= low) & (ty < low + 2)
    wanted = knn.accuracy(x[inside], y[inside], t[test], ty[test] - low, k=5)
    np.testing.assert_array_equal(rows[f"{half}/knn"], wanted)
  assert rows["source/knn"].mean() > 0.9


def test_a_small_class_is_found_before_the_probe(world, monkeypatch):
  (x, y), test = world
  monkeypatch.setattr(usefulness.linear_probe, "fit_chosen", lambda *_: 1 / 0)
  rows = np.flatnonzero((y > 0) | (np.cumsum(y == 0) <= 3))
  with pytest.raises(AlignetError, match="rows of each class, found 3 of"):
    usefulness.scores(x[rows], y[rows], {"": test}, usefulness.Protocol())


def test_refused(world):
  (x, y), (t, ty) = world
  with pytest.raises(AlignetError, match="no test image has a class"):
    usefulness.scores(
        x, y, {"": (t, np.full(80, -1))}, usefulness.Protocol(tasks=("knn",))
    )
  with pytest.raises(AlignetError, match="expected some of knn.*found other"):
    usefulness.Protocol(tasks=("knn", "other"))
