"""The check `video` fails for what it should: packages stand in for PyAV, torchcodec and torchaudio, and get it wrong.

With the real ones it runs in real images.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.programs.conftest import PROGRAMS


@pytest.fixture
def video(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the check as a module."""
    monkeypatch.syspath_prepend(str(PROGRAMS / "checks"))
    monkeypatch.delitem(sys.modules, "check", raising=False)
    spec = importlib.util.spec_from_file_location("check_video", PROGRAMS / "checks/video.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Frame:
    """A frame of one grey."""

    def __init__(self, grey: float) -> None:
        self.grey = grey

    def float(self) -> "Frame":
        return self

    def mean(self) -> SimpleNamespace:
        return SimpleNamespace(item=lambda: self.grey)


class Frames(list[Frame]):
    """Decoded frames with the shape of a tensor."""

    shape: tuple[int, ...] = ()


def decode(monkeypatch: pytest.MonkeyPatch, greys: Sequence[float], shape: tuple[int, ...]) -> None:
    """Let torchcodec decode every clip to frames of some greys."""
    frames = Frames(map(Frame, greys))
    frames.shape = (len(greys), *shape)
    decoders: Any = ModuleType("torchcodec.decoders")
    decoders.VideoDecoder = lambda _: SimpleClip(frames)
    monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)


class SimpleClip:
    """A decoder that gives the same frames for any range."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames

    def __getitem__(self, _: slice) -> Frames:
        return self.frames


def test_greys_that_come_back_pass(video: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    decode(monkeypatch, [grey + 2 for grey in video.GREYS], (3, video.HEIGHT, video.WIDTH))
    video.check_clip(Path("h264.mp4"))


@pytest.mark.parametrize("what", ["another grey", "one frame less", "no colours"])
def test_other_frames_fail(what: str, video: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    greys, channels = list(video.GREYS), 3
    if what == "another grey":
        greys[3] = 0
    elif what == "one frame less":
        greys.pop()
    else:
        channels = 1
    decode(monkeypatch, greys, (channels, video.HEIGHT, video.WIDTH))
    with pytest.raises(Exception, match=r"h264.mp4: the (greys|frames) are"):
        video.check_clip(Path("h264.mp4"))


def test_a_pyav_without_h264_fails(video: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "write_clip", lambda *_: False)
    with pytest.raises(Exception, match=r"no encoder for H\.264"):
        video.check()


@pytest.mark.parametrize(
    ("rate", "samples", "complaint"), [(8_000, 8_000, "the rate is 8000"), (16_000, 1_000, "0.06 s long")]
)
def test_a_sound_of_another_rate_or_length_fails(
    rate: int, samples: int, complaint: str, video: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchaudio: Any = ModuleType("torchaudio")
    torchaudio.load = lambda _: (SimpleNamespace(shape=(1, samples)), rate)
    monkeypatch.setitem(sys.modules, "torchaudio", torchaudio)
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    with pytest.raises(Exception, match=complaint):
        video.check_sound(Path("tone.wav"))
