"""VICE against NumPy and SciPy, and on a simulated world with an answer."""

import dataclasses
import json
import pathlib
import subprocess
import sys

from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.evals.scores.choices import probabilistic
from alignet.human import judgments as judgments_lib
from alignet.triplets import similarity
import jax
import numpy as np
import pytest
from scipy import special
from scipy import stats
from uncertainty_distillation import vice
from uncertainty_distillation.vice import fitting
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice import posterior
from uncertainty_distillation.vice import train
from uncertainty_distillation.vice.fitting import split

_ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_N = 40
_FAST = vice.Config(
    width=8, batch=512, anneal=600, check=100, steps=2000, window=2, decay=200
)


def _draw(embedding, m, seed):
  """m choices (m, 3), the odd one last, among objects of an embedding."""
  soft = judgments_lib.from_embedding(embedding, max_triplets=m, seed=seed)
  u = np.random.default_rng(seed).random((len(soft), 1))
  chosen = (soft.probabilities.cumsum(axis=1) > u).argmax(axis=1)
  orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[chosen]
  return np.take_along_axis(soft.triplets, orders, axis=1)


@pytest.fixture(scope="module")
def truth():
  """(_N, 3) weights, of which about half are zero."""
  rng = np.random.default_rng(0)
  weights = 2 * rng.gamma(4, 0.25, (_N, 3)) * (rng.random((_N, 3)) < 0.5)
  return weights.astype(np.float32)


@pytest.fixture(scope="module")
def judgments(truth):
  # All triplets of 40 objects are 9,880; so many are drawn from them.
  return judgments_lib.from_choices(_draw(truth, 9000, 1), n_concepts=_N)


@pytest.fixture(scope="module")
def embedding(judgments):
  return vice.fit(judgments, _FAST)


def _random_problem(seed=0):
  rng = np.random.default_rng(seed)
  mu = rng.normal(0.5, 1, (7, 4)).astype(np.float32)
  log_sigma = rng.normal(-1, 0.5, (7, 4)).astype(np.float32)
  eps = rng.normal(size=(7, 4)).astype(np.float32)
  triplets = np.stack([rng.permutation(7)[:3] for _ in range(20)])
  targets = rng.dirichlet([1, 1, 1], 20).astype(np.float32)
  return mu, log_sigma, eps, triplets, targets


def test_loss_against_scipy():
  mu, log_sigma, eps, triplets, targets = _random_problem()
  config = vice.Config(spike_weight=0.3, spike=0.2, slab=1.5)
  params = {"mu": mu, "log_sigma": log_sigma}
  sigma = np.exp(log_sigma.astype(np.float64))
  x = mu + sigma * eps
  log_q = stats.norm.logpdf(x, mu, sigma)
  log_p = np.log(
      0.3 * stats.norm.pdf(x, 0, 0.2) + 0.7 * stats.norm.pdf(x, 0, 1.5)
  )
  cross_entropy = np.empty(20)
  for row, ((i, j, k), pi) in enumerate(zip(triplets, targets)):
    z = np.maximum(x, 0)
    s = np.array([z[i] @ z[j], z[i] @ z[k], z[j] @ z[k]])
    cross_entropy[row] = -(pi * special.log_softmax(s)).sum()
  close = {"rtol": 1e-5, "atol": 1e-5}
  np.testing.assert_allclose(objective.log_q(params, eps), log_q, **close)
  np.testing.assert_allclose(
      objective.log_prior(x.astype(np.float32), config), log_p, **close
  )
  np.testing.assert_allclose(
      objective.cross_entropy(x.astype(np.float32), triplets, targets),
      cross_entropy,
      **close,
  )
  for weight in (1, 3):
    loss = objective.loss(
        params, eps, triplets, targets, n=50, weight=weight, config=config
    )
    expected = cross_entropy.mean() + weight * (log_q - log_p).sum() / 50
    np.testing.assert_allclose(loss, expected, **close)


@pytest.mark.parametrize("weight, width", [(0, 1.0), (1, 0.25)])
def test_a_prior_without_spike_or_slab(weight, width):
  x = np.array([-30, -1, 0, 0.1, 3, 30], np.float32)
  config = vice.Config(spike_weight=weight)
  np.testing.assert_allclose(
      objective.log_prior(x, config),
      stats.norm.logpdf(x, 0, width),
      rtol=1e-5,
  )
  gradient = jax.grad(lambda x: objective.log_prior(x, config).sum())(x)
  np.testing.assert_allclose(gradient, -x / width**2, rtol=1e-5)


def test_pruning_by_hand():
  # With 6 objects and alpha .05 the i-th smallest p may be i * .05 / 6:
  # .0083, .0167, .0250, .0333, .0417, .0500.
  p = np.array(
      [
          [0.0010, 0.0080, 0.0390, 0.0410, 0.0420, 0.0600],  # The first two.
          [
              0.0600,
              0.0416,
              0.0410,
              0.0390,
              0.0080,
              0.0010,
          ],  # All but the first.
          [0.0090, 0.5000, 0.9000, 0.9900, 0.5000, 0.5000],  # None.
          [0.0080, 0.5000, 0.9000, 0.9900, 0.5000, 0.5000],  # One.
      ]
  ).T
  sigma = np.linspace(0.1, 2, p.size).reshape(p.shape)
  params = {"mu": -sigma * special.ndtri(p), "log_sigma": np.log(sigma)}
  np.testing.assert_array_equal(
      objective.objects_per_dimension(params), [2, 5, 0, 1]
  )
  # p = 0 and p = 1 are numbers like others.
  sure = {"mu": np.array([[50.0, -50.0]] * 6), "log_sigma": np.zeros((6, 2))}
  np.testing.assert_array_equal(objective.objects_per_dimension(sure), [6, 0])


def test_pruning_against_scipy():
  rng = np.random.default_rng(0)
  mu = rng.normal(0.3, 1, (200, 50)).astype(np.float32)
  log_sigma = rng.normal(-1.5, 0.5, mu.shape).astype(np.float32)
  p = special.ndtr(-mu.astype(np.float64) / np.exp(log_sigma, dtype=np.float64))
  for alpha in (0.01, 0.05, 0.5):
    found = objective.objects_per_dimension(
        {"mu": mu, "log_sigma": log_sigma}, alpha=alpha
    )
    expected = stats.false_discovery_control(p, axis=0) <= alpha
    np.testing.assert_array_equal(found, expected.sum(axis=0))


def test_finds_the_dimensions(truth, judgments, embedding):
  assert embedding.mu.shape == embedding.sigma.shape == (_N, 3)
  assert embedding.mu.dtype == embedding.sigma.dtype == np.float32
  total = embedding.point.sum(axis=0)
  assert (np.diff(total) <= 0).all()
  correlation = np.corrcoef(truth.T, embedding.point.T)[:3, 3:]
  assert (correlation.max(axis=1) > 0.95).all()
  assert sorted(correlation.argmax(axis=1)) == [0, 1, 2]
  # Sparse: what is zero in truth is near zero.
  matched = embedding.point[:, correlation.argmax(axis=1)]
  assert (matched[truth == 0] < 0.3).mean() > 0.9
  # Means of zero weights are negative, and their uncertainty is larger.
  assert embedding.mu.min() < 0


def test_predicts_fresh_choices(truth, embedding):
  fresh = _draw(truth, 5000, 2)
  p, _ = vice.posterior_predictive(embedding.mu, embedding.sigma, fresh)
  log_true = probabilistic.log_probabilities(
      similarity.of_triplets(truth, fresh)
  )
  ours, true = (probabilistic.nll(x).mean() for x in (np.log(p), log_true))
  assert ours < 1.04 * true
  curve = probabilistic.calibration_curve(np.log(p))
  assert curve.expected_calibration_error < 0.04
  assert abs(embedding.meta["validation"]["cross_entropy"] - true) < 0.08


def test_report(judgments, embedding):
  meta = embedding.meta
  assert meta["stable"] and meta["steps"] == 100 * len(meta["dimensions"])
  assert meta["dimensions"][-1] == 3
  assert min(meta["objects_per_dimension"]) > 5
  assert meta["n_training"] + meta["n_validation"] == len(judgments)
  assert meta["n_validation"] == len(judgments) // 10
  assert 0.4 < meta["validation"]["accuracy"] < 1
  assert meta["config"] == dataclasses.asdict(_FAST)
  json.dumps(meta, allow_nan=False)


def test_deterministic_by_seed(judgments, embedding):
  again = vice.fit(judgments, _FAST)
  np.testing.assert_array_equal(again.mu, embedding.mu)
  np.testing.assert_array_equal(again.sigma, embedding.sigma)
  assert again.meta == embedding.meta
  other = vice.fit(judgments, dataclasses.replace(_FAST, seed=1))
  assert (
      other.mu.shape != embedding.mu.shape or (other.mu != embedding.mu).any()
  )


def test_without_validation_and_with_probabilities(truth):
  soft = judgments_lib.from_embedding(truth, max_triplets=9000)
  config = dataclasses.replace(_FAST, validation=0, steps=600)
  embedding = vice.fit(soft, config)
  assert embedding.meta["validation"] is None
  assert embedding.meta["n_training"] == len(soft)
  s = similarity.of_triplets(embedding.point, soft.triplets)
  likeliest = soft.probabilities.argmax(axis=1)
  assert (s.argmax(axis=1) == likeliest).mean() > 0.8


@pytest.mark.parametrize(
    "curve, expected",
    [
        ([], (None, False)),
        ([8, 5, 3, 3], (None, False)),
        ([8, 5, 3, 3, 3], (500, True)),
        ([8, 5, 3, 3, 3, 2, 2, 2], (500, True)),
        ([3, 3, 3, 4, 5], (None, False)),  # Before the weight has fallen.
        ([3, 3, 3, 3, 3], (500, True)),
        ([8, 8, 8, 8, 8, 8], (None, False)),  # All.
        ([0, 0, 0, 0, 0, 0], (None, False)),  # None.
        ([8, 7, 6, 5, 4, 3, 2, 1], (800, False)),
        ([8, 7, 6, 5, 4, 3, 2, 2, 2], (800, False)),
    ],
)
def test_when_to_decay(curve, expected):
  config = vice.Config(
      width=8, check=100, window=2, anneal=300, steps=800, decay=100
  )
  state = train.optimizer(config).init({"mu": np.zeros((1, 8))})
  for number, dimensions in enumerate(curve, start=1):
    state = state._replace(number=100 * number)
    state = train.after_check(state, dimensions, config)
  decay_from = int(state.decay_from)
  found = None if decay_from > config.steps else decay_from
  assert (found, bool(state.stable)) == expected
  np.testing.assert_array_equal(state.curve[: len(curve)], curve)


def test_no_update_changes_anything_after_the_last():
  params = {k: np.ones((3, 2), np.float32) for k in ("mu", "log_sigma")}
  for decay in (0, 100):
    config = vice.Config(width=2, check=100, anneal=0, steps=100, decay=decay)
    optimizer = train.optimizer(config)
    state = optimizer.init(params)
    sizes = []
    for number in (50, 99, 100, 199, 200, 300):
      at = state._replace(number=number)
      if number >= 100:
        at = at._replace(decay_from=100)
      update, _ = optimizer.update(params, at, params)
      sizes.append(float(abs(update["mu"]).max()))
    assert sizes[0] == sizes[1] > 0 == sizes[4] == sizes[5]
    assert (sizes[2] == sizes[0]) == (sizes[3] > 0) == bool(decay)


def test_people_stay_with_their_judgments():
  rng = np.random.default_rng(0)
  triplets = np.stack([rng.permutation(20)[:3] for _ in range(100)])
  who = triplets.sum(axis=1)  # So that each row says who it is of.
  judgments = judgments_lib.from_choices(
      triplets, n_concepts=20, participants=who
  )
  parts = split(judgments, vice.Config(validation=0.3))
  assert [len(part) for part in parts] == [70, 30]
  for part in parts:
    np.testing.assert_array_equal(part.participants, part.triplets.sum(axis=1))


_KILLED = """
import os, pathlib, shutil, signal, sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")  # Forks: JAX is imported but has not begun.
from uncertainty_distillation import vice
folder = pathlib.Path(sys.argv[2])
config = vice.Config(**eval(sys.argv[3]))
out = folder / "r" / "x.npz"
run = lambda: vice.to_file(
    triplets=folder / "T.npy", n_objects=40, out=out, config=config)
# fsync: a temporary file is written. replace: it has its name. rmtree: the end.
for module, name, moment in (
    (os, "fsync", 1), (os, "replace", 2), (shutil, "rmtree", 0)):
  pid = os.fork()
  if not pid:
    real, calls = getattr(module, name), 0
    def dying(*args, **kwargs):
      global calls
      if name == "replace":
        real(*args, **kwargs)
      if calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
      calls += 1
      if name != "replace":
        real(*args, **kwargs)
    setattr(module, name, dying)
    run()
    os._exit(1)
  assert os.waitpid(pid, 0)[1] == signal.SIGKILL, name
  print((folder / "r" / "x.npz.partial" / "state.npz").exists(), out.exists())
run()
print(os.listdir(folder / "r"))
"""


def test_kill_9_and_the_same_command(judgments, tmp_path):
  np.save(tmp_path / "T.npy", judgments.triplets)
  config = dataclasses.replace(
      _FAST, steps=300, anneal=100, decay=100, validation=0.0
  )
  whole = tmp_path / "whole.npz"
  vice.to_file(
      triplets=tmp_path / "T.npy", n_objects=_N, out=whole, config=config
  )
  done = subprocess.run(
      [
          *(sys.executable, "-c", _KILLED, str(_ROOT), str(tmp_path)),
          repr(dataclasses.asdict(config)),
      ],
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines() == [
      *("True False", "True False", "True True", "['x.npz']")
  ]
  assert (tmp_path / "r" / "x.npz").read_bytes() == whole.read_bytes()
  assert sorted(p.name for p in tmp_path.iterdir()) == [
      *("T.npy", "r", "whole.npz")
  ]


def test_a_state_goes_on_where_it_was(judgments, tmp_path, monkeypatch):
  config = dataclasses.replace(_FAST, steps=600)
  path = tmp_path / "state"
  whole = vice.fit(judgments, config)
  steps = []
  real = train._chunk

  def dying(state, *rest):
    if len(steps) == 2:
      raise KeyboardInterrupt
    steps.append(int(state[1].number))
    return real(state, *rest)

  monkeypatch.setattr(train, "_chunk", dying)
  with pytest.raises(KeyboardInterrupt):
    vice.fit(judgments, config, checkpoint=path)
  with pytest.raises(KeyboardInterrupt):
    vice.fit(judgments, config, checkpoint=path)
  monkeypatch.setattr(train, "_chunk", real)
  again = vice.fit(judgments, config, checkpoint=path)
  assert steps == [0, 100]
  np.testing.assert_array_equal(again.mu, whole.mu)
  np.testing.assert_array_equal(again.sigma, whole.sigma)
  assert again.meta == whole.meta

  # The state of another fit is not taken.
  other = dataclasses.replace(config, seed=1)
  with pytest.raises(AlignetError, match=r"\(other config\).*--overwrite"):
    vice.fit(judgments, other, checkpoint=path)
  fewer = judgments_lib.from_choices(judgments.triplets[1:], n_concepts=_N)
  with pytest.raises(AlignetError, match=r"\(other judgments\)"):
    vice.fit(fewer, config, checkpoint=path)
  vice.fit(judgments, other, checkpoint=path, overwrite=True)
  held = dict(np.load(path / "state.npz"))
  np.savez(path / "state.npz", **{**held, "curve": np.zeros(2, int)})
  with pytest.raises(AlignetError, match="earlier version.*--overwrite"):
    vice.fit(judgments, other, checkpoint=path)
  (path / "state.npz").write_bytes(b"broken")
  with pytest.raises(
      AlignetError, match="state.npz cannot be read.*--overwrite"
  ):
    vice.fit(judgments, config, checkpoint=path)


def test_a_loss_that_explodes_is_an_error(judgments, tmp_path):
  config = dataclasses.replace(_FAST, learning_rate=1e30)
  with pytest.raises(AlignetError, match="loss became .* at step .* lower"):
    vice.fit(judgments, config, checkpoint=tmp_path / "state")
  assert not list(tmp_path.iterdir())


def test_too_few_judgments():
  few = judgments_lib.from_choices(np.array([[0, 1, 2]]), n_concepts=20)
  config = dataclasses.replace(_FAST, steps=600)
  with pytest.raises(AlignetError, match="no dimension has more than 5"):
    vice.fit(few, config)
  with pytest.raises(AlignetError, match="none to learn from"):
    vice.fit(few, dataclasses.replace(config, validation=0.9))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"width": 0}, "width: expected at least 1, found 0"),
        ({"spike": 0.0}, "spike: expected a positive number, found 0"),
        ({"slab": float("nan")}, "slab: expected a positive number"),
        ({"spike_weight": 1.1}, "spike_weight: expected 0 to 1"),
        ({"alpha": 1.0}, "alpha"),
        ({"validation": 1.0}, "validation"),
        ({"steps": 130}, r"steps: expected a multiple of 250 \(check\)"),
        ({"decay": 10}, r"decay: expected a multiple of 250 \(check\)"),
        ({"samples": 0}, "samples: expected at least 1"),
        ({"steps": 2000}, r"steps: expected at least 3000 \(anneal\)"),
    ],
)
def test_bad_settings(change, message):
  with pytest.raises(AlignetError, match=message):
    vice.Config(**change)


def test_predictive_against_numpy():
  mu, log_sigma, _, triplets, _ = _random_problem(3)
  sigma = np.exp(log_sigma)
  p, error = vice.posterior_predictive(mu, sigma, triplets, samples=4000)
  rng = np.random.default_rng(0)
  expected = np.zeros((20, 3))
  for _ in range(4000):
    z = np.maximum(mu + sigma * rng.normal(size=mu.shape), 0)
    expected += special.softmax(similarity.of_triplets(z, triplets), axis=1)
  expected /= 4000
  # The difference of two means of 4,000 draws, 60 of them.
  assert (abs(p - expected) / error / np.sqrt(2)).max() < 4
  assert p.dtype == error.dtype == np.float32
  np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
  few = [
      vice.posterior_predictive(mu, sigma, triplets, samples=20, seed=s)
      for s in range(200)
  ]
  spread = np.std([x.probabilities for x in few], axis=0)
  claimed = np.sqrt(np.mean([x.standard_error**2 for x in few], axis=0))
  np.testing.assert_allclose(claimed, spread, rtol=0.25, atol=1e-3)


def test_predictive_of_a_certain_embedding_is_its_softmax():
  mu, _, _, triplets, _ = _random_problem()
  p, error = vice.posterior_predictive(
      mu, np.full_like(mu, 1e-7), triplets, samples=1
  )
  s = similarity.of_triplets(np.maximum(mu, 0), triplets)
  np.testing.assert_allclose(p, special.softmax(s, axis=1), atol=1e-5)
  assert np.isnan(error).all()


def test_a_draw_is_of_the_whole_embedding(monkeypatch):
  """Neither blocks nor the way pairs are read matter."""
  mu, log_sigma, _, triplets, _ = _random_problem()
  triplets = np.tile(triplets, (5, 1))
  arguments = mu, np.exp(log_sigma), triplets
  p, error = vice.posterior_predictive(*arguments, samples=3)
  np.testing.assert_array_equal(p[:20], p[80:])
  turned, _ = vice.posterior_predictive(
      *arguments[:2], triplets[:, [1, 0, 2]], samples=3
  )
  np.testing.assert_allclose(turned, p[:, [0, 2, 1]], rtol=1e-5)
  monkeypatch.setattr(posterior, "_BLOCK", {True: 16, False: 7})
  for most in (posterior._MOST_PAIRS, 0):
    monkeypatch.setattr(posterior, "_MOST_PAIRS", most)
    blocks = vice.posterior_predictive(*arguments, samples=3)
    np.testing.assert_allclose(blocks.probabilities, p, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        blocks.standard_error, error, rtol=1e-4, atol=1e-6
    )


def test_bad_input_of_the_predictive():
  mu, log_sigma, _, triplets, _ = _random_problem()
  sigma = np.exp(log_sigma)
  predict = vice.posterior_predictive
  with pytest.raises(AlignetError, match="row 0 .*from 0 to 1"):
    predict(mu[:2], sigma[:2], np.array([[0, 1, 2]]))
  with pytest.raises(AlignetError, match="sigma: expected shape"):
    predict(mu, sigma[:2], triplets)
  with pytest.raises(AlignetError, match="samples: expected at least 1"):
    predict(mu, sigma, triplets, samples=0)


def test_judgments_of_a_posterior(truth):
  sigma = np.full_like(truth, 0.5)
  embedding = vice.Embedding(mu=truth, sigma=sigma)
  soft = judgments_lib.from_embedding(truth, max_triplets=500, seed=3)
  ours = vice.from_posterior(embedding, max_triplets=500, samples=7, seed=3)
  np.testing.assert_array_equal(ours.triplets, soft.triplets)
  p, _ = vice.posterior_predictive(
      truth, sigma, soft.triplets, samples=7, seed=3
  )
  np.testing.assert_allclose(ours.probabilities, p, rtol=1e-5)
  given = vice.from_posterior(embedding, soft.triplets[:9], samples=7, seed=3)
  np.testing.assert_allclose(given.probabilities, p[:9], rtol=1e-4)
  assert ours.n_concepts == given.n_concepts == _N
  some = vice.from_posterior(embedding, concepts=[3, 5, 8, 9], samples=2)
  assert len(some) == 4 and set(some.triplets.ravel()) == {3, 5, 8, 9}


def test_saved_and_loaded(embedding, tmp_path):
  path = tmp_path / "vice.npz"
  vice.save(path, embedding)
  loaded = vice.load(path)
  np.testing.assert_array_equal(loaded.mu, embedding.mu)
  np.testing.assert_array_equal(loaded.sigma, embedding.sigma)
  assert loaded.meta == embedding.meta
  with pytest.raises(OutputExistsError):
    vice.save(path, embedding)
  np.savez(tmp_path / "plain.npz", mu=loaded.mu, sigma=loaded.sigma)
  assert vice.load(tmp_path / "plain.npz").meta == {}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mu": np.ones((3, 2))}, "sigma: expected shape .3, 2."),
        ({"mu": np.ones((4, 2), int)}, "mu: expected floats"),
        ({"sigma": np.zeros((4, 2))}, "sigma: row 0 holds 0.0"),
        ({"mu": np.full((4, 2), np.nan)}, "mu: row 0 holds a NaN"),
        ({"sigma": np.ones(4)}, "sigma: expected shape"),
        ({"meta": np.array("[]")}, "expected a JSON object"),
        ({"meta": np.array("{")}, "not valid JSON"),
        ({"sigma": None}, "lacks the key sigma"),
    ],
)
def test_files_that_hold_no_embedding(tmp_path, change, message):
  arrays = {"mu": np.ones((4, 2)), "sigma": np.ones((4, 2)), **change}
  path = tmp_path / "x.npz"
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
  with pytest.raises(AlignetError, match=message):
    vice.load(path)


def test_conventions_of_others(judgments, tmp_path):
  """The same choices, written in other ways, are the same judgments."""
  rows = judgments.triplets[:200]
  np.save(tmp_path / "T.npy", rows)
  wanted, _ = fitting.read(tmp_path / "T.npy", None, _N)
  for change, said in (
      (lambda t: t[:, (2, 0, 1)], dict(odd="first")),
      (lambda t: t[:, (0, 2, 1)], dict(odd="middle")),
      (lambda t: t + 1, dict(numbered_from=1)),
      (lambda t: t[:, (2, 0, 1)] + 1, dict(odd="first", numbered_from=1)),
  ):
    np.save(tmp_path / "other.npy", change(rows))
    found, _ = fitting.read(tmp_path / "other.npy", None, _N, **said)
    np.testing.assert_array_equal(found.triplets, wanted.triplets)
  assert rows.max() == _N - 1 and rows.min() == 0
  with pytest.raises(AlignetError, match="--numbered_from=1"):
    np.save(tmp_path / "other.npy", rows + 1)
    fitting.read(tmp_path / "other.npy", None, _N)
  with pytest.raises(AlignetError, match="no --odd"):
    fitting.read(tmp_path / "T.npy", tmp_path / "T.npy", _N, odd="first")
