"""A target whose firmware takes its identity in another way than by the provisioning image (protocol, section 10)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from conformance.files import write_private
from conformance.targets.base import HarnessError, Reaction, Target
from conformance.targets.commands import run
from model.alphabet import Link
from reference.image import unpack


class Provisioned(Target):
    """Another target, whose `boot` is given what `convert` makes of the image."""

    def __init__(self, inner: Target, convert: Callable[[bytes], bytes]) -> None:
        self.name = inner.name
        self._inner, self._convert = inner, convert

    def boot(self, image: bytes) -> Reaction:
        """Start with the converted image."""
        return self._inner.boot(self._convert(image))

    def send(self, link: Link, data: bytes) -> Reaction:
        """Give it bytes on a link."""
        return self._inner.send(link, data)

    def advance(self, ms: int) -> Reaction:
        """Let time pass."""
        return self._inner.advance(ms)

    def close(self) -> None:
        """End it."""
        self._inner.close()


def nothing(_: bytes) -> bytes:
    """For a firmware that has its certificates already."""
    return b""


def by_program(command: Sequence[str], folder: Path) -> Callable[[bytes], bytes]:
    """Let a program make the firmware's own layout of an image's parts; what it writes to `{output}` is the image.

    `{id}` is the SED's, `{files}` a folder with `image.bin` (section 10), `ca.der`, `certificate.der`, `key.der`
    (SEC 1, or PKCS #1 for RSA) and `boot-seed.bin`, which is gone afterwards.
    """

    def convert(image: bytes) -> bytes:
        parts = unpack(image)
        with tempfile.TemporaryDirectory(prefix="scewl-") as name:
            files = Path(name)
            for what, data in {
                "image.bin": image,
                "ca.der": parts.credentials.ca,
                "certificate.der": parts.credentials.certificate,
                "key.der": bytes(parts.credentials.key),
                "boot-seed.bin": parts.boot_seed,
            }.items():
                write_private(files / what, data)
            output = files / "output"
            run(command, folder, {"id": str(parts.sed_id), "files": name, "output": str(output)})
            try:
                return output.read_bytes()
            except OSError as error:
                raise HarnessError(
                    f"{command[0]} wrote nothing to the file that {{output}} stands for: {error.strerror}"
                ) from error

    return convert
