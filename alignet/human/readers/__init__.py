"""Readers of human judgments: choices, embeddings, posteriors, images.

Each gives numbers of one list of concepts, by default the rows of THINGS'
`concepts.tsv`, and puts the odd one last. What a file numbers or orders in
another way is joined by name, never by position unless that is said: VICE as
published and the test trials of Hebart et al. (2020) are in the order of the
image files, which differs from that of the concepts in 20 rows.

Rows that cannot be are counted, and are an error unless they may be dropped.
Rows are counted from 0, a header is none. No pickle is ever read.
"""

from alignet.human.readers.choices import CSV_COLUMNS
from alignet.human.readers.choices import read_things_csv
from alignet.human.readers.choices import read_triplets
from alignet.human.readers.collector import Choices
from alignet.human.readers.collector import Report
from alignet.human.readers.embeddings import POSTERIOR_KEYS
from alignet.human.readers.embeddings import Embedding
from alignet.human.readers.embeddings import Posterior
from alignet.human.readers.embeddings import read_embedding
from alignet.human.readers.embeddings import read_posterior
from alignet.human.readers.images import ReferenceImages
from alignet.human.readers.images import ReferenceSource
from alignet.human.readers.images import find_reference_images
from alignet.human.readers.names import NAME_COLUMNS
from alignet.human.readers.names import ORDERS
from alignet.human.readers.names import ConceptList
from alignet.human.readers.names import read_names

__all__ = [
    "CSV_COLUMNS",
    "Choices",
    "ConceptList",
    "Embedding",
    "NAME_COLUMNS",
    "ORDERS",
    "POSTERIOR_KEYS",
    "Posterior",
    "ReferenceImages",
    "ReferenceSource",
    "Report",
    "find_reference_images",
    "read_embedding",
    "read_names",
    "read_posterior",
    "read_things_csv",
    "read_triplets",
]
