"""The probe is scikit-learn's logistic regression."""

from alignet.errors import AlignetError
from alignet.evals.scores.classes import linear_probe
import numpy as np
import pytest
from sklearn import linear_model


def _world(seed=0, n=300, classes=4, d=6, noise=1.2):
  rng = np.random.default_rng(seed)
  centres = rng.normal(size=(classes, d))
  labels = rng.integers(0, classes, n)
  x = centres[labels] + noise * rng.normal(size=(n, d))
  return (x * [1, 10, 1, 1, 100, 1] + 5).astype(np.float32), labels * 3 + 2


@pytest.mark.parametrize("penalty", [1e-1, 1e-3])
@pytest.mark.parametrize("rows", [7, 8192])
def test_is_scikit_learns(penalty, rows, monkeypatch):
  monkeypatch.setattr(linear_probe, "_ROWS", rows)
  x, y = _world()
  other, other_y = _world(seed=0, n=1000)
  probe = linear_probe.fit(x, y, penalty=penalty, tolerance=1e-6)
  mean, scale = x.mean(axis=0), x.std(axis=0)
  reference = linear_model.LogisticRegression(
      C=1 / (penalty * len(x)), tol=1e-8, max_iter=10_000
  ).fit((x - mean) / scale, y)
  # A softmax has one free direction; scikit-learn's weights sum to 0, too.
  np.testing.assert_allclose(
      probe.weights, reference.coef_.T, atol=5e-3, rtol=1e-2
  )
  logits = probe.logits(other)
  p = np.exp(logits - logits.max(axis=1, keepdims=True))
  p /= p.sum(axis=1, keepdims=True)
  np.testing.assert_allclose(
      p, reference.predict_proba((other - mean) / scale), atol=5e-3
  )
  ours = (probe.predict(other) == other_y).mean()
  theirs = reference.score((other - mean) / scale, other_y)
  assert abs(ours - theirs) <= 0.005


def test_blocks_on_disk_and_constant_dimensions(tmp_path, monkeypatch):
  x, y = _world()
  x = np.concatenate([x, np.full((len(x), 1), 0.1, np.float32)], axis=1)
  np.save(tmp_path / "x.npy", x)
  whole = linear_probe.fit(x, y, penalty=0.1)
  monkeypatch.setattr(linear_probe, "_CACHE_BYTES", 0)
  mapped = np.load(tmp_path / "x.npy", mmap_mode="r", allow_pickle=False)
  again = linear_probe.fit(mapped, y, penalty=0.1)
  np.testing.assert_array_equal(whole.weights, again.weights)
  assert (whole.weights[-1] == 0).all()


def test_real_features_within_half_a_point(test_data):
  rng = np.random.default_rng(0)
  path = test_data / "features" / "imagenet2012_train_lite0.npy"
  x = np.load(path, allow_pickle=False)[:600, :200]
  # Classes made of the features themselves, with a tenth of them wrong.
  y = (x @ rng.normal(size=(200, 5))).argmax(axis=1)
  wrong = rng.random(len(y)) < 0.1
  y[wrong] = rng.integers(0, 5, wrong.sum())
  train, test = slice(0, 400), slice(400, 600)
  probe = linear_probe.fit(x[train], y[train], penalty=0.01)
  right = probe.predict(x[test]) == y[test]
  z = (x - probe.mean) / probe.scale
  reference = linear_model.LogisticRegression(
      C=1 / (0.01 * 400), max_iter=5000
  ).fit(z[train], y[train])
  assert abs(right.mean() - reference.score(z[test], y[test])) <= 0.005
  assert right.mean() > 0.4


def test_the_penalty_is_chosen_on_rows_held_out():
  rng = np.random.default_rng(0)
  # Many dimensions of noise and few rows: a strong penalty is better.
  x = rng.normal(size=(100, 300))
  y = (x[:, 0] + x[:, 1] > 0).astype(int)
  x[:, :2] *= 3
  test = rng.normal(size=(2000, 300))
  test_y = (test[:, 0] + test[:, 1] > 0).astype(int)
  test[:, :2] *= 3
  penalties = (1.0, 0.1, 1e-3, 1e-5)
  probe = linear_probe.fit_chosen(x, y, rng=rng, penalties=penalties)
  weak = linear_probe.fit_chosen(x, y, rng=rng, penalties=(1e-5,))
  assert probe.penalty >= 0.1 and weak.penalty == 1e-5
  right, of_weak = (
      (one.predict(test) == test_y).mean() for one in (probe, weak)
  )
  assert right >= of_weak
  # Nothing can be held out of classes of four rows.
  assert linear_probe.choose_penalty(x[:8], np.arange(8) % 2, rng=rng) == 1


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y[:-1]), "expected shape"),
        (lambda x, y: (x, y * 0), "two classes, found 300 rows of 1"),
        (lambda x, y: (np.where(x > 5, np.nan, x), y), "NaN"),
    ],
)
def test_refused(change, message):
  x, y = change(*_world())
  with pytest.raises(AlignetError, match=message):
    linear_probe.fit(x, y, penalty=0.1)


def test_no_negative_penalty():
  with pytest.raises(AlignetError, match="positive number, found 0"):
    linear_probe.fit(*_world(), penalty=0)
  with pytest.raises(AlignetError, match="positive number, found -1"):
    linear_probe.fit_chosen(
        *_world(), rng=np.random.default_rng(0), penalties=(-1,)
    )


def test_an_unfinished_fit_says_so():
  with pytest.warns(UserWarning, match="not converged after 2 iterations"):
    probe = linear_probe.fit(*_world(), penalty=0.1, iterations=2)
  assert not probe.converged
  assert linear_probe.fit(*_world(), penalty=0.1).converged


def test_rows_are_searched_for_nan_once(monkeypatch):
  x, y = _world()
  rows = []
  check = linear_probe.files.check_finite

  def counting(array, what, **more):
    rows.append((what, len(array)))
    check(array, what, **more)

  monkeypatch.setattr(linear_probe.files, "check_finite", counting)
  probe = linear_probe.fit_chosen(x, y, rng=np.random.default_rng(0))
  assert [n for what, n in rows if what == "train"] == [len(x)]
  x[3] = np.nan
  with pytest.raises(AlignetError, match="row 3 holds a NaN"):
    probe.predict(x)
