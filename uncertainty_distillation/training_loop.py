"""The training loop: everything on the device, compiled once.

A step draws triplets and, where concepts have several images, one image of
each concept in each of a few views. Draws depend on the seed and the step only.
"""

import functools
from typing import NamedTuple

from alignet.errors import AlignetError
import jax
import jax.numpy as jnp
import numpy as np
import optax
from uncertainty_distillation import objective
from uncertainty_distillation.config import Optimisation

Params = dict[str, jax.Array]

_MOST_PAIRS = 1 << 20
"""Entries of z z' that a step or an evaluation may hold, views included."""


class Objects(NamedTuple):
  """Rows of features and the concept each belongs to.

  Attributes:
    x: [rows, d] float32, standardised, sorted by concept.
    first: [n] first row of each concept.
    count: [n] rows of each concept.
    most: the largest count.
  """

  x: jax.Array
  first: jax.Array
  count: jax.Array
  most: int

  def views(self, most: int) -> int:
    """Views that fit in memory; one where every concept has a single image."""
    if self.most == 1:
      return 1
    return int(np.clip(_MOST_PAIRS // len(self.count) ** 2, 1, most))


class Pool(NamedTuple):
  """Judgments on the device, of which the rows in use are listed.

  All pools of a fit have the same shapes, so that one compilation serves.

  Attributes:
    triplets: [m, 3] object numbers.
    targets: [m, 3] probabilities of the pairs.
    rows: [m] the rows in use, then padding.
    size: [] how many are in use.
  """

  triplets: jax.Array
  targets: jax.Array
  rows: jax.Array
  size: jax.Array


def make_objects(
    x: np.ndarray, concepts: np.ndarray, n_concepts: int | None = None
) -> Objects:
  """Objects from rows in any order.

  Args:
    x: (rows, d) standardised features.
    concepts: (rows,) numbers from 0 on.
    n_concepts: how many there are, of which those without a row may never be
      judged; None where each has a row.
  """
  order = np.argsort(concepts, kind="stable")
  count = np.bincount(concepts, minlength=n_concepts or 0)
  first = np.cumsum(count) - count
  return Objects(
      jnp.asarray(x[order], jnp.float32),
      jnp.asarray(first),
      jnp.asarray(count),
      int(count.max()),
  )


def restrict(pool: Pool, rows: np.ndarray) -> Pool:
  """The same judgments with other rows in use."""
  padded = np.zeros(len(pool.triplets), np.int32)
  padded[: len(rows)] = rows
  return pool._replace(rows=jnp.asarray(padded), size=jnp.asarray(len(rows)))


def make_pool(triplets: np.ndarray, targets: np.ndarray) -> Pool:
  """A pool with all rows in use."""
  n = len(triplets)
  return Pool(
      jnp.asarray(triplets, jnp.int32),
      jnp.asarray(targets, jnp.float32),
      jnp.arange(n, dtype=jnp.int32),
      jnp.asarray(n),
  )


def train(
    params: Params,
    objects: Objects,
    pool: Pool,
    *,
    steps: int,
    seed: int,
    optimisation: Optimisation,
    local: objective.Local | None = None,
) -> list[Params]:
  """Minimises the objective.

  Args:
    params: where to start.
    objects: the representations.
    pool: the judgments to learn from.
    steps: a multiple of `optimisation.every`.
    seed: of all draws.
    optimisation: how.
    local: images of glocal's local term, shuffled; None where alpha is 0.

  Returns:
    The parameters after 0, `every`, 2 `every`, ... `steps` steps.

  Raises:
    AlignetError: the loss became NaN or infinite.
  """
  state = params, optimisation.optimizer().init(params)
  key = jax.random.key(seed)
  history = [params]
  views = objects.views(4)
  local = round_the_end(local, optimisation.local_batch)
  for start in range(0, steps, optimisation.every):
    state, losses = _chunk(
        state, start, key, objects[:3], pool, local, optimisation, views
    )
    losses = np.asarray(losses)
    if not np.isfinite(losses).all():
      step = start + int(np.argmin(np.isfinite(losses)))
      raise AlignetError(
          f"the teacher's loss became {losses[step - start]} at step {step};"
          " lower the learning rate or standardise the features"
      )
    history.append(state[0])
  return history


def evaluate(
    params: Params, objects: Objects, pool: Pool, *, seed: int, most: int = 8192
) -> tuple[np.ndarray, np.ndarray]:
  """Similarities of judged triplets under a transform, images drawn.

  Args:
    params: the transform.
    objects: the representations.
    pool: the judgments; about `most` of its rows are used, evenly spaced.
    seed: of the draw of images, the same for every `params`.
    most: triplets to evaluate at most.

  Returns:
    Similarities (m, 3) and human probabilities (m, 3).
  """
  size = int(pool.size)
  # A fixed length, so that one compilation serves every pool.
  length = min(most, len(pool.rows))
  rows = np.linspace(0, size - 1, min(size, length)).astype(np.int64)
  picked = pool.rows[np.resize(rows, length)]
  s = _similarities(
      params,
      objects[:3],
      pool.triplets[picked],
      jax.random.key(seed),
      objects.views(16),
  )
  used = slice(0, len(rows))
  return np.asarray(s)[used], np.asarray(pool.targets[picked])[used]


def draw_images(
    key: jax.Array, first: jax.Array, count: jax.Array, views: int
) -> jax.Array:
  """One image of each object in each view.

  Args:
    key: random key.
    first: [n] first row of each object.
    count: [n] rows of each object.
    views: how many.

  Returns:
    [views, n] row numbers.
  """
  u = jax.random.uniform(key, (views, len(first)))
  return first + jnp.minimum((u * count).astype(first.dtype), count - 1)


def draw(
    key: jax.Array, number: jax.Array | int, batch: int, size: jax.Array | int
) -> tuple[jax.Array, jax.Array]:
  """What a step draws; every trainer draws this.

  Args:
    key: of the seed.
    number: of the step, from 0 on.
    batch: rows to draw.
    size: how many there are.

  Returns:
    The key of the step's images, and [batch] numbers of rows.
  """
  image_key, row_key = jax.random.split(jax.random.fold_in(key, number))
  return image_key, jax.random.randint(row_key, (batch,), 0, size)


def first_local(
    key: jax.Array, number: jax.Array | int, images: int
) -> jax.Array:
  """[] the first of the consecutive local images that a step takes."""
  key = jax.random.fold_in(jax.random.fold_in(key, 1), number)
  return jax.random.randint(key, (), 0, images)


def round_the_end(
    local: objective.Local | None, size: int
) -> objective.Local | None:
  """Local images followed by the first ones again; a copy beats a gather."""
  if local is None or size >= len(local.inputs):
    return local
  return jax.tree.map(lambda x: jnp.concatenate([x, x[: size - 1]]), local)


def _some(local, key, number, size):
  """`size` images from a random one on, or all where there are no more."""
  if local is None or size >= len(local.inputs):
    return local
  row = first_local(key, number, len(local.inputs) - size + 1)
  return jax.tree.map(
      lambda x: jax.lax.dynamic_slice_in_dim(x, row, size), local
  )


@functools.partial(jax.jit, static_argnames=("views",))
def _similarities(params, objects, triplets, key, views):
  x, first, count = objects
  images = draw_images(key, first, count, views)
  return objective.similarities(params, x, images, triplets)


@functools.partial(jax.jit, static_argnames=("optimisation", "views"))
def _chunk(state, start, key, objects, pool, local, optimisation, views):
  """`every` steps; returns the state and the losses."""
  optimizer = optimisation.optimizer()
  x, first, count = objects

  def step(state, number):
    params, moments = state
    image_key, rows = draw(key, number, optimisation.batch, pool.size)
    rows = pool.rows[rows]
    value, gradient = jax.value_and_grad(objective.loss)(
        params,
        x,
        draw_images(image_key, first, count, views),
        pool.triplets[rows],
        pool.targets[rows],
        kind=optimisation.regulariser,
        weight=optimisation.regulariser_weight,
        alpha=optimisation.alpha,
        tau=optimisation.tau,
        local=_some(local, key, number, optimisation.local_batch),
    )
    updates, moments = optimizer.update(gradient, moments)
    return (optax.apply_updates(params, updates), moments), value

  return jax.lax.scan(step, state, start + jnp.arange(optimisation.every))
