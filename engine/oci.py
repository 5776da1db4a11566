"""Write OCI image layouts from folders."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"

Descriptor = dict[str, Any]


class Layout:
    """An OCI image layout that images are added to; they may share layers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests: list[Descriptor] = []
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def add_layer(self, folder: Path, *, owned_by_root: bool = False) -> Descriptor:
        """Add a folder's contents as a layer; uncompressed, since it never leaves the machine."""
        command = ["tar", "--create", "--numeric-owner", "--sort=name", "--directory", str(folder), "."]
        if owned_by_root:
            command += ["--owner=0", "--group=0"]
        partial = self.blobs / "partial"
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar, partial.open("wb") as out:
            assert tar.stdout is not None
            digest, size = _copy_and_hash(tar.stdout, out)
        if tar.returncode != 0:
            raise subprocess.CalledProcessError(tar.returncode, command)
        partial.rename(self.blobs / digest)
        return _make_descriptor("application/vnd.oci.image.layer.v1.tar", digest, size)

    def add_image(self, layers: Sequence[Descriptor], config: dict[str, Any]) -> str:
        """Add an image with the given layers and return the digest of its manifest."""
        image = {
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._add_json("application/vnd.oci.image.config.v1+json", image),
            "layers": list(layers),
        }
        descriptor = self._add_json(MANIFEST, manifest)
        self.manifests.append(descriptor)
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        return str(descriptor["digest"])

    def _add_json(self, media_type: str, value: dict[str, Any]) -> Descriptor:
        """Add a JSON document as a blob."""
        data = json.dumps(value, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return _make_descriptor(media_type, digest, len(data))


def _copy_and_hash(source: IO[bytes], target: IO[bytes]) -> tuple[str, int]:
    """Copy a stream; return its SHA-256 and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return digest.hexdigest(), size


def _make_descriptor(media_type: str, digest: str, size: int) -> Descriptor:
    """Return the OCI descriptor of a blob; `digest` is its SHA-256 in hexadecimal."""
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}
