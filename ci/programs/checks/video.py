"""Check that video and sound become tensors: clips that PyAV writes here are decoded by torchcodec and torchaudio.

Each frame of a clip is of one grey, each tone has one pitch, so that what comes back can be compared.
"""

from __future__ import annotations

import importlib
import math
import tempfile
import wave
from array import array
from pathlib import Path
from typing import Any

from check import CheckError, Facts, require, run_check

# The codecs of the clips with PyAV's encoders for them, the one that must be there first.
ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
GREYS = range(48, 208, 16)
WIDTH, HEIGHT = 128, 64
RATE, TONE, SECONDS = 16_000, 440, 1


def write_clip(path: Path, encoder: str) -> bool:
    """Write a clip with a frame of each grey; return False if PyAV has no such encoder."""
    av: Any = importlib.import_module("av")
    try:
        av.Codec(encoder, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    with av.open(str(path), "w") as clip:
        stream = clip.add_stream(encoder, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for grey in GREYS:
            frame = av.VideoFrame(WIDTH, HEIGHT, "rgb24")
            frame.planes[0].update(bytes([grey]) * frame.planes[0].buffer_size)
            clip.mux(stream.encode(frame))
        clip.mux(stream.encode())
    return True


def check_clip(path: Path) -> None:
    """Decode a clip and compare its frames."""
    decoders: Any = importlib.import_module("torchcodec.decoders")
    frames = decoders.VideoDecoder(str(path))[:]
    shape = tuple(frames.shape)
    require(shape == (len(GREYS), 3, HEIGHT, WIDTH), f"{path.name}: the frames are {shape}")
    means = [round(frame.float().mean().item()) for frame in frames]
    close = all(abs(mean - grey) <= 8 for mean, grey in zip(means, GREYS, strict=True))
    require(close, f"{path.name}: the greys are {means}, not {list(GREYS)}")


def tone() -> array[int]:
    """Return a tone as 16-bit samples."""
    return array("h", (round(16_000 * math.sin(math.tau * TONE * i / RATE)) for i in range(RATE * SECONDS)))


def write_wav(path: Path) -> None:
    """Write the tone as it is, by the standard library."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(tone().tobytes())


def write_mp4(path: Path) -> None:
    """Write the tone in AAC."""
    av: Any = importlib.import_module("av")
    samples = tone()
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
        frame.sample_rate = RATE
        frame.planes[0].update(samples.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        for resampled in av.AudioResampler("fltp", "mono", RATE, frame_size=stream.frame_size).resample(
            frame
        ):
            out.mux(stream.encode(resampled))
        out.mux(stream.encode())


def check_sound(path: Path) -> None:
    """Load a sound by torchaudio, and compare its rate, length and pitch."""
    torchaudio: Any = importlib.import_module("torchaudio")
    torch: Any = importlib.import_module("torch")
    sound, rate = torchaudio.load(str(path))
    seconds = sound.shape[-1] / rate
    require(rate == RATE, f"{path.name}: the rate is {rate}, not {RATE}")
    require(abs(seconds - SECONDS) < 0.2, f"{path.name}: it is {seconds:.2f} s long, not {SECONDS}")
    spectrum = torch.fft.rfft(sound[0]).abs()
    pitch = spectrum.argmax().item() / seconds
    require(abs(pitch - TONE) < 5, f"{path.name}: its tone is {pitch:.0f} Hz, not {TONE}")


def check() -> Facts:
    """Write, decode and compare."""
    codecs = []
    with tempfile.TemporaryDirectory() as folder:
        for codec, encoder in ENCODERS.items():
            if write_clip(clip := Path(folder, f"{codec}.mp4"), encoder):
                check_clip(clip)
                codecs.append(codec)
        if "h264" not in codecs:
            raise CheckError("PyAV has no encoder for H.264 to make a clip with")
        for write, name in ((write_wav, "tone.wav"), (write_mp4, "tone.mp4")):
            write(Path(folder, name))
            check_sound(Path(folder, name))
    return {"codecs": codecs, "sound": ["wav", "aac"]}


if __name__ == "__main__":
    run_check(check)
