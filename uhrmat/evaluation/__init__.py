"""Mattes in files against their ground truth: pairing, scoring, table, CSV and plot."""

from uhrmat.evaluation.pairs import Pair, Pairing, find_pairs
from uhrmat.evaluation.plot import write_plot
from uhrmat.evaluation.run import Evaluation, check_outputs, evaluate, write_csv

__all__ = ["Evaluation", "Pair", "Pairing", "check_outputs", "evaluate", "find_pairs", "write_csv", "write_plot"]
