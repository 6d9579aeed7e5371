"""Launches a Kauldron training: see `alignet.training.launch`."""

import sys

from alignet.training import launch

if __name__ == "__main__":
  sys.exit(launch.main(sys.argv[1:]))
