"""Flags of `alignet evaluate representations` and `student`."""

import argparse


def add_model(parser: argparse.ArgumentParser) -> None:
  """Which model, which images, where its representations are kept."""
  model = parser.add_argument_group("model, one of")
  one = model.add_mutually_exclusive_group(required=True)
  one.add_argument("--workdir", help="of a training: its weights.safetensors")
  one.add_argument("--model", help="weights of ours, .safetensors")
  one.add_argument("--onnx", help="a network as ONNX file")
  model.add_argument("--layer", help="pre_logits (default), triplet_logits, …")
  model.add_argument("--size", type=int, help="side of the images in pixels")
  model.add_argument("--pixel_range", help="see `alignet extract --help`")
  model.add_argument("--pool", choices=("first", "mean"))
  images = parser.add_argument_group("images")
  images.add_argument(
      "--source",
      required=True,
      help="folder:PATH, tfds:NAME:SPLIT or images:PATH, to be evaluated on",
  )
  images.add_argument(
      "--train_source", help="the same, training images for classes and BREEDS"
  )
  images.add_argument("--data_dir", help="where TFDS keeps its datasets")
  images.add_argument("--concepts", metavar="concepts.tsv", help="of THINGS")
  images.add_argument(
      "--keep",
      required=True,
      metavar="DIR",
      help=(
          "folder of the model's representations, DIR/test and DIR/train; an"
          " interrupted extraction goes on, a finished one is used again"
      ),
  )


def add_suite(parser: argparse.ArgumentParser) -> None:
  """Which judgments and classes, and the model to compare with."""
  parser.add_argument(
      "--transform", metavar="t.npz", help="affine transform to apply first"
  )
  parser.add_argument(
      "--similarity",
      choices=("dot", "cosine"),
      help="default: dot with a transform, cosine without",
  )
  baseline = parser.add_argument_group("compared with")
  baseline.add_argument(
      "--baseline",
      metavar="DIR",
      help="another model's representations of the same images",
  )
  baseline.add_argument("--baseline_train", metavar="DIR", help="for classes")
  baseline.add_argument("--baseline_transform", metavar="t.npz")
  human = parser.add_argument_group("judgments")
  human.add_argument(
      "--trials",
      action="append",
      default=[],
      metavar="SOURCE[/SET]=PATH",
      help=(
          "AligNet npz or folder of them, answered by SOURCE: synthetic,"
          " simulated, vice or human; SET names the set, by default the file"
          " does; repeatable"
      ),
  )
  human.add_argument(
      "--things",
      metavar="FILE",
      help="choices among concepts: THINGS' csv, or .npy, odd one last",
  )
  human.add_argument(
      "--concept_list",
      metavar="concepts.tsv",
      help="what the choices' numbers mean",
  )
  human.add_argument("--levels", metavar="levels.npz")
  human.add_argument(
      "--shortest", type=float, help="leave out quicker answers of Levels"
  )
  human.add_argument(
      "--longest", type=float, help="leave out slower answers of Levels"
  )
  human.add_argument(
      "--no_repeats",
      action="store_true",
      help="keep a person's first answer to a triplet only",
  )
  human.add_argument(
      "--rdm",
      action="append",
      default=[],
      metavar="NAME=FILE",
      help=(
          "king2019, cichy2019, peterson, hebart2020 or mur2013 in their"
          " published form, or any name and .npy, .csv or .mat; a part of a set"
          " as king2019/set2, peterson/animals; repeatable"
      ),
  )
  human.add_argument(
      "--rdm_similarities",
      action="append",
      default=[],
      metavar="NAME",
      help=(
          "the --rdm of that name, one of your own, holds similarities;"
          " repeatable"
      ),
  )
  human.add_argument(
      "--rdm_images",
      action="append",
      default=[],
      metavar="NAME=FILE",
      help=(
          "file names in the order of the RDM of that name, one a line"
          " (default: sorted by name, where the set is; hebart2020 and mur2013"
          " are not); repeatable"
      ),
  )
  human.add_argument(
      "--categories",
      action="append",
      default=[],
      metavar="LEVEL",
      help="hold a category model constant: superordinate, …; repeatable",
  )
  human.add_argument(
      "--reweighted",
      action="store_true",
      help="feature-reweighted RSA, too (takes long)",
  )
  human.add_argument(
      "--resamples",
      type=int,
      default=1000,
      help="of bootstraps, 0 for none (default: %(default)s)",
  )
  structure = parser.add_argument_group("structure")
  structure.add_argument(
      "--hierarchy",
      default="",
      metavar="A,B",
      help=(
          "relative distances within these levels of labels and across, from"
          " fine to coarse: subordinate,basic,superordinate; with --baseline"
          " their change, and centred kernel alignment"
      ),
  )
  classes = parser.add_argument_group("classes (with training images)")
  classes.add_argument(
      "--tasks",
      default="",
      metavar="A,B",
      help="some of knn, probe, few_shot and retrieval",
  )
  classes.add_argument("--level", default="subordinate", help="of labels")
  classes.add_argument(
      "--mask",
      nargs="?",
      const=True,
      default=False,
      metavar="FILE",
      help=(
          "learn all classes and choose among those whose names FILE has, one a"
          " line: ImageNet-A's 200 WordNet ids; without FILE learn the test"
          " images' classes only"
      ),
  )
  classes.add_argument(
      "--breeds",
      action="append",
      default=[],
      metavar="NAME",
      help="living17, nonliving26, entity13 or entity30; repeatable",
  )
  classes.add_argument(
      "--breeds_hierarchy",
      metavar="DIR",
      help="as `alignet fetch breeds` writes it",
  )
