"""AligNet for PyTorch, in one file: losses, accuracy and the dataset.

Needs PyTorch and NumPy and nothing of alignet: copy it. Checked against the JAX
losses, value and gradient, by `make parity`.

    data = AligNet("train_cluster_border_500.npz", image=my_dataset.tensor)
    for images, similarities in torch.utils.data.DataLoader(data, 512):
      z = head(model(images.flatten(0, 1))).unflatten(0, (-1, 3))
      loss = jsd(z, similarities, tau=100.0).mean()

Symbols: of a triplet, z [..., 3, d] are the student's embeddings, the odd one
last; s = [s01, s02, s12] the similarities of its pairs, the teacher's from the
file, the student's dot products of z; p = softmax(s / tau) the probability that
people call a pair the most similar one. All divergences are in nats.
"""

from collections.abc import Callable
import pathlib
from typing import Any

import numpy as np
import torch

PAIRS = ((0, 1), (0, 2), (1, 2))


def pair_similarities(z: torch.Tensor) -> torch.Tensor:
  """Dot products [..., 3] of the pairs of z, in float32 at least."""
  z = _float(z)
  return torch.stack(
      [(z[..., a, :] * z[..., b, :]).sum(-1) for a, b in PAIRS], -1
  )


def kl(
    z: torch.Tensor,
    similarities: torch.Tensor,
    *,
    tau: float = 100.0,
    target_tau: float = 1.0,
) -> torch.Tensor:
  """KL(teacher || student) of each triplet.

  Args:
    z: [..., 3, d] student embeddings.
    similarities: [..., 3] the teacher's.
    tau: temperature of the student, 100 in the released recipe.
    target_tau: temperature of the teacher.

  Returns:
    [...] at least 0, finite as its gradient.
  """
  log_p, log_q = _logs(z, similarities, tau, target_tau)
  return _kl(log_p, log_q)


def jsd(
    z: torch.Tensor,
    similarities: torch.Tensor,
    *,
    tau: float = 100.0,
    target_tau: float = 1.0,
) -> torch.Tensor:
  """Jensen-Shannon divergence, the released recipe's loss; see `kl`."""
  log_p, log_q = _logs(z, similarities, tau, target_tau)
  log_m = torch.logaddexp(log_p, log_q) - np.log(2)
  return 0.5 * (_kl(log_p, log_m) + _kl(log_q, log_m))


def contrastive(z: torch.Tensor, *, tau: float = 100.0) -> torch.Tensor:
  """-log p of the first pair: cross-entropy with the teacher's choice."""
  return -_log_softmax(pair_similarities(z) / tau)[..., 0]


def accuracy(z: torch.Tensor) -> torch.Tensor:
  """[...] 1 where the last one is the odd one out; a k-fold tie counts 1/k."""
  s = pair_similarities(z)
  best = s == s.max(-1, keepdim=True).values
  return best[..., 0].float() / best.sum(-1)


class AligNet(torch.utils.data.Dataset):
  """Triplets of an AligNet npz: (images [3, ...], similarities [3]).

  It holds 24 bytes a row, which workers that are forked share; the file names
  are read only where they are asked for, and rows are in the file's order: the
  odd one out is last.

  Args:
    path: the .npz file, of this project or the public release.
    image: from an image's number in its dataset to its tensor; or, with
      `by_name`, from its file name.
    by_name: address images by file name, safe where a dataset's order differs
      between versions; takes the memory of the names.

  Raises:
    ValueError: a key that is missing, another shape, a similarity that is not
      finite, a pickled array.
  """

  def __init__(
      self,
      path: str | pathlib.Path,
      image: Callable[[Any], torch.Tensor],
      *,
      by_name: bool = False,
  ):
    key = "filenames" if by_name else "indices"
    with np.load(path, allow_pickle=False) as f:
      missing = {key, "similarities"} - set(f)
      if missing:
        raise ValueError(
            f"{path}: expected the keys filenames, similarities, indices; found"
            f" {', '.join(f)}"
        )
      self.addresses = f[key]
      self.similarities = f["similarities"].astype(np.float32, copy=False)
    shapes = self.addresses.shape, self.similarities.shape
    if shapes[0] != shapes[1] or shapes[0][1:] != (3,):
      raise ValueError(
          f"{path}: expected (n, 3) {key} and similarities, found {shapes}"
      )
    good = np.isfinite(self.similarities).all(axis=1)
    if not good.all():
      raise ValueError(
          f"{path}: row {int(good.argmin())}: a similarity that is not finite"
      )
    if not by_name:
      self.addresses = self.addresses.astype(np.int32, copy=False)
    self.image = image

  def __len__(self) -> int:
    return len(self.addresses)

  def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = [self.image(address.item()) for address in self.addresses[row]]
    return torch.stack(images), torch.from_numpy(self.similarities[row])


def _logs(z, similarities, tau, target_tau):
  teacher = _log_softmax(_float(similarities) / target_tau)
  return teacher, _log_softmax(pair_similarities(z) / tau)


def _log_softmax(s):
  return torch.log_softmax(s, -1)


def _kl(log_p, log_q):
  # Logarithms of a softmax of finite numbers are finite: 0 * inf cannot arise.
  return (log_p.exp() * (log_p - log_q)).sum(-1)


def _float(x):
  return x if x.dtype in (torch.float32, torch.float64) else x.float()
