"""Executors: this process, processes on this machine, or Ray actors on many. None of them schedules: an executor takes
tasks while it has room, and returns a result for each."""
