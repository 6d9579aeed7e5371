"""The stage that fits a pipeline's teacher."""

from alignet import transforms
from alignet.data import linear_world
from alignet.data.labels import Labels
from alignet.errors import AlignetError
from alignet.human import judgments
from alignet.human import readers
from alignet.io import json_files
from alignet.pipeline.stages import training
from alignet.representations import store
from alignet.triplets import similarity
import numpy as np
import pytest
from uncertainty_distillation import vice

_N, _DIMS = 30, 3


@pytest.fixture
def inputs(tmp_path):
  x, concepts, embedding = linear_world.make(_N, 2, dims=_DIMS, seed=4)
  names = [f"c{i}" for i in range(_N)]
  labels = {"concept": Labels(ids=concepts, names=np.array(names))}
  store.write(tmp_path / "reps", x, [str(i) for i in range(len(x))], labels, {})
  np.save(tmp_path / "embedding.npy", embedding)
  np.save(tmp_path / "held_out.npy", np.arange(_N) < 5)
  return dict(
      representations=tmp_path / "reps",
      embedding=tmp_path / "embedding.npy",
      held_out=tmp_path / "held_out.npy",
      level="concept",
      seed=0,
      steps=0,
      inner_folds=0,
  )


def _width(inputs, out, targets):
  out.mkdir()
  training.teach(out, **inputs, targets=targets)
  return transforms.load(out / "transform.npz").weights.shape[1]


def test_hard_choices_come_without_the_embedding(inputs, tmp_path):
  assert _width(inputs, tmp_path / "soft", "soft_point") == _DIMS
  # Not the embedding's own dimensions: those that explain the choices.
  assert _width(inputs, tmp_path / "hard", "hard") > _DIMS


@pytest.fixture
def posterior(inputs, tmp_path):
  """VICE of choices about the concepts that are not held out."""
  mu = np.load(inputs["embedding"]) * np.array([1, -1, 1])
  sigma = np.full_like(mu, 0.7)
  used = list(range(5, _N))
  vice.save(
      tmp_path / "vice.npz",
      vice.Embedding(mu=mu, sigma=sigma, meta={"used": used}),
  )
  return tmp_path / "vice.npz"


@pytest.mark.parametrize("shuffle", [False, True])
def test_targets_of_a_posterior(
    inputs, posterior, tmp_path, monkeypatch, shuffle
):
  """They are the mean over draws of the embedding; or the mean's softmax."""
  given = {}

  def catch(features, concepts, judged, config, *, embedding, local_images):
    del features, config, local_images
    given[targets] = judged, embedding, concepts
    raise StopIteration

  monkeypatch.setattr("uncertainty_distillation.fit.fit", catch)
  for targets in ("posterior", "soft_point", "hard"):
    with pytest.raises(StopIteration):
      training.teach(
          tmp_path,
          **inputs,
          posterior=posterior,
          targets=targets,
          samples=40,
          shuffle=shuffle,
      )
  order = np.arange(5, _N)
  if shuffle:
    order = np.random.default_rng(0).permutation(order)
  known = vice.load(posterior)
  judged, embedding, concepts = given["posterior"]
  assert set(concepts) == set(range(_N - 5))  # None of those held out.
  mean = readers.Posterior(mu=known.mu, sigma=known.sigma).mean[order]
  np.testing.assert_array_equal(embedding, mean)
  wanted, _ = vice.posterior_predictive(
      known.mu[order], known.sigma[order], judged.triplets, samples=40, seed=0
  )
  np.testing.assert_allclose(judged.probabilities, wanted, atol=1e-6)
  point, _, _ = given["soft_point"]
  np.testing.assert_array_equal(point.triplets, judged.triplets)
  np.testing.assert_allclose(
      point.probabilities,
      similarity.choice_probabilities(
          similarity.of_triplets(mean, judged.triplets)
      ),
      atol=1e-6,
  )
  # Who is unsure of the embedding is less sure of the answer.
  entropy = lambda p: -(p * np.log(p)).sum(axis=1).mean()
  assert entropy(judged.probabilities) > entropy(point.probabilities) + 0.01
  assert given["hard"][1] is None


def test_what_a_posterior_was_not_fitted_to_is_left_out(
    inputs, posterior, tmp_path
):
  known = vice.load(posterior)
  vice.save(
      posterior,
      vice.Embedding(
          mu=known.mu, sigma=known.sigma, meta={"used": list(range(10, _N))}
      ),
      overwrite=True,
  )
  training.teach(tmp_path, **inputs, posterior=posterior, targets="posterior")
  assert transforms.load(tmp_path / "transform.npz").meta["concepts"] == 20


def test_targets_that_cannot_be_had(inputs, tmp_path):
  for targets in ("soft", "posterior"):
    with pytest.raises(AlignetError, match=f"found '{targets}' and None"):
      training.teach(tmp_path, **inputs, targets=targets)


def test_simulated_choices_are_the_hard_targets(inputs, tmp_path):
  training.simulate_choices(
      tmp_path,
      embedding=inputs["embedding"],
      held_out=inputs["held_out"],
      seed=3,
  )
  found = np.load(tmp_path / "triplets.npy")
  embedding = np.load(inputs["embedding"])
  hard = judgments.sample_choices(
      judgments.from_embedding(embedding[5:], seed=3), seed=3
  )
  np.testing.assert_array_equal(found, hard.triplets + 5)
  assert json_files.read(tmp_path / "report.json") == {"concepts": _N}
