r"""Ask people: mine pairs or triplets, write the page, join its answers.

Examples:
  alignet collect triplets --responses=aligned.npz \
      --baseline=untransformed.npz --out=triplets
  alignet collect page --triplets=triplets/triplets.csv \
      --source=images:test_images --out=experiment
"""

import argparse
import pathlib

from alignet.cli import flags

_TEXTS = ("title", "question", "consent")
_FILES = ("instructions", "thanks")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the subcommands."""
  kinds = parser.add_subparsers(dest="step", required=True)

  pairs, triplets, page, answers = (
      kinds.add_parser(name, **flags.described(step.__doc__))
      for name, step in _STEPS.items()
  )
  flags.add_models(pairs)
  for flag in ("transform", "baseline_transform"):
    pairs.add_argument(
        f"--{flag}", metavar="t.npz", help="affine transform to apply first"
    )
  flags.add_trust(pairs, rows=False)
  pairs.add_argument(
      "--level",
      default="subordinate",
      help="labels whose classes are used (default: %(default)s)",
  )
  pairs.add_argument(
      "--n",
      type=flags.count,
      default=2,
      help="pairs a class in each direction" + flags.DEFAULT,
  )
  pairs.add_argument(
      "--max_images",
      type=flags.count,
      default=2000,
      help="of a class with more, so many at random" + flags.DEFAULT,
  )
  flags.add_seed(pairs, "of that draw")
  for flag, text in (
      ("responses", "of the model, as `alignet respond` writes them"),
      ("baseline", "of another model, to the same triplets"),
  ):
    triplets.add_argument(f"--{flag}", required=True, metavar="NPZ", help=text)
  triplets.add_argument(
      "--n", type=flags.count, default=20, help="how many" + flags.DEFAULT
  )
  shown = page.add_mutually_exclusive_group(required=True)
  shown.add_argument(
      "--triplets",
      metavar="FILE",
      help="AligNet npz, or csv with image1, image2, image3: file names",
  )
  shown.add_argument(
      "--pairs", metavar="FILE", help="csv with image1, image2: file names"
  )
  for command in (pairs, triplets, page):
    flags.add_source(command, required=command is page)
  _add_settings(page)
  answers.add_argument("files", nargs="+", metavar="answers.csv")
  answers.add_argument(
      "--page", required=True, metavar="DIR", help="folder of the page"
  )
  answers.add_argument(
      "--summary", metavar="FILE.json", help="what is printed, as JSON"
  )
  for command in (pairs, triplets, page, answers):
    flags.add_output(command, "FILE.csv" if command is answers else "DIR")
    flags.add_quiet(command)


def _add_settings(page: argparse.ArgumentParser) -> None:
  page.add_argument(
      "--beside",
      action="store_true",
      help="images in a folder beside the page, not inside it",
  )
  page.add_argument(
      "--size",
      type=flags.count,
      metavar="PIXELS",
      help="longest side of the images; larger ones are shrunk",
  )
  page.add_argument(
      "--name_by",
      default="path",
      choices=("path", "stem", "folder"),
      help="what images are called in names.txt (default: %(default)s)",
  )
  page.add_argument(
      "--repeats",
      type=float,
      default=0.0,
      metavar="SHARE",
      help="of trials shown a second time, 0 to 0.5 (default: %(default)s)",
  )
  page.add_argument(
      "--trials",
      type=flags.count,
      metavar="N",
      help="so many of them, at random, for each participant (default: all)",
  )
  page.add_argument(
      "--break_every",
      type=flags.count,
      default=50,
      metavar="N",
      help="answers between two breaks; 0: none (default: %(default)s)",
  )
  for name in _TEXTS:
    page.add_argument(f"--{name}", metavar="TEXT", help="instead of ours")
  for name in _FILES:
    page.add_argument(
        f"--{name}", metavar="FILE.txt", help="paragraphs, instead of ours"
    )


def run(args: argparse.Namespace) -> None:
  """Does the step that was asked for."""
  from alignet.io import files

  files.check_output(args.out, overwrite=args.overwrite)
  flags.say(args, _STEPS[args.step](args))


def _pairs(args: argparse.Namespace) -> str:
  r"""Pairs of images that two models disagree on.

  Pairs of images of one class whose similarities, z-scored within the class,
  differ most between two models, in both directions. Writes DIR/pairs.csv (file
  names, class, both similarities and z-scores), gallery.png with --source, and
  meta.json.

  Examples:
    alignet collect pairs --representations=student --baseline=base \
        --level=basic --out=pairs
    alignet collect pairs --representations=student --baseline=base \
        --source=images:test_images --out=pairs_shown
  """
  # pylint: disable=g-import-not-at-top
  from alignet.collect import mined
  from alignet.errors import AlignetError

  models = flags.models(args)
  if len(models) < 2:
    raise AlignetError("two models are needed; pass --baseline=DIR, too")
  found = mined.write_pairs(
      args.out,
      *(path for _, path in models),
      transform=args.transform,
      baseline_transform=args.baseline_transform,
      level=args.level,
      n=args.n,
      max_images=args.max_images,
      seed=args.seed,
      source=args.source,
      data_dir=args.data_dir,
      trust=flags.trust(args),
      overwrite=args.overwrite,
  )
  return (
      f"{args.out}: {len(found)} pairs of {len(set(found.classes.tolist()))}"
      f" classes, {len(found.left_out)} classes left out"
  )


def _triplets(args: argparse.Namespace) -> str:
  r"""Triplets that two models disagree on.

  Triplets whose odd one two models disagree on, by the Jensen-Shannon
  divergence of their choices, from two AligNet npz of the same triplets. Writes
  DIR/triplets.csv, gallery.png with --source, and meta.json.

  Examples:
    alignet collect triplets --responses=aligned.npz \
        --baseline=untransformed.npz --out=triplets
    alignet collect triplets --responses=aligned.npz \
        --baseline=untransformed.npz --n=5 --out=few
  """
  # pylint: disable=g-import-not-at-top
  from alignet.collect import mined

  found = mined.write_triplets(
      args.out,
      args.responses,
      args.baseline,
      n=args.n,
      source=args.source,
      data_dir=args.data_dir,
      overwrite=args.overwrite,
  )
  return f"{args.out}: {len(found)} triplets"


def _page(args: argparse.Namespace) -> str:
  r"""The page that shows them.

  A web page that shows triplets (which one is the odd one out?) or pairs (how
  similar, 1 to 7?) in any browser, without a network, keeps each answer at once
  and saves them as a csv: DIR/index.html, and images/ with --beside, for
  participants; names.txt, items.csv and meta.json for you. See
  docs/collecting.md.

  Examples:
    alignet collect page --triplets=triplets/triplets.csv \
        --source=images:test_images --out=experiment
    alignet collect page --pairs=pairs/pairs.csv --source=images:test_images \
        --repeats=.1 --title='How alike?' --out=ratings
  """
  # pylint: disable=g-import-not-at-top
  from alignet.collect import page
  from alignet.collect import tables
  from alignet.collect.settings import Settings
  from alignet.human.readers import text

  kind = "triplets" if args.triplets else "pairs"
  texts = {name: getattr(args, name) for name in _TEXTS}
  for name in _FILES:
    if path := getattr(args, name):
      with text.open_text(path) as f:
        texts[name] = f.read()
  settings = Settings(
      kind=kind,
      repeats=args.repeats,
      trials=args.trials,
      break_every=args.break_every,
      name_by=args.name_by,
      **{name: value for name, value in texts.items() if value},
  )
  items = tables.read_items(args.triplets or args.pairs, settings.size)
  page_id = page.write(
      args.out,
      items,
      args.source,
      settings,
      size=args.size,
      data_dir=args.data_dir,
      embed=not args.beside,
      overwrite=args.overwrite,
  )
  return (
      f"{pathlib.Path(args.out) / page.INDEX}: {len(items)} {kind}, page"
      f" {page_id}"
  )


def _answers(args: argparse.Namespace) -> str:
  r"""Join what participants saved.

  Joins the files that participants saved, refuses what the page cannot have
  written, and prints how consistent each person is and how both models fare.

  Examples:
    alignet collect answers answers.csv --page=experiment --out=choices.csv
    alignet collect answers a.csv b.csv --page=experiment \
        --summary=summary.json --out=choices.csv
  """
  # pylint: disable=g-import-not-at-top
  from alignet.collect import answers as answers_lib
  from alignet.io import files
  from alignet.io import json_files

  if args.summary:
    files.check_output(args.summary, overwrite=args.overwrite)
  answers = answers_lib.read(args.page, args.files)
  found = answers_lib.summary(answers)
  answers_lib.write(args.out, answers, overwrite=args.overwrite)
  if args.summary:
    json_files.write(args.summary, found, overwrite=args.overwrite)
  return f"{answers_lib.table(found)}\n{args.out}"


_STEPS = {
    "pairs": _pairs,
    "triplets": _triplets,
    "page": _page,
    "answers": _answers,
}
