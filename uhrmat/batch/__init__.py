"""Folders: what is in them, what is done already, and who does the rest.

`find` and `select` say what there is to do, `run` hands it to an executor (see `uhrmat.batch.executors`), `manifest`
remembers what was done. Only `worker` loads networks; everything else runs without torch.
"""
