"""`scewl provision`: make a deployment, and the images that make one ELF any of its SEDs."""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path
from typing import Any

from conformance.cli.shared import EXIT_PASS, UsageError, common_options
from conformance.files import write_private
from model.alphabet import HIGHEST_ID, LOWEST_SED_ID
from reference.deployment import Deployment, DeploymentError
from reference.dialect import LAYOUTS, SUITE_NAMES, layout_name, suite_name
from reference.image import SEED_SIZE

_MOST = 1_000
"""SEDs that one call makes; more is more likely a slip of the pen than a fleet."""

_EPILOG = """The folder holds private keys. It is made for its owner alone (0700), and so is each file in it (0600).

examples:
  scewl provision deployment --ids 10,11,12
      make a deployment of three SEDs and the images deployment/images/10.bin, 11.bin, 12.bin
  scewl provision deployment --image 10 --fresh-seed
      make the image of SED 10 again with a new boot seed, as each power-up wants it (ADV-3)
  scewl provision deployment --image 10 -o 10.bin
  scewl provision deployment --show
  scewl provision historic --ids 10-25 --suite rsa-aes256 --cn-pattern '{id}_PROVISION' --registration 22-byte
      a deployment for devices of the system of 2021; `scewl sss` serves them as this says

The image is loaded at 0x0003f000 beside the ELF:
  qemu-system-arm -M lm3s6965evb -kernel controller.elf -device loader,file=10.bin,addr=0x3f000"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "provision",
        help="make a deployment's keys, certificates and images",
        description="Make a deployment, or images of an existing one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the deployment's folder")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--ids", metavar="IDS", help="make a new deployment of these SEDs, such as 10,11 or 10-19")
    action.add_argument(
        "--image", type=int, action="append", metavar="ID", help="make the image of this SED (repeatable)"
    )
    action.add_argument("--show", action="store_true", help="show what the deployment is, without its secrets")
    parser.add_argument(
        "--suite", choices=SUITE_NAMES, help="with --ids: the cipher suite; with rsa-, RSA keys (default: aes256)"
    )
    parser.add_argument(
        "--cn-pattern",
        metavar="PATTERN",
        help="with --ids: the certificates' common names (default: {id}; 2021: {id}_PROVISION)",
    )
    parser.add_argument(
        "--registration",
        choices=LAYOUTS,
        help="with --ids: the header of the SSS's responses (default: 10-byte; the last build of 2021: 22-byte)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="with one --image: where it goes")
    parser.add_argument(
        "--fresh-seed", action="store_true", help="with --image: a new boot seed instead of the stored one"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError."""
    if args.ids is None and (args.suite, args.cn_pattern, args.registration) != (None, None, None):
        raise UsageError(
            "--suite, --cn-pattern and --registration go with --ids: they are settled when a deployment is made"
        )
    if not args.image and (args.output or args.fresh_seed):
        raise UsageError("-o and --fresh-seed go with --image")
    try:
        deployment = Deployment.load(args.folder) if args.ids is None else _create(args)
        images = [] if args.show else _write_images(deployment, args)
    except DeploymentError as error:
        raise UsageError(str(error)) from error
    shown = _describe(deployment, args.folder)
    if args.json:
        print(json.dumps(shown | {"images": [str(path) for path in images]}, indent=1))
    else:
        _print(shown, images)
    return EXIT_PASS


def parse_ids(text: str) -> list[int]:
    """The ids of `10,11,20-29`, in order. Raises UsageError for what is no id of a SED or is there twice."""
    ids: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
            raise UsageError(f"--ids {text}: {part!r} is neither an id nor a range such as 10-19")
        low, high = int(first), int(last or first)
        if not LOWEST_SED_ID <= low <= high <= HIGHEST_ID:
            raise UsageError(f"--ids {text}: a SED's id is {LOWEST_SED_ID} to {HIGHEST_ID}, a range goes upwards")
        if len(ids) + high - low >= _MOST:
            raise UsageError(f"--ids {text}: more than {_MOST} SEDs at a time")
        ids += range(low, high + 1)
    if len(set(ids)) < len(ids):
        raise UsageError(f"--ids {text}: an id is there twice")
    return ids


def _create(args: argparse.Namespace) -> Deployment:
    ids = parse_ids(args.ids)
    deployment = Deployment.create(
        ids,
        suite=SUITE_NAMES[args.suite or "aes256"],
        cn_pattern="{id}" if args.cn_pattern is None else args.cn_pattern,
        wide_response=LAYOUTS[args.registration or layout_name(False)],
    )
    deployment.save(args.folder)
    return deployment


def _write_images(deployment: Deployment, args: argparse.Namespace) -> list[Path]:
    """Write the images that were asked for, or all; returns their paths."""
    wanted = list(dict.fromkeys(args.image or deployment.seds))
    if args.output is not None and len(wanted) > 1:
        raise UsageError("-o names one file: give one --image")
    # All of them first, so that an id that does not exist leaves nothing half done.
    images = [deployment.image(sed, secrets.token_bytes(SEED_SIZE) if args.fresh_seed else None) for sed in wanted]
    if args.output is not None:
        paths = [args.output]
    else:
        (args.folder / "images").mkdir(mode=0o700, exist_ok=True)
        paths = [args.folder / "images" / f"{sed}.bin" for sed in wanted]
    for path, image in zip(paths, images, strict=True):
        write_private(path, image)
    return paths


def _describe(deployment: Deployment, folder: Path) -> dict[str, Any]:
    """What may be shown of a deployment: no key, no seed."""
    return {
        "folder": str(folder),
        "suite": suite_name(deployment.suite),
        "cn_pattern": deployment.cn_pattern,
        "registration": layout_name(deployment.wide_response),
        "seds": sorted(deployment.seds),
        "removed": sorted(deployment.removed),
    }


def _print(shown: dict[str, Any], images: list[Path]) -> None:
    seds, removed = (", ".join(map(str, shown[name])) or "none" for name in ("seds", "removed"))
    print(f"deployment  {shown['folder']}")
    print(f"suite       {shown['suite']}")
    print(f"names       {shown['cn_pattern']}")
    print(f"responses   {shown['registration']}")
    print(f"SEDs        {seds}")
    if shown["removed"]:
        print(f"removed     {removed}")
    for path in images:
        print(f"image       {path}")
