"""Opening containers and choosing decoders: local files only, with words for what is wrong with them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.errors import InputError
from uhrmat.core.regular import need_regular

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av.container import InputContainer

ANOTHER = "Choose a video file, a folder of numbered frames, or a pattern such as 'f_%04d.png'."
_STILLS = ("png_pipe", "jpeg_pipe", "webp_pipe", "tiff_pipe", "exr_pipe", "bmp_pipe")
_CLIPS = (
    "mov", "matroska", "webm", "avi", "mpegts", "mpeg", "mpegvideo", "mxf", "asf", "flv", "ogg", "nut", "gxf", "dv",
    "rm", "ivf", "h264", "hevc", "vvc", "av1", "obu", "m4v", "mjpeg", "yuv4mpegpipe", "wtv", "gif", "apng", "dhav",
)  # fmt: skip
"""Demuxers that read one file and nothing beside it. The others are playlists (concat, hls, dash, sdp, image2),
devices, scripts (lavfi, avisynth), text that is drawn (tty), and subtitles."""
_SOUND = ("wav", "mp3", "flac", "aac", "ac3", "eac3", "aiff", "caf", "w64", "dts", "truehd", "amr")
_LOCAL = {"protocol_whitelist": "file", "format_whitelist": ",".join((*_CLIPS, *_STILLS, *_SOUND))}
_PLAYLISTS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a list of files for FFmpeg",
    b"<MPD": "a DASH manifest",
    b"v=0": "a description of a network stream (SDP)",
    b"<SmoothStreamingMedia": "a Smooth Streaming manifest",
    b"[playlist]": "a playlist",
    b"[Reference]": "a playlist",
}
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)


def file_url(path: Path) -> str:
    """The path as FFmpeg takes it without reading a protocol into a name with a colon."""
    return f"file:{path}"


FORMATS = {".mov": "mov", ".mp4": "mp4", ".mkv": "matroska", ".webm": "webm", ".mka": "matroska"}
"""FFmpeg's muxers by extension. By its own choice `.mka` gets a muxer that refuses TTA and WavPack."""


def open_muxer(path: Path, time_base: Fraction) -> Any:
    """Open a file for writing by its extension, without dates and chance in it: the same packets give the same bytes.

    QuickTime and MP4 keep a track's beginning in the movie's time scale, a millisecond by default.
    """
    import av

    options = {"fflags": "+bitexact"}
    if path.suffix.lower() in (".mov", ".mp4"):
        options["movie_timescale"] = str(time_base.denominator)
    return av.open(file_url(path), "w", format=FORMATS.get(path.suffix.lower()), container_options=options)


def open_container(path: Path) -> InputContainer:
    """Open a video file for reading, or raise `InputError`.

    Only formats that are one file are opened at all: a playlist, whatever it is called, leads neither to the network
    nor to other files. Titles in another encoding than UTF-8 stop nothing.
    """
    import av

    need_regular(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"'{path}' {what}.", ANOTHER)
    try:
        container = av.open(file_url(path), "r", container_options=_LOCAL, metadata_errors="replace")
    except av.error.FFmpegError as error:
        if isinstance(error, PermissionError):
            raise InputError(f"'{path}' may not be read.", "Check its permissions.") from error
        raise _unreadable(path) from error
    if container.format.name in _STILLS:
        container.close()
        raise InputError(f"'{path}' is a picture, not a clip.", "Use 'uhrmat image' for it.")
    return container


def _unreadable(path: Path) -> InputError:
    """The error for a file that FFmpeg does not open."""
    with open(path, "rb") as file:
        head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, what in _PLAYLISTS.items():
        if head.startswith(mark) or (mark.startswith(b"<") and head.startswith(b"<") and mark in head):
            return InputError(f"'{path}' is {what}, not a video.", "Give the video file that it names.")
    return InputError(f"'{path}' is not a video, or its index is missing (a recording that was cut off).", ANOTHER)


def video_streams(container: InputContainer) -> list[Any]:
    """The video streams that are moving pictures and can be decoded, the one to use first: of those that the file marks
    as default, where it marks any, the largest."""
    import av

    cover = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    able = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & cover]
    return sorted(able, key=_preference)


def _preference(stream: Any) -> tuple[bool, int, int]:
    import av

    context = stream.codec_context
    return not stream.disposition & av.stream.Disposition.default, -context.width * context.height, stream.index


def is_clip(path: Path) -> bool:
    """Whether a file holds a video stream."""
    try:
        with open_container(path) as container:
            video_stream(container, path)
    except InputError:
        return False
    return True


def video_stream(container: InputContainer, path: Path) -> Any:
    """The first of `video_streams`, its decoder using all cores, or `InputError`."""
    for stream in video_streams(container):
        stream.thread_type = "AUTO"
        return stream
    kind = "holds only sound" if container.streams.audio else "holds no video that can be decoded"
    raise InputError(f"'{path}' {kind}.", ANOTHER)


def decoder_of(stream: Any) -> Any:
    """The stream's decoder; libvpx for VP8 and VP9 with alpha, because FFmpeg's own decoders drop it."""
    import av

    own = stream.codec_context
    alpha = next((v for k, v in stream.metadata.items() if k.lower() == "alpha_mode"), "0")
    if alpha != "1" or own.name not in ("vp8", "vp9"):
        return own
    decoder = av.CodecContext.create("libvpx" if own.name == "vp8" else "libvpx-vp9", "r")
    decoder.extradata = own.extradata
    return decoder


def announced_length(container: InputContainer, stream: Any) -> float:
    """How many seconds of `stream` the header promises, 0 where it promises nothing of this stream alone."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    clock = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if clock is not None:
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3])
    return (container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0
