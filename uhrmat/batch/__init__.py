"""Folders of stills and clips: what they contain, what is done already, and who does the rest.

`find` and `select` decide what there is to do, `run` and `dispatch` hand it to an executor (`uhrmat.batch.executors`),
`manifest` records what was done. Only `worker` loads networks; everything else runs without torch.
"""
