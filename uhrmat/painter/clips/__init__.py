"""`uhrmat paint CLIP`: key frames of a clip painted on the page, and what becomes of the frames between them.

`frames` decodes what the page shows, `keys` keeps what is painted, as trimaps in files, `ahead` propagates masks around
the frame in view while one paints, `runs` mattes the clip or a range of it as `uhrmat video` does, in a process of its
own. `session` joins them, `server` speaks to the page.
"""
