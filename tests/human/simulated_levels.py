"""Levels as published, with simulated people: for tests."""

import numpy as np

_KINDS = ("between_class", "within_class", "class_border")
_CLASSES, _PER_CLASS = 8, 6


def images() -> list[str]:
  return [
      f"n{c:08d}_{i}.JPEG" for c in range(_CLASSES) for i in range(_PER_CLASS)
  ]


def features(seed: int = 0, noise: float = 0.7) -> np.ndarray:
  """(images, 16) what the simulated people see, in the order of `images`."""
  rng = np.random.default_rng(seed)
  centres = np.repeat(rng.normal(size=(_CLASSES, 16)), _PER_CLASS, axis=0)
  return centres + noise * rng.normal(size=centres.shape)


def participants(
    people: int = 12, triplets: int = 30, seed: int = 0
) -> dict[str, list[dict]]:
  """The published structure: everybody answers all triplets of each kind.

  Choices follow the softmax of cosines at temperature .1; the time grows with
  the entropy and differs between people. The first trial of each is no
  experimental one; the second comes again at the end.
  """
  rng = np.random.default_rng(seed)
  names = np.array(images()).reshape(_CLASSES, _PER_CLASS)
  shown = []
  for kind in _KINDS:
    for _ in range(triplets):
      classes = rng.permutation(_CLASSES)[:3]
      if kind == "within_class":
        classes[:] = classes[0]
      elif kind == "class_border":
        classes[1] = classes[0]
      rows = rng.permutation(_PER_CLASS)[:3]
      shown.append((kind, names[classes, rows].tolist()))
  z = features(seed)
  z /= np.linalg.norm(z, axis=1, keepdims=True)
  row = {name: i for i, name in enumerate(images())}
  out = {}
  for person in range(people):
    speed, trials = rng.lognormal(7, 0.5), []
    for kind, trio in shown:
      order = rng.permutation(3)
      trio = [trio[i] for i in order]
      a, b, c = (z[row[name]] for name in trio)
      s = np.array([a @ b, a @ c, b @ c]) / 0.1
      p = np.exp(s - s.max())
      p /= p.sum()
      entropy = -(p * np.log(p + 1e-12)).sum()
      odd = (2, 1, 0)[rng.choice(3, p=p)]
      trials.append(
          {
              **{f"image{i + 1}Path": f"imgs/{n}" for i, n in enumerate(trio)},
              "selected_image": f"imgs/{trio[odd]}",
              "rt": float(speed * np.exp(entropy + 0.2 * rng.normal())),
              "triplet_type": kind,
              "exp_trial_type": "exp_trial",
          }
      )
    first = {**trials[0], "exp_trial_type": "training_trial"}
    out[f"person_{person}"] = [first, *trials, dict(trials[1])]
  return out
