"""PyTorch first: imported after TensorFlow, it crashes the process."""

import contextlib

with contextlib.suppress(ImportError):  # `make test` has none and needs none.
  import torch  # noqa: F401  pylint: disable=unused-import
