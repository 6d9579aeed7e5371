"""A student's whole training step: ours, upstream's layout, PyTorch.

  python benchmarks/student_step.py [--quick] [--repeats=7]

ViT-Ti/16, 8 triplets (24 images of 224 px), float32, attention pooling off (a
class token), triplet head of 1,024, JSD, Adam and the pull to the initial
weights; from uint8 images to new parameters. Three processes take turns, call
by call:

  ours      `alignet.models`, `alignet.training.losses`,
  `alignet.training.optim` upstream  the same step on flax's own attention, one
  projection each for
            query, key and value, softmax and GELU as flax writes them
  pytorch   transformers' ViT with sdpa, the same loss, Adam of torch.optim and
            the pull written out; threads told not to spin

The last line is one JSON object: median CPU seconds (of all threads) and
seconds of each, the ratios ours / other (smaller is better), and GFLOP per CPU
second beside that of a float32 matrix product in the same process. Needs
alignet[parity].
"""

import argparse
import json
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from benchmarks import _turns

_WIDTH, _DEPTH, _HEADS, _MLP, _PATCH, _SIZE = 192, 12, 3, 768, 16, 224
_TRIPLETS, _HEAD, _TAU, _RATE, _DECAY = 8, 1024, 100.0, 1e-5, 1.0
_MATMUL = 1024


def ours():
  """Functions of no argument: step, matmul."""
  from alignet import models

  backbone = models.ViT(
      patch_size=_PATCH,
      width=_WIDTH,
      depth=_DEPTH,
      num_heads=_HEADS,
      mlp_dim=_MLP,
      pool="tok",
  )
  return _in_jax(models.VisionModel(backbone=backbone, triplet_dim=_HEAD))


def upstream():
  """The same with blocks of flax's own layers."""
  from flax import linen as nn
  import jax.numpy as jnp

  class Block(nn.Module):

    @nn.compact
    def __call__(self, x):
      y = nn.LayerNorm(epsilon=1e-6)(x)
      y = nn.MultiHeadDotProductAttention(num_heads=_HEADS)(y, y)
      x = x + y
      y = nn.LayerNorm(epsilon=1e-6)(x)
      y = nn.Dense(_MLP)(y)
      y = nn.Dense(_WIDTH)(nn.gelu(y))
      return x + y

  class Student(nn.Module):

    @nn.compact
    def __call__(self, images):
      *batch, h, w, c = images.shape
      x = images.reshape(-1, h, w, c).astype(jnp.float32) / 255
      x = nn.Conv(_WIDTH, (_PATCH, _PATCH), (_PATCH, _PATCH), "VALID")(x)
      x = x.reshape(x.shape[0], -1, _WIDTH)
      cls = self.param("cls", nn.initializers.zeros, (1, 1, _WIDTH))
      x = jnp.concatenate([jnp.tile(cls, (x.shape[0], 1, 1)), x], axis=1)
      init = nn.initializers.normal(0.02)
      x = x + self.param("pos", init, (1, *x.shape[1:]))
      for _ in range(_DEPTH):
        x = Block()(x)
      x = nn.LayerNorm(epsilon=1e-6)(x)[:, 0]
      return nn.Dense(_HEAD)(x).reshape(*batch, _HEAD)

  return _in_jax(Student())


def _in_jax(model):
  from alignet.training import losses
  import jax
  import jax.numpy as jnp
  from kauldron import kd
  import numpy as np
  import optax

  rng = np.random.default_rng(0)
  shape = (_TRIPLETS, 3, _SIZE, _SIZE, 3)
  images = jnp.asarray(rng.integers(0, 256, shape, np.uint8))
  similarities = jnp.asarray(rng.normal(size=(_TRIPLETS, 3)), jnp.float32)
  with kd.nn.set_train_property(False):
    params = jax.jit(model.init)(jax.random.key(0), images)
  optimizer = optax.chain(
      optax.scale_by_adam(),
      kd.optim.decay_to_init(_DECAY),
      optax.scale_by_learning_rate(_RATE),
  )
  loss_of = losses.JSD(tau=_TAU)

  def loss(params, images, similarities):
    with kd.nn.set_train_property(False):
      out = model.apply(params, images)
    out = getattr(out, "triplet_logits", out)
    return loss_of.get_values(embeddings=out, similarities=similarities).mean()

  @jax.jit
  def step(params, state, images, similarities):
    gradient = jax.grad(loss)(params, images, similarities)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

  held = [params, optimizer.init(params)]

  def call():
    held[:] = step(*held, images, similarities)
    jax.block_until_ready(held)

  a = jnp.ones((_MATMUL, _MATMUL))
  matmul = jax.jit(lambda a: a @ a)
  return {"step": call, "matmul": lambda: jax.block_until_ready(matmul(a))}


def pytorch():
  """The same in PyTorch."""
  from alignet.models.export import alignet_torch
  import torch
  import transformers

  config = transformers.ViTConfig(
      hidden_size=_WIDTH,
      num_hidden_layers=_DEPTH,
      num_attention_heads=_HEADS,
      intermediate_size=_MLP,
      patch_size=_PATCH,
      image_size=_SIZE,
      hidden_act="gelu_pytorch_tanh",
      attn_implementation="sdpa",
  )
  torch.manual_seed(0)
  vit = transformers.ViTModel(config, add_pooling_layer=False)
  model = torch.nn.ModuleList([vit, torch.nn.Linear(_WIDTH, _HEAD)])
  start = [p.detach().clone() for p in model.parameters()]
  optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
  shape = (3 * _TRIPLETS, 3, _SIZE, _SIZE)
  images = torch.randint(0, 256, shape, dtype=torch.uint8)
  similarities = torch.randn(_TRIPLETS, 3)

  def step():
    optimizer.zero_grad(set_to_none=True)
    tokens = vit(images.float() / 255).last_hidden_state[:, 0]
    embeddings = model[1](tokens).reshape(_TRIPLETS, 3, _HEAD)
    loss = alignet_torch.jsd(embeddings, similarities, tau=_TAU)
    loss.mean().backward()
    with torch.no_grad():
      for p, p0 in zip(model.parameters(), start):
        p.sub_(_RATE * _DECAY * (p - p0))
    optimizer.step()

  a = torch.ones(_MATMUL, _MATMUL)
  return {"step": step, "matmul": lambda: a @ a}


_SIDES = {"ours": ours, "upstream": upstream, "pytorch": pytorch}


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true")
  parser.add_argument("--repeats", type=int, default=7)
  parser.add_argument("--work", help=argparse.SUPPRESS)
  args = parser.parse_args(argv)
  if args.work:
    _turns.work(_SIDES[args.work]())
    return
  from alignet.models.vit import zoo

  result = _turns.compare(
      {side: [__file__, f"--work={side}"] for side in _SIDES},
      ("step", "matmul"),
      2 if args.quick else args.repeats,
  )
  forward = zoo.find("vit-ti16").vit().forward_flops(_SIZE)
  flops = 3 * 3 * _TRIPLETS * forward
  cpu, wall = result["step"]["ours"]
  for side, (their_cpu, their_wall) in result["step"].items():
    peak = 2 * _MATMUL**3 / result["matmul"][side][0]
    print(
        f"{side:9} {their_cpu:.3f} CPU-s, {their_wall:.3f} s a step;"
        f" {flops / their_cpu / 1e9:.0f} GFLOP per CPU-s,"
        f" {flops / their_cpu / peak:.0%} of a matrix product; ours takes"
        f" {cpu / their_cpu:.3f} of its CPU time and {wall / their_wall:.3f} of"
        " its time"
    )
  print(json.dumps(result))


if __name__ == "__main__":
  main(sys.argv[1:])
