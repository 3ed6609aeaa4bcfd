"""Who does the work: this process, processes on this machine, or Ray's actors on many. None of them schedules: they
take tasks while they have room, and say what became of each."""
