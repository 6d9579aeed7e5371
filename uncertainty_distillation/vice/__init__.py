"""VICE: concepts' sparse, non-negative embedding, with its uncertainty.

  judgments = from_choices(triplets, n_concepts=1854)
  embedding = vice.fit(judgments)
  p, standard_error = vice.posterior_predictive(
      embedding.mu, embedding.sigma, triplets, samples=50
  )

Variational Interpretable Concept Embeddings (Muttenthaler, Zheng, McClure,
Vandermeulen, Hebart and Pereira, NeurIPS 2022), written from the paper's
mathematics. What differs from the paper is in the docstring of `Config`.
"""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Config": "config",
        "Embedding": "embedding",
        "Predictive": "posterior",
        "fit": "fitting",
        "from_posterior": "posterior",
        "load": "embedding",
        "posterior_predictive": "posterior",
        "save": "embedding",
        "to_file": "fitting",
    },
)
