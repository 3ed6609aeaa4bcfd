"""Names formats that are not read as pictures by their first bytes, so that an error says what a file really is.

Sources: ISO/IEC 14496-12 (ftyp and its brands, https://mp4ra.org), libmagic's tables, the vendors' own format notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD = 512
"""Bytes from the start of a file that `identify` needs."""
_EXPORT = "Export it as PNG, TIFF or JPEG first."
_DEVELOP = "Develop it first, and export it as a 16-bit TIFF."
_CLIP = "Use 'uhrmat video' for clips, or extract one frame as a PNG."
_RENDER = "Export one page or view of it as PNG first."


@dataclass(frozen=True)
class ForeignFormat:
    """A format that is not read: its name with an article, and what the user can do."""

    name: str
    cure: str


_HEIC = ForeignFormat(
    "a HEIC photograph", "Export it as JPEG or TIFF first; phones offer 'Most Compatible' for new ones."
)
_AVIF = ForeignFormat("an AVIF picture", _EXPORT)
_MOVIE = ForeignFormat("a movie", _CLIP)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), _HEIC),
    **dict.fromkeys((b"avif", b"avis"), _AVIF),
    b"crx ": ForeignFormat("a raw photograph (CR3)", _DEVELOP),
}
_STARTS: tuple[tuple[int, bytes, ForeignFormat], ...] = (
    (0, b"GIF8", ForeignFormat("a GIF picture", _EXPORT)),
    (0, b"BM", ForeignFormat("a BMP picture", _EXPORT)),
    (
        0,
        b"8BPS",
        ForeignFormat("a Photoshop document", "Export it from Photoshop or another editor as TIFF or PNG first."),
    ),
    (0, b"gimp xcf", ForeignFormat("a GIMP document", "Export it from GIMP as TIFF or PNG first.")),
    (0, b"\x00\x00\x00\x0cjP  ", ForeignFormat("a JPEG 2000 picture", _EXPORT)),
    (0, b"\xff\x4f\xff\x51", ForeignFormat("a JPEG 2000 picture", _EXPORT)),
    (0, b"\x00\x00\x00\x0cJXL ", ForeignFormat("a JPEG XL picture", _EXPORT)),
    (0, b"\xff\x0a", ForeignFormat("a JPEG XL picture", _EXPORT)),
    (0, b"II\xbc\x01", ForeignFormat("a JPEG XR picture", _EXPORT)),
    (0, b"#?RADIANCE", ForeignFormat("a Radiance HDR picture", "Convert it to EXR first.")),
    (0, b"#?RGBE", ForeignFormat("a Radiance HDR picture", "Convert it to EXR first.")),
    (0, b"SDPX", ForeignFormat("a DPX picture", "Convert it to EXR or TIFF first.")),
    (0, b"XPDS", ForeignFormat("a DPX picture", "Convert it to EXR or TIFF first.")),
    (0, b"\x80\x2a\x5f\xd7", ForeignFormat("a Cineon picture", "Convert it to EXR or TIFF first.")),
    (0, b"\x00\x00\x01\x00", ForeignFormat("an icon", _EXPORT)),
    (0, b"\x8aMNG", ForeignFormat("an MNG animation", _EXPORT)),
    (0, b"IIRO", ForeignFormat("a raw photograph (ORF)", _DEVELOP)),
    (0, b"IIRS", ForeignFormat("a raw photograph (ORF)", _DEVELOP)),
    (0, b"MMOR", ForeignFormat("a raw photograph (ORF)", _DEVELOP)),
    (0, b"IIU\x00", ForeignFormat("a raw photograph (RW2)", _DEVELOP)),
    (0, b"FUJIFILMCCD-RAW", ForeignFormat("a raw photograph (RAF)", _DEVELOP)),
    (0, b"FOVb", ForeignFormat("a raw photograph (X3F)", _DEVELOP)),
    (0, b"\x00MRM", ForeignFormat("a raw photograph (MRW)", _DEVELOP)),
    (6, b"HEAPCCDR", ForeignFormat("a raw photograph (CRW)", _DEVELOP)),
    (0, b"%PDF", ForeignFormat("a PDF document", _RENDER)),
    (0, b"%!PS", ForeignFormat("a PostScript document", _RENDER)),
    (0, b"\xc5\xd0\xd3\xc6", ForeignFormat("a PostScript document", _RENDER)),
    (0, b"\x1a\x45\xdf\xa3", ForeignFormat("a Matroska or WebM movie", _CLIP)),
    (8, b"AVI ", ForeignFormat("an AVI movie", _CLIP)),
    (4, b"moov", _MOVIE),
    (4, b"mdat", _MOVIE),
    (4, b"wide", _MOVIE),
    (0, b"\x00\x00\x01\xba", ForeignFormat("an MPEG movie", _CLIP)),
    (0, b"\x00\x00\x01\xb3", ForeignFormat("an MPEG movie", _CLIP)),
    (0, b"FLV\x01", ForeignFormat("a Flash movie", _CLIP)),
    (0, b"OggS", ForeignFormat("an Ogg file", _CLIP)),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ForeignFormat("a Windows Media movie", _CLIP)),
    (0, b"\x06\x0e\x2b\x34", ForeignFormat("an MXF movie", _CLIP)),
    (0, b"PK\x03\x04", ForeignFormat("a ZIP archive", "Unpack it first.")),
    (0, b"Rar!", ForeignFormat("a RAR archive", "Unpack it first.")),
    (0, b"7z\xbc\xaf\x27\x1c", ForeignFormat("a 7z archive", "Unpack it first.")),
    (0, b"\x1f\x8b", ForeignFormat("a gzip archive", "Unpack it first.")),
    (0, b"version https://git-lfs", ForeignFormat("a Git LFS pointer, not the file itself", "Run 'git lfs pull'.")),
)
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"^\s*(<!doctype html|<html)", re.IGNORECASE)


def identify(head: bytes) -> ForeignFormat | None:
    """The format of a file by its first `HEAD` bytes; None if it is unknown or one that is read."""
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return ForeignFormat("an MPEG transport stream", _CLIP)
    for offset, magic, foreign in _STARTS:
        if head.startswith(magic, offset):
            return foreign
    text = head.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(text):
        return ForeignFormat("a web page, not a picture", "Download the picture itself.")
    if text.lstrip().startswith(b"<") and _SVG.search(text):
        return ForeignFormat("an SVG drawing", _RENDER)
    return None


def _by_brand(head: bytes) -> ForeignFormat:
    """The major brand if it is known, else the first known compatible one: `mif1` stands before `avif` in both."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = [head[at : at + 4] for at in range(16, size - 3, 4)]
    brands = [head[8:12], *compatible]
    if b"avif" in brands or b"avis" in brands:
        return _AVIF
    return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), _MOVIE)
