"""`shapes`: a small world of drawn objects with simulated observers.

Everything here is simulated. Objects are 32 x 32 pictures at three levels of
abstraction:

  superordinate  how the surface is made: its texture and whether it has a dark
                 outline (6 kinds; kinds that share a trait are more alike)
  basic          the shape within a superordinate (number of lobes)
  subordinate    the colour within a basic category

Position, size, rotation, background, light and noise vary from picture to
picture. Colours recur in all superordinates, so a network trained to name the
subordinate finds colour as useful as texture, while the simulated observers,
like people, judge by kind first: that gap is what alignment has to close.

The observers compare traits: the dot product of the trait vectors of two
subordinate concepts is their similarity, and among the three pairs of a triplet
each is chosen as the most alike with the softmax probability of its similarity.
They are calibrated by construction.
"""

import dataclasses

from alignet.data.labels import Labels
import numpy as np

TEXTURES = ("striped", "dotted", "solid")
OUTLINES = ("outlined", "plain")
SHAPES = ("disc", "bean", "trefoil", "square", "clover", "flower")
COLOURS = ("red", "amber", "green", "cyan", "blue", "magenta")
SUPERORDINATES = tuple(f"{o} {t}" for t in TEXTURES for o in OUTLINES)
SUBORDINATES_PER_BASIC = 3
HELD_OUT_PER_SUPERORDINATE = 2

_LOBES = np.array([0, 2, 3, 4, 4, 6])
_DEPTH = np.array([0.0, 0.3, 0.3, -0.13, 0.3, 0.24])
_HUES = np.array([0.0, 0.11, 0.33, 0.5, 0.63, 0.86])

# Squared weights of the observers' traits: how much similarity (in logits) two
# concepts gain by sharing each.
_TRAITS = dict(
    outline=2.5,
    texture=1.25,
    superordinate=0.5,
    shape=0.5,
    basic=0.75,
    colour=0.25,
    subordinate=0.5,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
  """Concepts of a world and what its simulated observers think of them.

  Attributes:
    names: (108,) names of the subordinate concepts.
    superordinate: (108,) int32 superordinate of each subordinate concept.
    basic: (108,) int32 basic category of each.
    shape: (108,) int32 index into SHAPES.
    colour: (108,) int32 colour of the surface, index into COLOURS.
    held_out: (108,) bool, concepts of which the teacher sees no judgment.
    embedding: (108, dims) float32 >= 0, the simulated observers' traits; their
      dot products are similarities in logits.
  """

  names: np.ndarray
  superordinate: np.ndarray
  basic: np.ndarray
  shape: np.ndarray
  colour: np.ndarray
  held_out: np.ndarray
  embedding: np.ndarray


def make_world(seed: int = 0) -> World:
  """Draws a world: the colours of each basic category, and what is held out.

  Two basic categories of each superordinate are held out from the teacher.
  """
  rng = np.random.default_rng([seed, 0])
  supers, shapes = len(SUPERORDINATES), len(SHAPES)
  superordinate, shape, colour, held_out = [], [], [], []
  for s in range(supers):
    hidden = rng.choice(shapes, HELD_OUT_PER_SUPERORDINATE, replace=False)
    for b in range(shapes):
      colours = rng.permutation(len(COLOURS))[:SUBORDINATES_PER_BASIC]
      for c in np.sort(colours):
        superordinate.append(s)
        shape.append(b)
        colour.append(c)
        held_out.append(b in hidden)
  superordinate, shape, colour = (
      np.array(x, np.int32) for x in (superordinate, shape, colour)
  )
  basic = superordinate * shapes + shape
  texture, outline = np.divmod(superordinate, len(OUTLINES))
  traits = dict(
      texture=texture,
      outline=outline,
      superordinate=superordinate,
      shape=shape,
      basic=basic,
      colour=colour,
      subordinate=np.arange(len(basic)),
  )
  embedding = np.concatenate(
      [
          np.sqrt(_TRAITS[name]) * np.eye(ids.max() + 1)[ids]
          for name, ids in traits.items()
      ],
      axis=1,
  ).astype(np.float32)
  names = np.array(
      [
          f"{COLOURS[c]} {SUPERORDINATES[s]} {SHAPES[b]}"
          for s, b, c in zip(superordinate, shape, colour)
      ]
  )
  return World(
      names=names,
      superordinate=superordinate,
      basic=basic,
      shape=shape,
      colour=colour,
      held_out=np.array(held_out),
      embedding=embedding,
  )


def levels(world: World, concepts: np.ndarray) -> dict[str, Labels]:
  """Labels at every level of images of the given concepts.

  Args:
    world: the world.
    concepts: (n,) subordinate concepts.

  Returns:
    "subordinate", "basic" and "superordinate" labels of n images.
  """
  basic_names = [f"{s} {b}" for s in SUPERORDINATES for b in SHAPES]
  return {
      "subordinate": Labels(ids=concepts.astype(np.int32), names=world.names),
      "basic": Labels(ids=world.basic[concepts], names=np.array(basic_names)),
      "superordinate": Labels(
          ids=world.superordinate[concepts], names=np.array(SUPERORDINATES)
      ),
  }


def render(
    world: World,
    concepts: np.ndarray,
    *,
    seed: int,
    size: int = 32,
) -> np.ndarray:
  """Draws one picture of each given concept.

  Args:
    world: the world.
    concepts: (n,) subordinate concepts.
    seed: seed of the nuisance variation; the same concepts in the same order
      with the same seed are the same pictures.
    size: side in pixels.

  Returns:
    (n, size, size, 3) uint8.
  """
  rng = np.random.default_rng([seed, 1])
  blocks = [
      _render_block(world, concepts[i : i + 1024], rng, size)
      for i in range(0, len(concepts), 1024)
  ]
  return np.concatenate(blocks)


def _render_block(world, concepts, rng, size):
  n = len(concepts)
  draw = lambda low, high: rng.uniform(low, high, (n, 1, 1)).astype(np.float32)
  axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
  x = axis[None, None, :] - draw(-0.15, 0.15)
  y = axis[None, :, None] - draw(-0.15, 0.15)
  angle = draw(-0.4, 0.4)
  u = np.cos(angle) * x + np.sin(angle) * y
  v = -np.sin(angle) * x + np.cos(angle) * y

  per_image = lambda values: np.asarray(values, np.float32)[:, None, None]
  lobes = per_image(_LOBES[world.shape[concepts]])
  depth = per_image(_DEPTH[world.shape[concepts]])
  radius = draw(0.60, 0.76) * (1 + depth * np.cos(lobes * np.arctan2(v, u)))
  # Signed distance to the rim, in pixels: > 0 inside.
  inside = (radius - np.hypot(u, v)) * size / 2
  cover = np.clip(inside + 0.5, 0, 1)

  texture = _texture(world, concepts, u, v, draw)
  colour = _hsv_to_rgb(
      _HUES[world.colour[concepts]] + rng.normal(0, 0.015, n),
      rng.uniform(0.55, 0.95, n),
      rng.uniform(0.65, 1.0, n),
  )
  surface = colour[:, None, None, :] * texture[..., None]
  outlined = per_image(world.superordinate[concepts] % len(OUTLINES) == 0)
  rim = outlined * np.clip(1.6 - np.abs(inside - 0.8), 0, 1)
  surface = surface * (1 - 0.85 * rim[..., None])

  slope = draw(-0.15, 0.15) * x + draw(-0.15, 0.15) * y
  tint = rng.uniform(0.35, 0.75, (n, 1, 1, 3)).astype(np.float32)
  background = tint + slope[..., None]
  image = background + cover[..., None] * (surface - background)
  image = image * draw(0.8, 1.1)[..., None]
  image += rng.normal(0, 0.03, image.shape).astype(np.float32)
  return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _texture(world, concepts, u, v, draw):
  """Brightness of the surface, (n, size, size)."""
  kind = world.superordinate[concepts] // len(OUTLINES)
  kind = kind[:, None, None]
  frequency = draw(2.0, 2.6) * np.pi
  phase = draw(0, 2 * np.pi)
  stripes = np.sin(frequency * 1.4 * u + phase)
  dots = 1.4 * np.sin(frequency * u + phase) * np.sin(frequency * v + phase)
  wave = np.where(kind == 0, stripes, np.where(kind == 1, dots, 1.0))
  return 1 - 0.55 * np.clip(0.5 - 2 * wave, 0, 1)


def _hsv_to_rgb(hue, saturation, value):
  """(n,) hue, saturation, value in [0, 1] -> (n, 3) float32."""
  k = (hue[:, None] * 6 + np.array([5.0, 3.0, 1.0])) % 6
  shade = np.clip(np.minimum(k, 4 - k), 0, 1)
  rgb = value[:, None] * (1 - saturation[:, None] * shade)
  return rgb.astype(np.float32)
