"""Our ViT against PyTorch's: a training step, and extraction by the teacher.

  python benchmarks/vit_step.py [--quick]

Ti/16, 24 images of 224 px (8 triplets), float32, class token: forward, and
forward with the gradient of all parameters; transformers' ViT with sdpa beside
it, same size. So400m/14-384 forward, a few images (not with --quick). Each runs
in a process of its own; the two take turns, call by call, so that what disturbs
one disturbs both. CPU seconds are of all threads of the process; the median of
the calls. PyTorch's threads are told not to spin while they wait, which would
count as work. `of_peak` is the share of a float32 matrix product's FLOP per CPU
second, measured the same way in the same process. The last line is one JSON
object; `cpu_ratio` and `wall_ratio` are our time over PyTorch's, smaller is
better. Needs alignet[parity].
"""

import argparse
import json
import pathlib
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from benchmarks import _turns

_SIZES = {
    "vit-ti16": dict(
        width=192, depth=12, heads=3, mlp=768, patch=16, size=224, batch=24
    ),
    "so400m-siglip-webli384": dict(
        width=1152, depth=27, heads=16, mlp=4304, patch=14, size=384, batch=2
    ),
}
_MATMUL = 1024


def ours(name):
  """Functions of no argument: forward, step, matmul."""
  from alignet.models.vit import zoo
  import jax
  import jax.numpy as jnp
  import numpy as np

  size = _SIZES[name]
  vit = zoo.find(name).vit()
  shape = (size["batch"], size["size"], size["size"], 3)
  images = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
  params = jax.jit(vit.init)(jax.random.key(0), images)
  forward = jax.jit(vit.apply)
  step = jax.jit(jax.grad(lambda p, x: (vit.apply(p, x) ** 2).mean()))
  a = jnp.ones((_MATMUL, _MATMUL))
  matmul = jax.jit(lambda a: a @ a)
  done = jax.block_until_ready
  return {
      "forward": lambda: done(forward(params, images)),
      "step": lambda: done(step(params, images)),
      "matmul": lambda: done(matmul(a)),
  }


def theirs(name):
  """The same of PyTorch."""
  import torch
  import transformers

  size = _SIZES[name]
  siglip = "siglip" in name
  kind = "SiglipVision" if siglip else "ViT"
  config = getattr(transformers, f"{kind}Config")(
      hidden_size=size["width"],
      num_hidden_layers=size["depth"],
      num_attention_heads=size["heads"],
      intermediate_size=size["mlp"],
      patch_size=size["patch"],
      image_size=size["size"],
      attn_implementation="sdpa",
  )
  extra = {} if siglip else {"add_pooling_layer": False}
  model = getattr(transformers, f"{kind}Model")(config, **extra).eval()
  images = torch.rand(size["batch"], 3, size["size"], size["size"])
  a = torch.ones(_MATMUL, _MATMUL)

  def pooled():
    out = model(images)
    return out.pooler_output if siglip else out.last_hidden_state[:, 0]

  def forward():
    with torch.no_grad():
      pooled()

  def step():
    model.zero_grad(set_to_none=True)
    (pooled() ** 2).mean().backward()

  return {"forward": forward, "step": step, "matmul": lambda: a @ a}


def compare(name: str, what: tuple[str, ...], repeats: int) -> dict:
  """Both sides in turns; the median of each, and their ratio."""
  result = _turns.compare(
      {s: [__file__, "--work", s, name] for s in ("ours", "theirs")},
      (*what, "matmul"),
      repeats,
  )
  from alignet.models.vit import zoo

  size = _SIZES[name]
  flops = size["batch"] * zoo.find(name).vit().forward_flops(size["size"])
  work_of = {
      "forward": flops,
      "step": 3 * flops,
      "matmul": 2.0 * _MATMUL**3,
  }
  peak = {
      side: work_of["matmul"] / cpu
      for side, (cpu, _) in result["matmul"].items()
  }
  for function, of in result.items():
    (cpu, wall), (their_cpu, their_wall) = of["ours"], of["theirs"]
    of["cpu_ratio"], of["wall_ratio"] = cpu / their_cpu, wall / their_wall
    of["gflop_per_cpu_second"] = {
        side: work_of[function] / of[side][0] / 1e9 for side in peak
    }
    of["of_peak"] = {
        side: work_of[function] / of[side][0] / peak[side] for side in peak
    }
    of["images_per_cpu_second"] = {
        side: _SIZES[name]["batch"] / of[side][0] for side in peak
    }
    print(
        f"{name} {function}: {cpu:.3f} CPU-s ({wall:.3f} s) against"
        f" {their_cpu:.3f} ({their_wall:.3f}): ratio {of['cpu_ratio']:.3f}"
        f" ({of['wall_ratio']:.3f}), {of['of_peak']['ours']:.0%} of peak"
        f" against {of['of_peak']['theirs']:.0%}"
    )
  return result


def main(argv: list[str]) -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--quick", action="store_true")
  parser.add_argument("--repeats", type=int, default=7)
  parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
  args = parser.parse_args(argv)
  if args.work:
    side, name = args.work
    _turns.work({"ours": ours, "theirs": theirs}[side](name))
    return
  repeats = 2 if args.quick else args.repeats
  result = {"vit-ti16": compare("vit-ti16", ("forward", "step"), repeats)}
  if not args.quick:
    teacher = "so400m-siglip-webli384"
    result[teacher] = compare(teacher, ("forward",), 3)
  print(json.dumps(result))


if __name__ == "__main__":
  main(sys.argv[1:])
