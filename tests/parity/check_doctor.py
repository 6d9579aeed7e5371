"""A port in PyTorch, by the doctor's recipe, and what is said of its mistakes.

The backbone is `transformers`' SigLIP, loaded from our export; losses are those
of the PyTorch file; Adam and the pull are written out.
"""

# First: PyTorch crashes where TensorFlow, which Kauldron imports, is there
# before it; and what is loaded lazily is loaded here.
import torch
from transformers import SiglipVisionModel

# pylint: disable=g-bad-import-order,g-import-not-at-top
# isort: split
from alignet.models.export import alignet_torch
from alignet.models.export import weights
from alignet.training import doctor
from alignet.training.doctor import fixture
import numpy as np
import pytest


def _port(folder, *, recipe, loss=None, to_zero=False, dtype=torch.float32):
  model, params, data = fixture.load()
  folder.mkdir()
  weights.write_huggingface(folder, model, params)
  backbone = SiglipVisionModel.from_pretrained(
      folder, attn_implementation="eager"
  ).to(dtype)
  head = torch.nn.Linear(16, 8).to(dtype)
  with torch.no_grad():
    kernel = np.array(params["triplet_head"]["kernel"])
    head.weight.copy_(torch.from_numpy(kernel.T.copy()))
    head.bias.copy_(torch.from_numpy(np.array(params["triplet_head"]["bias"])))
  free = [*backbone.parameters(), *head.parameters()]
  start = [0 * p if to_zero else p.detach().clone() for p in free]
  m = [torch.zeros_like(p) for p in free]
  v = [torch.zeros_like(p) for p in free]
  adam = recipe["adam"]
  loss = loss or (
      lambda z, s: alignet_torch.jsd(z, s, tau=recipe["tau"]).mean()
  )
  losses, norms = [], []
  for k, rate in enumerate(recipe["learning_rates"]):
    rows = slice(k * recipe["batch_size"], (k + 1) * recipe["batch_size"])
    images = torch.from_numpy(data["images"][data["triplets"][rows]]) / 255
    x = images.flatten(0, 1).permute(0, 3, 1, 2).to(dtype)
    z = head(backbone(x).pooler_output).unflatten(0, (-1, 3))
    value = loss(z, torch.from_numpy(data["similarities"][rows]).to(dtype))
    gradient = torch.autograd.grad(value, free)
    losses.append(value.item())
    norms.append(sum(g.square().sum() for g in gradient).sqrt().item())
    with torch.no_grad():
      for i, (p, g) in enumerate(zip(free, gradient, strict=True)):
        m[i] = adam["b1"] * m[i] + (1 - adam["b1"]) * g
        v[i] = adam["b2"] * v[i] + (1 - adam["b2"]) * g * g
        update = (m[i] / (1 - adam["b1"] ** (k + 1))) / (
            (v[i] / (1 - adam["b2"] ** (k + 1))).sqrt() + adam["epsilon"]
        )
        update = update + recipe["decay_to_init"] * (p - start[i])
        p -= rate * update
  return losses, norms


@pytest.fixture(name="recipe")
def _recipe():
  return doctor.reference()["recipe"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_right_port(recipe, dtype, tmp_path, record_property):
  losses, norms = _port(tmp_path / "m", recipe=recipe, dtype=dtype)
  right = doctor.reference()["curve"]
  for name, ours in (("losses", losses), ("gradient_norms", norms)):
    error = np.max(np.abs(np.array(ours) / right[name] - 1))
    record_property(name, error)
    print(name, dtype, error)
  verdict = doctor.check(losses, norms)
  assert verdict.agrees, verdict.text


def test_mistakes_are_named(recipe, tmp_path):
  tau = lambda z, s: alignet_torch.jsd(z, s, tau=1.0).mean()
  total = lambda z, s: alignet_torch.jsd(z, s, tau=100.0).sum()
  for i, (fields, name) in enumerate(
      (
          ({"loss": tau}, "tau_missing"),
          ({"loss": total}, "sum_over_batch"),
          ({"to_zero": True}, "decay_to_zero"),
      )
  ):
    curves = _port(tmp_path / str(i), recipe=recipe, **fields)
    assert doctor.check(*curves).mistake == name
