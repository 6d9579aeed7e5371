"""Flags of what a teacher learns from: representations and judgments."""

import argparse
from collections.abc import Mapping
from typing import Any

from alignet.cli import flags

_NAMES = "names.txt"

_OBJECTS: Mapping[str, Mapping[str, Any]] = {
    "features": {
        "metavar": "F.npy",
        "help": "(n, d) representations; row i shows concept C[i]",
    },
    "representations": {
        "metavar": "DIR",
        "help": "instead: representations with labels, of `alignet extract`",
    },
    "level": {
        "default": "concept",
        "help": (
            "labels in DIR; class i is concept i; image: each image, by its"
            " file name" + flags.DEFAULT
        ),
    },
    "concepts": {
        "metavar": "C.npy",
        "help": "(n,) concept number of each row of the features (default: i)",
    },
}

# Defaults and choices are those of inputs.load, not imported for --help.
_FLAGS: Mapping[str, Mapping[str, Any]] = {
    "concept_list": {
        "metavar": _NAMES,
        "help": (
            "names of the concepts, concept i in row i: THINGS' concepts.tsv,"
            " .npy, or text with a name a line; what follows is joined to them"
            " by name (default: the names of the labels in DIR)"
        ),
    },
    "choices": {
        "metavar": "FILE",
        "help": "odd-one-out choices, plain or gzip; needs names of concepts",
    },
    "choices_format": {
        "default": "things_csv",
        "choices": ("things_csv", "odd_last", "odd_first"),
        "help": (
            "the csv of THINGS, or three numbers a row from 0 on (.npy, text)"
            " with the odd one last or first" + flags.DEFAULT
        ),
    },
    "choices_names": {
        "metavar": _NAMES,
        "help": "what FILE numbers, where it is another list of names",
    },
    "triplets": {
        "metavar": "T.npy",
        "help": "instead: (m, 3) concept numbers, the odd one last",
    },
    "probabilities": {
        "metavar": "P.npy",
        "help": "(m, 3) probabilities of the triplets' pairs s01, s02, s12",
    },
    "embedding": {
        "metavar": "V.npy",
        "help": (
            "(concepts, k) human embedding; targets are the softmax of its dot"
            " products, unless choices or triplets are given. What its rows are"
            " is said by one of the next two, or by --rows"
        ),
    },
    "embedding_names": {
        "metavar": _NAMES,
        "help": "name of each row of the embedding or posterior",
    },
    "embedding_order": {
        "choices": ("things", "vice", "sorted", "natural"),
        "help": (
            "of the rows: things, that of the list of concepts; vice, that of"
            " VICE as published; sorted, that of the sorted names; natural, a2"
            " before a10"
        ),
    },
    "posterior": {
        "metavar": "vice.npz",
        "help": (
            "instead of the embedding: mu and sigma, (concepts, k); targets are"
            " the posterior predictive, of the choices' or triplets' rows where"
            " they are given: uncertainty distillation"
        ),
    },
    "samples": {
        "type": flags.count,
        "default": 50,
        "help": "draws of the posterior" + flags.DEFAULT,
    },
    "on_impossible": {
        "default": "error",
        "choices": ("error", "drop"),
        "help": "choices that cannot be, such as a repeated concept"
        + flags.DEFAULT,
    },
    "on_unknown": {
        "default": "error",
        "choices": ("error", "drop"),
        "help": "choices and rows of what is none of the concepts"
        + flags.DEFAULT,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags, in two groups."""
  for title, of_group in (
      ("representations", _OBJECTS),
      ("human judgments", _FLAGS),
  ):
    group = parser.add_argument_group(title)
    for name, options in of_group.items():
      group.add_argument(f"--{name}", **options)
  flags.add_arrangement(group)
  flags.add_trust(group)


def given(args: argparse.Namespace) -> dict[str, Any]:
  """The flags' values, arguments of `inputs.load`."""
  return {name: getattr(args, name) for name in (*_OBJECTS, *_FLAGS)}


def load(args: argparse.Namespace, **others: Any):
  """Reads what the flags name, see `inputs.load`; says what was dropped.

  Args:
    args: parsed flags, with `max_triplets`, `seed` and `quiet`.
    **others: further arguments of `inputs.load`.
  """
  from uncertainty_distillation import inputs

  data = inputs.load(
      **given(args),
      **others,
      odd=args.odd,
      numbered_from=args.numbered_from,
      trust=flags.trust(args),
      max_triplets=args.max_triplets,
      seed=args.seed,
  )
  if not args.quiet and (line := summary(data.notes)):
    print(line, flush=True)
  return data


def summary(notes: Mapping[str, Mapping[str, Any]]) -> str:
  """One line on what was dropped or repeated, "" where nothing can be.

  Args:
    notes: of `inputs.Inputs`.
  """
  found = []
  if choices := notes.get("choices"):
    found.append(
        f"{choices['rows']} choices read: {choices['impossible']} impossible"
        f" and {choices['unknown']} of unknown concepts dropped,"
        f" {choices['repeated']} of the others repeated"
    )
  for name in ("embedding", "posterior"):
    note = notes.get(name, {})
    if unknown := note.get("unknown"):
      shown = ", ".join(unknown[:3]) + ", …" * (len(unknown) > 3)
      found.append(f"{len(unknown)} rows of the {name} dropped ({shown})")
    if note.get("standard_error") is not None:
      found.append(
          f"standard error of the targets {note['standard_error']:.4f} with"
          f" {note['samples']} samples"
      )
  return "; ".join(found)
