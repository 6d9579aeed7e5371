"""Generates an AligNet npz from a config, its shards by workers of Apache Beam.

python -m response_generation.beam --cfg=response_generation/aligned \
      --cfg.representations=DIR --cfg.triplets=triplets.npz \
      --cfg.transform=transform.npz --cfg.out=aligned/train.npz \
      -- --runner=FnApiRunner

What stands behind the second `--` is Beam's. This process checks the inputs,
transforms every image and in the end joins the shards; workers answer triplets.
They share two folders with it, the representations and `OUT.shards`, which
need to have the same paths everywhere.
"""

from collections.abc import Sequence
import importlib.util
import sys

from response_generation import main as main_lib


def main(argv: Sequence[str]) -> int:
  """Entry point; `argv` holds Beam's flags behind the name of the program.

  Returns:
    0 when done, 2 when something given cannot be used.
  """
  if argv[1:] and not argv[1].startswith("--"):
    return main_lib.main(argv)  # Which says what is wrong with it.
  if importlib.util.find_spec("apache_beam") is None:
    print(
        "response_generation: error: Apache Beam is not installed; pip install"
        " 'alignet[beam]'",
        file=sys.stderr,
    )
    return 2
  # pylint: disable=g-import-not-at-top
  from apache_beam.options import pipeline_options
  from response_generation import beam_pipeline

  options = pipeline_options.PipelineOptions(list(argv[1:]))
  return main_lib.main(argv[:1], compute=beam_pipeline.computer(options))


if __name__ == "__main__":
  main_lib.start(main)
