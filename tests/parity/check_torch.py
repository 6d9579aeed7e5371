"""The PyTorch file against our losses, and its dataset against our reader."""

from alignet.models.export import alignet_torch
from alignet.training import losses
from alignet.training import metrics
from alignet.triplets import npz
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch


def _case(scale, b=64, d=16):
  rng = np.random.default_rng(0)
  z = rng.normal(size=(b, 3, d)).astype(np.float32)
  z[0] = 0
  z[1, 1] = z[1, 0] = z[1, 2]
  s = np.sort(rng.normal(size=(b, 3)).astype(np.float32) * 3)[:, ::-1]
  return scale * z, s.copy()


@pytest.mark.parametrize("scale", [1.0, 10.0, 300.0])
@pytest.mark.parametrize("tau", [1.0, 100.0])
@pytest.mark.parametrize("name", ["JSD", "KL", "Contrastive"])
def test_value_and_gradient(name, tau, scale):
  z, s = _case(scale)
  loss = getattr(losses, name)(tau=tau)
  value, gradient = jax.value_and_grad(
      lambda z: loss.get_values(embeddings=z, similarities=jnp.asarray(s)).sum()
  )(z)
  theirs = torch.from_numpy(z).requires_grad_()
  if name == "Contrastive":
    total = alignet_torch.contrastive(theirs, tau=tau).sum()
  else:
    function = getattr(alignet_torch, name.lower())
    total = function(theirs, torch.from_numpy(s), tau=tau).sum()
  total.backward()
  np.testing.assert_allclose(total.item(), value, rtol=2e-5, atol=1e-6)
  assert np.isfinite(gradient).all()
  np.testing.assert_allclose(
      theirs.grad.numpy(),
      gradient,
      rtol=0,
      atol=2e-5 * np.abs(gradient).max(),
  )


def test_accuracy():
  z, _ = _case(1.0)
  state = metrics.TripletAccuracy().get_state(embeddings=z)
  got = alignet_torch.accuracy(torch.from_numpy(z))
  np.testing.assert_allclose(got.mean().item(), state.compute(), rtol=1e-6)
  assert got[0].item() == pytest.approx(1 / 3)


def test_bfloat16_is_summed_in_float32():
  z = torch.ones(1, 3, 4096, dtype=torch.bfloat16)
  assert alignet_torch.pair_similarities(z).tolist() == [[4096.0] * 3]


def test_dataset(tmp_path):
  rng = np.random.default_rng(0)
  names = np.array([f"i{k}.JPEG" for k in range(30)])
  indices = np.stack([rng.permutation(30)[:3] for _ in range(50)])
  path = tmp_path / "t.npz"
  npz.write(path, names, indices, rng.normal(size=(50, 3)))
  ours = npz.open(path)
  by_number = alignet_torch.AligNet(path, image=lambda i: torch.tensor(i))
  by_name = alignet_torch.AligNet(
      path, image=lambda n: torch.tensor(int(n[1:-5])), by_name=True
  )
  loader = torch.utils.data.DataLoader(by_number, 50)
  images, similarities = next(iter(loader))
  np.testing.assert_array_equal(images, ours.indices)
  np.testing.assert_array_equal(similarities, ours.similarities)
  np.testing.assert_array_equal(by_name[7][0], by_number[7][0])


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"indices": np.zeros((2, 3), int)}, "expected the keys"),
        (
            {
                "indices": np.zeros((2, 3), int),
                "similarities": np.zeros((3, 3)),
            },
            "expected .n, 3.",
        ),
        (
            {
                "indices": np.zeros((2, 3), int),
                "similarities": np.array([[0, 0, 0], [np.nan, 0, 0]]),
            },
            "row 1: a",
        ),
        (
            {
                "indices": np.array([[{}] * 3]),
                "similarities": np.zeros((1, 3)),
            },
            "[Oo]bject arrays",
        ),
    ],
)
def test_files_that_are_none(tmp_path, arrays, message):
  np.savez(tmp_path / "t.npz", **arrays)
  with pytest.raises(ValueError, match=message):
    alignet_torch.AligNet(tmp_path / "t.npz", image=torch.tensor)
