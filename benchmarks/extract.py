"""Extraction: alignet from JPEG files against onnxruntime on ready arrays.

  python benchmarks/extract.py [--quick] [--model=FILE --layer=… --size=…
    --pixel_range=…]

Ours reads, decodes, resizes and converts JPEG files, runs the network and
writes the directory. Two others only run the network, on arrays that lie in
memory in the form it takes: `user` as people call it (one session, all cores
work on one batch; the best of 8, 16 and 32 images), `limit` as ours does (each
core works on its own batch), which is what the machine can do. All run in a
process of their own, imports and loading not counted. Without --model the
network is made up, with about the work of EfficientNet-lite0. The last line is
one JSON object; `ratio` is ours over `user` in images a second,
`share_of_limit` ours over `limit`.
"""

import argparse
import json
import pathlib
import sys
import tempfile

_ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from alignet.data import image_folder
from alignet.data import image_sources
from alignet.io import parallel
from alignet.models.encoders import encoders
from alignet.representations import extract
from benchmarks import _measure
import cv2
import numpy as np


def make_images(folder: pathlib.Path, n: int) -> None:
  """Writes made-up photographs, 341 x 256 pixels, about 30 kB each."""
  rng = np.random.default_rng(0)
  folder.mkdir()
  for i in range(n):
    coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.resize(coarse, (341, 256), interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(-12, 13, image.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / f"{i:05d}.jpg"), image)


def make_network(path: pathlib.Path) -> None:
  """Writes a made-up network of depthwise-separable convolutions."""
  import onnx
  from onnx import TensorProto
  from onnx import helper

  rng = np.random.default_rng(0)
  nodes, constants, name, width = [], [], "x", 3

  def conv(outputs, kernel, stride, groups=1):
    nonlocal name, width
    shape = (outputs, width // groups, kernel, kernel)
    scale = np.sqrt(2 / np.prod(shape[1:]))
    weights = (scale * rng.standard_normal(shape)).astype(np.float32)
    number = len(nodes)
    constants.append(
        helper.make_tensor(
            f"w{number}", TensorProto.FLOAT, shape, weights.tobytes(), raw=True
        )
    )
    nodes.append(
        helper.make_node(
            "Conv",
            [name, f"w{number}"],
            [f"c{number}"],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )
    )
    nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
    name, width = f"r{number}", outputs

  conv(32, 3, 2)
  for outputs, stride, repeats in (
      *((48, 2, 2), (64, 2, 3), (128, 2, 4), (256, 2, 4)),
  ):
    for i in range(repeats):
      conv(4 * width, 1, 1)
      conv(width, 3, stride if i == 0 else 1, groups=width)
      conv(outputs, 1, 1)
  nodes.append(helper.make_node("GlobalAveragePool", [name], ["feat"]))
  graph = helper.make_graph(
      nodes,
      "network",
      [
          helper.make_tensor_value_info(
              "x", TensorProto.FLOAT, ["n", 3, "h", "w"]
          )
      ],
      [helper.make_tensor_value_info("feat", TensorProto.FLOAT, None)],
      constants,
  )
  model = helper.make_model(
      graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
  )
  onnx.save(model, path)


def side(name: str, folder: pathlib.Path, args) -> dict[str, float]:
  """Measures one side."""
  source = image_folder.FolderSource(folder / "images")
  encoder = encoders.open(
      f"onnx:{args.model or folder / 'network.onnx'}",
      layer=args.layer,
      size=args.size,
      pixel_range=args.pixel_range,
  )
  if name == "ours":
    encoder(np.zeros((8, args.size, args.size, 3), np.uint8))
    return _measure.measure(
        lambda: extract.to_directory(
            source, encoder, folder / "representations"
        )
    )
  images = np.stack(
      [image_sources.pixels(source[i], args.size) for i in range(len(source))]
  )
  arrays = encoder._convert(images)  # Ready: what the network takes.
  del images
  if name == "limit":
    found = {encoder.batch_size: encoder._session}
  else:
    import onnxruntime

    session = onnxruntime.InferenceSession(encoder._path)
    found = {size: session for size in (8, 16, 32)}
  best = None
  for size, session in found.items():

    def run(start, size=size, session=session):
      batch = arrays[start : start + size]
      return session.run([encoder._layer], {encoder._input.name: batch})

    run(0)
    starts = range(0, len(arrays), size)
    walk = map if name == "user" else parallel.ordered_map
    measured = _measure.measure(lambda w=walk, r=run, s=starts: list(w(r, s)))
    if best is None or measured["seconds"] < best["seconds"]:
      best = {**measured, "batch": size}
  return best


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
      "--quick", action="store_true", help="seconds, not a minute"
  )
  parser.add_argument("--images", type=int, help="default 2,000; quick 300")
  parser.add_argument("--model", type=pathlib.Path, help="an ONNX file")
  parser.add_argument("--layer", help="its output")
  parser.add_argument("--size", type=int, default=224)
  parser.add_argument("--pixel_range", default="-1,1")
  parser.add_argument("--side", help=argparse.SUPPRESS)
  parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.side:
    print(json.dumps(side(args.side, args.folder, args)))
    return
  n = args.images or (300 if args.quick else 2000)
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    make_images(folder / "images", n)
    if args.model is None:
      make_network(folder / "network.onnx")
    given = [a for a in sys.argv[1:] if a != "--quick"]
    sides = {
        one: _measure.in_process(
            __file__, [*given, f"--side={one}", f"--folder={folder}"]
        )
        for one in ("user", "limit", "ours")
    }
  for measured in sides.values():
    measured["images_per_second"] = round(n / measured["seconds"], 1)
  speed = {one: n / measured["seconds"] for one, measured in sides.items()}
  print(
      json.dumps(
          {
              "benchmark": "extract",
              "quick": args.quick,
              "images": n,
              **sides,
              **_measure.compare(sides["ours"], sides["user"]),
              "share_of_limit": round(speed["ours"] / speed["limit"], 3),
          }
      )
  )


if __name__ == "__main__":
  main()
