"""Readers of human judgments: choices, embeddings, posteriors, images.

Each gives numbers of one list of concepts, by default the rows of THINGS'
`concepts.tsv`, and puts the odd one last. What a file numbers or orders in
another way is joined by name, never by position unless that is said: VICE as
published and the test trials of Hebart et al. (2020) are in the order of the
image files, which differs from that of the concepts in 20 rows.

Rows that cannot be are counted, and are an error unless they may be dropped.
Rows are counted from 0, a header is none. No pickle is ever read.
"""

from uncertainty_distillation.readers.choices import CSV_COLUMNS
from uncertainty_distillation.readers.choices import from_array
from uncertainty_distillation.readers.choices import read_things_csv
from uncertainty_distillation.readers.choices import read_triplets
from uncertainty_distillation.readers.collector import Choices
from uncertainty_distillation.readers.collector import Report
from uncertainty_distillation.readers.embeddings import POSTERIOR_KEYS
from uncertainty_distillation.readers.embeddings import Embedding
from uncertainty_distillation.readers.embeddings import Posterior
from uncertainty_distillation.readers.embeddings import read_embedding
from uncertainty_distillation.readers.embeddings import read_posterior
from uncertainty_distillation.readers.images import ReferenceImages
from uncertainty_distillation.readers.images import ReferenceSource
from uncertainty_distillation.readers.images import find_reference_images
from uncertainty_distillation.readers.names import NAME_COLUMNS
from uncertainty_distillation.readers.names import ConceptList
from uncertainty_distillation.readers.names import read_names

__all__ = [
    "CSV_COLUMNS",
    "Choices",
    "ConceptList",
    "Embedding",
    "NAME_COLUMNS",
    "POSTERIOR_KEYS",
    "Posterior",
    "ReferenceImages",
    "ReferenceSource",
    "Report",
    "find_reference_images",
    "from_array",
    "read_embedding",
    "read_names",
    "read_posterior",
    "read_things_csv",
    "read_triplets",
]
