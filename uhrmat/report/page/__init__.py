"""A report as one self-contained HTML page: mattes to look at, pixel by pixel, on any background, without a network.

    encode(exhibit) -> dict                  # at once, so that no picture is kept
    write_page(path, title, encoded, clip=None)

`Album` does both for photographs one after the other; `uhrmat.report.page.compare` makes an exhibit of two files,
`uhrmat.video.page` a page of a finished clip.
"""

from uhrmat.report.page.album import Album
from uhrmat.report.page.encode import encode, encode_thumbnail
from uhrmat.report.page.exhibit import ClipFigures, Exhibit, Side, make_exhibit
from uhrmat.report.page.write import check_page, write_page

__all__ = [
    "Album",
    "ClipFigures",
    "Exhibit",
    "Side",
    "check_page",
    "encode",
    "encode_thumbnail",
    "make_exhibit",
    "write_page",
]
