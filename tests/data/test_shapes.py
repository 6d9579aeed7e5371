"""The drawn world: what the docstrings promise, for any of its constants."""

from alignet.data import shapes
from alignet.triplets import similarity
import numpy as np
import pytest


@pytest.fixture(scope="module", params=[0, 1, 2])
def world(request):
  return shapes.make_world(request.param)


def test_a_world_is_determined_by_its_seed(world):
  again, other = shapes.make_world(0), shapes.make_world(1)
  for field in ("names", "colour", "held_out", "embedding"):
    np.testing.assert_array_equal(
        getattr(again, field), getattr(shapes.make_world(0), field)
    )
  assert (again.colour != other.colour).any()
  assert (again.held_out != other.held_out).any()


def test_the_hierarchy_is_whole(world):
  n = len(world.names)
  supers, kinds = len(shapes.SUPERORDINATES), len(shapes.SHAPES)
  assert n == supers * kinds * shapes.SUBORDINATES_PER_BASIC
  assert len(set(world.names.tolist())) == n
  basics, counts = np.unique(world.basic, return_counts=True)
  assert len(basics) == supers * kinds
  assert (counts == shapes.SUBORDINATES_PER_BASIC).all()
  # Each basic category lies in one superordinate and has one shape.
  for b in basics:
    rows = world.basic == b
    assert len(set(world.superordinate[rows])) == 1
    assert len(set(world.shape[rows])) == 1
    assert len(set(world.colour[rows])) == rows.sum()
  for i in range(n):
    name = world.names[i]
    assert name.startswith(shapes.COLOURS[world.colour[i]])
    assert name.endswith(shapes.SHAPES[world.shape[i]])
    assert shapes.SUPERORDINATES[world.superordinate[i]] in name


def test_whole_basic_categories_are_held_out(world):
  for b in np.unique(world.basic):
    assert len(set(world.held_out[world.basic == b])) == 1
  for s in range(len(shapes.SUPERORDINATES)):
    hidden = world.basic[world.held_out & (world.superordinate == s)]
    assert len(set(hidden)) == shapes.HELD_OUT_PER_SUPERORDINATE >= 2


def test_levels_agree_with_the_world(world):
  concepts = np.random.default_rng(0).integers(0, len(world.names), 200)
  levels = shapes.levels(world, concepts)
  assert list(levels) == ["subordinate", "basic", "superordinate"]
  name = lambda level: levels[level].names[levels[level].ids]
  np.testing.assert_array_equal(name("subordinate"), world.names[concepts])
  for sub, basic, sup in zip(
      name("subordinate"), name("basic"), name("superordinate")
  ):
    colour, _, rest = sub.partition(" ")
    assert colour in shapes.COLOURS
    assert basic == rest and basic.startswith(sup + " ")


def test_similarity_is_the_weight_of_the_shared_traits(world):
  n = len(world.names)
  gram = world.embedding.astype(np.float64) @ world.embedding.T
  outline, texture = (
      np.array(
          [shapes.SUPERORDINATES[s].split()[i] for s in world.superordinate]
      )
      for i in (0, 1)
  )
  traits = {
      "outline": outline,
      "texture": texture,
      "superordinate": world.superordinate,
      "shape": world.shape,
      "basic": world.basic,
      "colour": world.colour,
      "subordinate": np.arange(n),
  }
  wanted = np.zeros((n, n))
  for name, weight in shapes._TRAITS.items():
    wanted += weight * (traits[name][:, None] == traits[name][None, :])
  np.testing.assert_allclose(gram, wanted, atol=1e-5)
  assert (world.embedding >= 0).all()
  assert world.embedding.dtype == np.float32


def test_observers_follow_the_hierarchy_and_grade_superordinates(world):
  gram = world.embedding @ world.embedding.T
  same = lambda level: level[:, None] == level[None, :]
  basic, sup = same(world.basic), same(world.superordinate)
  off = ~np.eye(len(gram), dtype=bool)
  means = [
      gram[basic & off].mean(),
      gram[sup & ~basic].mean(),
      gram[~sup].mean(),
  ]
  assert means[0] > means[1] > means[2]
  # Superordinates that share a trait are more alike than those that do not.
  between = np.array(
      [
          [
              gram[
                  np.ix_(world.superordinate == a, world.superordinate == b)
              ].mean()
              for b in range(len(shapes.SUPERORDINATES))
          ]
          for a in range(len(shapes.SUPERORDINATES))
      ]
  )
  sharing, strange = [], []
  for a, first in enumerate(shapes.SUPERORDINATES):
    for b, second in enumerate(shapes.SUPERORDINATES[:a]):
      common = set(first.split()) & set(second.split())
      (sharing if common else strange).append(between[a, b])
  assert min(sharing) > max(strange)


def test_choices_come_with_the_stated_frequencies(world):
  # An observer adds Gumbel noise to each similarity and takes the largest: a
  # road to the softmax that does not pass through our code.
  rng = np.random.default_rng(3)
  i, j, k = rng.choice(len(world.names), (3, 40), replace=True)
  e = world.embedding
  s = similarity.pair_similarities(np.stack([e[i], e[j], e[k]], axis=1))
  p = similarity.choice_probabilities(s)
  n = 20_000
  noisy = s[:, None] + rng.gumbel(size=(len(s), n, 3))
  counts = np.stack([(noisy.argmax(-1) == c).sum(1) for c in range(3)], axis=1)
  z = (counts / n - p) / np.sqrt(p * (1 - p) / n)
  assert np.abs(z).max() < 4.5
  assert 0.7 < z.std() < 1.3


def test_pictures_are_determined_by_concepts_and_seed(world):
  concepts = np.arange(20)
  first = shapes.render(world, concepts, seed=5)
  assert first.dtype == np.uint8 and first.shape == (20, 32, 32, 3)
  np.testing.assert_array_equal(first, shapes.render(world, concepts, seed=5))
  assert (first != shapes.render(world, concepts, seed=6)).mean() > 0.9


def test_whole_blocks_of_pictures_do_not_depend_on_what_follows(world):
  concepts = np.resize(np.arange(len(world.names)), 1030)
  many = shapes.render(world, concepts, seed=5, size=8)
  few = shapes.render(world, concepts[:1024], seed=5, size=8)
  np.testing.assert_array_equal(many[:1024], few)
  assert many.shape == (1030, 8, 8, 3)


def test_pictures_vary_and_show_the_colour_of_their_concept(world):
  concept = int(np.flatnonzero(world.colour == 2)[0])  # A green one.
  assert shapes.COLOURS[2] == "green"
  images = shapes.render(world, np.full(64, concept), seed=0).astype(float)
  assert images.std(axis=0).mean() > 5
  centre = images[:, 12:20, 12:20].mean(axis=(0, 1, 2))
  assert centre.argmax() == 1 and centre[1] > centre[[0, 2]].max() + 20
