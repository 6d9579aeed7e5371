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

from uncertainty_distillation.vice.config import Config
from uncertainty_distillation.vice.embedding import Embedding
from uncertainty_distillation.vice.embedding import load
from uncertainty_distillation.vice.embedding import save
from uncertainty_distillation.vice.fit import fit
from uncertainty_distillation.vice.fit import to_file
from uncertainty_distillation.vice.posterior import Predictive
from uncertainty_distillation.vice.posterior import from_posterior
from uncertainty_distillation.vice.posterior import posterior_predictive

__all__ = [
    "Config",
    "Embedding",
    "Predictive",
    "fit",
    "from_posterior",
    "load",
    "posterior_predictive",
    "save",
    "to_file",
]
