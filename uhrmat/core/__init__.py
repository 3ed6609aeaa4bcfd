"""Foundations of all other packages: errors, units, devices, memory, atomic files, locks, processes, start-up."""
