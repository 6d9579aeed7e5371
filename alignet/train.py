"""Launches a Kauldron training: see `alignet.training.launch`."""

import sys

from alignet.io import interrupts
from alignet.training import launch

if __name__ == "__main__":
  interrupts.install()
  sys.exit(launch.main(sys.argv[1:]))
