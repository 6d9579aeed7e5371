"""What responses have to be, from the formula and in float64."""

from alignet.triplets import npz
import numpy as np


def formula(x, indices, kind="dot"):
  """{frozenset of two images: similarity} of each row, in float64."""
  x = x.astype(np.float64)
  if kind == "cosine":
    x = x / np.sqrt((x**2).sum(1, keepdims=True))
  return [
      {
          frozenset((a, b)): float(np.dot(x[a], x[b]))
          for a, b in ((i, j), (i, k), (j, k))
      }
      for i, j, k in indices.tolist()
  ]


def check(path, expected, names, rtol=2e-5, atol=2e-5):
  """The npz says what `expected` says, in canonical order."""
  read = npz.open(path)
  assert len(read) == len(expected)
  for row, s, files_, pairs in zip(
      read.indices.tolist(),
      read.similarities.astype(np.float64),
      read.filenames,
      expected,
  ):
    i, j, k = row
    wanted = [pairs[frozenset(p)] for p in ((i, j), (i, k), (j, k))]
    np.testing.assert_allclose(s, wanted, rtol=rtol, atol=atol)
    assert s[0] >= s[1] >= s[2]
    assert files_.tolist() == [names[i], names[j], names[k]]
