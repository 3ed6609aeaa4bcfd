"""Only formats that are one file are opened: a playlist, whatever it is called, leads nowhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media.video.helpers import encode, grey_frame
from uhrmat.core.errors import InputError
from uhrmat.media.video import open_clip

TEXTS = {
    "concat": ("ffconcat version 1.0\nfile 'secret.mp4'\n", "a list of files"),
    "hls": ("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n", "HLS playlist"),
    "hls after a byte order mark": ("\ufeff#EXTM3U\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n", "HLS playlist"),
    "dash": (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="0" bandwidth="1"><BaseURL>secret.mp4</BaseURL>'
        '<SegmentBase indexRange="0-1"/></Representation></AdaptationSet></Period></MPD>',
        "DASH manifest",
    ),
    "sdp": ("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n", "SDP"),
    "lavfi": ("movie=secret.mp4", "not a video"),
    "text art": ("\x1b[31mhello\x1b[0m" * 100, "not a video"),
    "subtitles": ("1\n00:00:00,000 --> 00:00:01,000\nx\n", "not a video"),
    "avisynth": ('AVISource("secret.avi")', "not a video"),
    "smil": ("[playlist]\nFile1=secret.mp4\n", "a playlist"),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m3u8", ".txt"])
@pytest.mark.parametrize("kind", TEXTS)
def test_playlists_are_refused_by_what_they_are(tmp_path: Path, kind: str, suffix: str) -> None:
    text, words = TEXTS[kind]
    encode(tmp_path / "secret.mp4", [grey_frame(60, 64, 48)])
    (tmp_path / f"a{suffix}").write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        open_clip(tmp_path / f"a{suffix}")


def test_the_same_lists_are_read_by_ffmpeg_itself(tmp_path: Path) -> None:
    """That the texts above are playlists: without the list of formats they lead to the other file."""
    import av

    encode(tmp_path / "secret.mp4", [grey_frame(60, 64, 48)])
    (tmp_path / "a.mp4").write_text(TEXTS["concat"][0], "utf-8")
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.width == 64


def test_a_name_that_is_a_pattern_does_not_lead_to_other_files(tmp_path: Path) -> None:
    for name in ("a1.png", "a2.png", "a%d.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    with pytest.raises(InputError, match="not a video"):
        open_clip(tmp_path / "a%d.png")
    encode(tmp_path / "a%d.mp4", [grey_frame(60, 64, 48)])
    with open_clip(tmp_path / "a%d.mp4") as clip:
        assert clip.info.codec == "h264"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
@pytest.mark.parametrize("stem", ["photo", "IMG_0001"])
def test_a_still_is_called_one_whatever_its_name(tmp_path: Path, suffix: str, stem: str) -> None:
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / f"{stem}.{suffix}")
    (tmp_path / f"{stem}.{suffix}").rename(tmp_path / f"{stem}.mp4")
    with pytest.raises(InputError, match="a picture, not a clip"):
        open_clip(tmp_path / f"{stem}.mp4")
    (tmp_path / f"{stem}.mp4").rename(tmp_path / f"{stem}.{suffix}")
    with pytest.raises(InputError, match="a picture, not a clip"):
        open_clip(tmp_path / f"{stem}.{suffix}")
