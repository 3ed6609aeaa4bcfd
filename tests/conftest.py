"""Shared by all tests: a numba cache and a torch that behave on small, busy machines."""

from __future__ import annotations

import os
import signal
import threading

# Read when the libraries load; more threads than this only slow small tensors down.
os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))
# Threads that have nothing to do sleep: waiting busily takes a quarter of the processor from the tests beside.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell starts its background jobs with SIGINT ignored, and what they start inherits that: tests of Ctrl-C would wait
# for ever.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
