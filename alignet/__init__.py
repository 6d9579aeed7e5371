"""AligNet: human-aligned vision models from odd-one-out judgments.

What is exported here loads on first use, so that `import alignet` stays cheap:

  import alignet
  z = alignet.transforms.load("transform.npz")(features)
"""

from alignet.io import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Suite": "evals.suite",
        "evaluate": "evals.suite",
        "load_model": "representations.pretrained",
        "similarity": "triplets.similarity",
        "transforms": "transforms",
    },
)
