"""Mattes in files against their ground truth: pairing, scoring, table, CSV and plot."""

from uhrmat.evaluation.pairs import Pair, Pairing, find_pairs
from uhrmat.evaluation.plot import write_plot
from uhrmat.evaluation.run import Evaluation, evaluate, read_alpha, write_csv

__all__ = ["Evaluation", "Pair", "Pairing", "evaluate", "find_pairs", "read_alpha", "write_csv", "write_plot"]
