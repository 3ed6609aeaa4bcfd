"""Evaluation of mattes in files against their ground truth: pairing, scoring, CSV and plot."""

from uhrmat.metrics.evaluation.pairs import Pair, Pairing, find_pairs
from uhrmat.metrics.evaluation.plot import write_plot
from uhrmat.metrics.evaluation.run import Evaluation, check_outputs, evaluate, write_csv

__all__ = ["Evaluation", "Pair", "Pairing", "check_outputs", "evaluate", "find_pairs", "write_csv", "write_plot"]
