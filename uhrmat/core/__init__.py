"""What everything else stands on: errors, units, devices, memory, files that appear whole, processes, start-up."""
