"""`uhrmat paint`: hints by brush on a local page, with the matte beside them as it changes.

`strokes` and `canvas` hold what is painted, `live` solves and refines it in the background, `tiles` shows both at any
zoom, `server` speaks to the page, `save` writes what `uhrmat image` would. Nothing here listens beyond 127.0.0.1.
"""
