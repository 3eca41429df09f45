"""A deployment: the SSS's authority and the provisioned SEDs, in memory and as a folder.

The folder (mode 0700, every file 0600) holds

- `deployment.json`: `version` 1, `suite` (`0xC02C`, `0xC02B`, or with RSA keys `0x009D`, `0x009C`), `cn_pattern`,
  `registration` (`10-byte`, or `22-byte` for the historic layout; `10-byte` if it is not there), `seds` (ids),
  `removed` (ids of those that the SSS no longer accepts, CRT-8);
- `ca.der`, `ca.key.der`: the provisioning CA certificate, which is the SSS's own (CRT-6), and its key;
- `sed-ID.der`, `sed-ID.key.der`, `sed-ID.seed`: certificate, key and 48 bytes of boot seed of each SED.

Certificates are DER, keys SEC 1 DER, or PKCS #1 if they are RSA keys.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from reference.authority import (
    Authority,
    PrivateKey,
    derive,
    key_der,
    load_key,
    new_key,
    new_rsa_key,
    remembered_rsa_key,
)
from reference.credentials import Credentials, CredentialsError, check, look
from reference.dialect import LAYOUTS, RSA_SUITES, Dialect, layout_name
from reference.dtls import AES_256, SUITES
from reference.image import LOWEST_SED, SEED_SIZE, Image

VERSION = 1
_SUITES = (*SUITES, *RSA_SUITES)
_KNOWN = ", ".join(f"{suite:#06x}" for suite in _SUITES)
SSS_CN = "1"
_LONGEST_CN = 64
"""Characters (RFC 5280, appendix A.1: ub-common-name)."""
VALID_FROM, VALID_TO = datetime(2021, 1, 1, tzinfo=UTC), datetime(2051, 1, 1, tzinfo=UTC)
"""Provisioning certificates outlive the devices; they are revoked by removal (CRT-8)."""


class DeploymentError(Exception):
    """A deployment that cannot be made, saved or loaded; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Sed:
    """What is baked into one SED: certificate (DER), key (SEC 1 DER) and boot seed (48 bytes)."""

    certificate: bytes
    key: bytes = field(repr=False)
    boot_seed: bytes = field(repr=False)


@dataclass(slots=True)
class Deployment:
    """The provisioning authority and its SEDs."""

    authority: Authority
    seds: dict[int, Sed]
    suite: int = AES_256
    cn_pattern: str = "{id}"
    """How a provisioning CN is made from a SED's id (CRT-7)."""
    removed: set[int] = field(default_factory=set)
    wide_response: bool = False
    """Registration responses in the historic layout (protocol page, section 6)."""
    _make_rsa: Callable[[bytes], PrivateKey] = field(default=new_rsa_key, repr=False)

    @classmethod
    def create(
        cls,
        ids: Iterable[int],
        *,
        seed: bytes | None = None,
        suite: int = AES_256,
        cn_pattern: str = "{id}",
        wide_response: bool = False,
    ) -> Deployment:
        """Make keys and certificates for SEDs with these ids (3..65535).

        The same `seed` gives the same deployment, byte for byte: for tests only. Without one, the operating system's
        randomness is used. Raises DeploymentError.
        """
        ids = sorted(set(ids))
        if any(not LOWEST_SED <= i <= 0xFFFF for i in ids):
            raise DeploymentError(f"SED ids are {LOWEST_SED}..65535, not {ids}: choose others")
        if suite not in _SUITES:
            raise DeploymentError(f"suite {suite:#06x} is none of {_KNOWN}: choose one of them")
        check_pattern(cn_pattern)
        secret = secrets.token_bytes(32) if seed is None else seed
        make_rsa = new_rsa_key if seed is None else remembered_rsa_key
        ca_secret = derive(secret, "provisioning ca")
        key = make_rsa(ca_secret) if suite in RSA_SUITES else new_key(ca_secret)
        authority = Authority.create(SSS_CN, "SCEWL provisioning", key, VALID_FROM, VALID_TO)
        deployment = cls(authority, {}, suite, cn_pattern, wide_response=wide_response, _make_rsa=make_rsa)
        for sed_id in ids:
            made = deployment.issue(cn_pattern.format(id=sed_id), derive(secret, "sed", sed_id), serial=sed_id)
            boot = derive(secret, "boot", sed_id, 0) + derive(secret, "boot", sed_id, 1)
            deployment.seds[sed_id] = Sed(made.certificate, bytes(made.key), boot[:SEED_SIZE])
        return deployment

    @property
    def dialect(self) -> Dialect:
        """What it has settled, for every node of it."""
        return Dialect(self.suite, self.cn_pattern, self.wide_response)

    def settings(self) -> dict[str, str]:
        """The same in words, as `deployment.json` and the service's status have it."""
        return {
            "suite": f"0x{self.suite:04X}",
            "cn_pattern": self.cn_pattern,
            "registration": layout_name(self.wide_response),
        }

    @property
    def rsa(self) -> bool:
        """Whether its keys are RSA keys: those of the historic key exchange."""
        return self.suite in RSA_SUITES

    def new_key(self, secret: bytes) -> PrivateKey:
        """The key of the deployment's kind that follows from a secret."""
        return self._make_rsa(secret) if self.rsa else new_key(secret)

    def issue(self, cn: str, secret: bytes, *, serial: int = 1) -> Credentials:
        """A provisioning credential set in any name, its key following from `secret`: for tests."""
        key = self.new_key(secret)
        certificate = self.authority.issue(cn, key.public_key(), serial, VALID_FROM, VALID_TO)
        return Credentials(self.authority.certificate, certificate, bytearray(key_der(key)))

    def credentials(self, sed_id: int) -> Credentials:
        """A copy of the provisioning set of a SED. Raises DeploymentError if there is no such SED."""
        sed = self._sed(sed_id)
        return Credentials(self.authority.certificate, sed.certificate, bytearray(sed.key))

    def sss_credentials(self) -> Credentials:
        """The SSS's own set: the CA certificate twice, and the CA's key (CRT-6)."""
        ca = self.authority.certificate
        return Credentials(ca, ca, bytearray(key_der(self.authority.key)))

    def public_key(self, sed_id: int) -> bytes | None:
        """The SubjectPublicKeyInfo, DER, that the SSS expects of a SED; None if it accepts no such SED (CRT-8)."""
        if sed_id not in self.seds or sed_id in self.removed:
            return None
        shown = look(self.seds[sed_id].certificate)
        return shown.public_key if shown else None

    def image(self, sed_id: int, boot_seed: bytes | None = None) -> bytes:
        """The provisioning image of a SED; `boot_seed` (48 bytes) replaces the stored one at a power-up (ADV-3)."""
        seed = self._sed(sed_id).boot_seed if boot_seed is None else boot_seed
        if len(seed) != SEED_SIZE:
            raise DeploymentError(f"a boot seed has {SEED_SIZE} bytes, not {len(seed)}")
        return Image(sed_id, self.suite, self.credentials(sed_id), seed).encode()

    def remove(self, sed_id: int) -> None:
        """Make the SSS refuse a SED from now on (CRT-8). Call `save_index` to make it last."""
        self._sed(sed_id)
        self.removed.add(sed_id)

    # --- the folder --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write everything into a new folder.

        Raises DeploymentError if it exists or cannot be made, and OSError if it cannot be filled. Whatever keeps it
        from being whole, an interruption too, none is left: half of it would hold keys and be in the way.
        """
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError as error:
            raise DeploymentError(f"{folder} exists already: remove it or choose another folder") from error
        except OSError as error:
            raise DeploymentError(f"{folder} cannot be made: {error.strerror}") from error
        try:
            self._fill(folder)
        except BaseException:
            shutil.rmtree(folder)
            raise

    def _fill(self, folder: Path) -> None:
        _write(folder / "ca.der", self.authority.certificate)
        _write(folder / "ca.key.der", key_der(self.authority.key))
        for sed_id, sed in self.seds.items():
            _write(folder / f"sed-{sed_id}.der", sed.certificate)
            _write(folder / f"sed-{sed_id}.key.der", sed.key)
            _write(folder / f"sed-{sed_id}.seed", sed.boot_seed)
        self.save_index(folder)

    def save_index(self, folder: Path) -> None:
        """Write `deployment.json` anew, as after `remove`."""
        index = {
            "version": VERSION,
            **self.settings(),
            "seds": sorted(self.seds),
            "removed": sorted(self.removed),
        }
        draft = folder / "deployment.json.new"
        draft.unlink(missing_ok=True)
        _write(draft, (json.dumps(index, indent=1) + "\n").encode())
        draft.replace(folder / "deployment.json")

    @classmethod
    def load(cls, folder: Path) -> Deployment:
        """Read a folder that `save` wrote. Raises DeploymentError naming the file that is missing or wrong."""
        dialect, ids, removed = read_index(folder)
        suite, pattern, wide_response = dialect.of_deployment
        authority = Authority(_read(folder / "ca.der"), _read_key(folder / "ca.key.der"))
        deployment = cls(authority, {}, suite, pattern, removed, wide_response)
        deployment._check(folder, "ca", deployment.sss_credentials(), SSS_CN)
        for i in ids:
            files = [_read(folder / f"sed-{i}{suffix}") for suffix in (".der", ".key.der", ".seed")]
            deployment.seds[i] = Sed(*files)
            if len(files[2]) != SEED_SIZE:
                raise DeploymentError(
                    f"{folder / f'sed-{i}.seed'} has {len(files[2])} bytes, not {SEED_SIZE}: restore it"
                )
            deployment._check(folder, f"sed-{i}", deployment.credentials(i), pattern.format(id=i))
        return deployment

    def _check(self, folder: Path, stem: str, credentials: Credentials, cn: str) -> None:
        try:
            check(credentials, cn, is_rsa=self.rsa)
        except CredentialsError as error:
            suffix = ".key.der" if error.part == "key" else ".der"
            raise DeploymentError(f"{folder / (stem + suffix)} is unusable ({error}): restore it") from error

    def _sed(self, sed_id: int) -> Sed:
        if sed_id not in self.seds:
            raise DeploymentError(f"SED {sed_id} is not in this deployment, which has {sorted(self.seds)}")
        return self.seds[sed_id]


def read_index(folder: Path) -> tuple[Dialect, list[int], set[int]]:
    """What `deployment.json` in a deployment's folder says: the settings, the SEDs, those that were removed.

    Raises DeploymentError.
    """
    if not folder.is_dir():
        raise DeploymentError(f"there is no folder {folder}: `scewl provision {folder} --ids 10,11` makes one")
    path = folder / "deployment.json"
    text = _read(path)
    try:
        index = json.loads(text)
        if index["version"] != VERSION:
            raise ValueError(f"version {index['version']!r} is not {VERSION}")
        suite, pattern = int(index["suite"], 16), str(index["cn_pattern"])
        layout = index.get("registration", layout_name(False))
        ids, removed = [int(i) for i in index["seds"]], {int(i) for i in index["removed"]}
        if suite not in _SUITES:
            raise ValueError(f"suite {suite:#06x} is none of {_KNOWN}")
        if layout not in LAYOUTS:
            raise ValueError(f"registration {layout!r} is none of {', '.join(LAYOUTS)}")
        check_pattern(pattern)
    except (ValueError, TypeError, KeyError, DeploymentError) as error:
        raise DeploymentError(f"{path} is not a deployment's index ({error!r}): restore it") from error
    return Dialect(suite, pattern, LAYOUTS[layout]), ids, removed


def check_pattern(pattern: str) -> None:
    """Raises DeploymentError if no names can be made of a pattern (CRT-7)."""
    if "{id}" not in pattern or "{" in pattern.replace("{id}", "") or "}" in pattern.replace("{id}", ""):
        raise DeploymentError(f"the CN pattern {pattern!r} must hold {{id}} and no other braces")
    longest = pattern.format(id=0xFFFF)
    if len(longest) > _LONGEST_CN or not longest.isprintable():
        raise DeploymentError(
            f"the CN pattern {pattern!r} must make names of at most {_LONGEST_CN} printable characters (RFC 5280)"
        )


def _write(path: Path, data: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        error.filename = str(path)  # that of a write, as to a disk that is full, has none
        raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeploymentError(f"{path} cannot be read ({error.strerror}): restore it") from error


def _read_key(path: Path) -> PrivateKey:
    try:
        return load_key(_read(path))
    except ValueError as error:
        raise DeploymentError(f"{path} holds no usable key ({error}): restore it") from error
