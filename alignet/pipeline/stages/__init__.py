"""The stages of a pipeline: read artefacts, call the library, write artefacts.

Each function takes its output folder, then paths of inputs and plain
parameters. What a file holds is said in the library function that writes it.
"""

from alignet.pipeline.stages.dataset import cluster
from alignet.pipeline.stages.dataset import dataset_report
from alignet.pipeline.stages.dataset import respond
from alignet.pipeline.stages.dataset import sample
from alignet.pipeline.stages.evaluation import evaluate
from alignet.pipeline.stages.evaluation import evaluate_teacher
from alignet.pipeline.stages.evaluation import pool
from alignet.pipeline.stages.evaluation import report
from alignet.pipeline.stages.evaluation import trials_by_level
from alignet.pipeline.stages.evaluation import trials_of_concepts
from alignet.pipeline.stages.teaching import choices
from alignet.pipeline.stages.teaching import choices_report
from alignet.pipeline.stages.teaching import cross_validate_choices
from alignet.pipeline.stages.teaching import teach_posterior
from alignet.pipeline.stages.teaching import vice
from alignet.pipeline.stages.training import extract
from alignet.pipeline.stages.training import override
from alignet.pipeline.stages.training import represent
from alignet.pipeline.stages.training import simulate_choices
from alignet.pipeline.stages.training import teach
from alignet.pipeline.stages.training import train
from alignet.pipeline.stages.worlds import cifar100_things
from alignet.pipeline.stages.worlds import shapes

__all__ = [
    "choices",
    "choices_report",
    "cifar100_things",
    "cluster",
    "cross_validate_choices",
    "dataset_report",
    "evaluate",
    "evaluate_teacher",
    "extract",
    "override",
    "pool",
    "report",
    "represent",
    "respond",
    "sample",
    "shapes",
    "simulate_choices",
    "teach",
    "teach_posterior",
    "train",
    "trials_by_level",
    "trials_of_concepts",
    "vice",
]
