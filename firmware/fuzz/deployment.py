"""Write the keys and certificates of the fuzzed controller and its peers as a C header: `deployment.py FILE`.

They follow from a fixed seed, so that an input does the same on every machine. Nothing of them protects anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

from model.alphabet import SSS_ID
from reference.authority import Authority, derive, key_der, new_key
from reference.credentials import Credentials
from reference.deployment import VALID_FROM, VALID_TO, Deployment
from reference.registration import REGISTER, Response

LOW, ME, HIGH, STRANGER = 4, 10, 11, 12
SEED = b"firmware/fuzz"


def array(name: str, data: bytes) -> str:
    """A C array."""
    return f"static const unsigned char {name}[] = {{{','.join(map(str, data))}}};\n"


def main() -> None:
    """Write the header."""
    deployment = Deployment.create((LOW, ME, HIGH), seed=SEED)
    foreign = Deployment.create((STRANGER,), seed=SEED + b"/foreign")
    runtime = Authority.create("1", "SCEWL runtime", new_key(derive(SEED, "runtime")), VALID_FROM, VALID_TO)

    def issued(sed: int) -> Credentials:
        key = new_key(derive(SEED, "runtime", sed))
        certificate = runtime.issue(str(sed), key.public_key(), sed, VALID_FROM, VALID_TO)
        return Credentials(runtime.certificate, certificate, bytearray(key_der(key)))

    mine = issued(ME)
    response = Response(ME, REGISTER, mine.ca, mine.certificate, bytes(mine.key))
    text = "/* Made by deployment.py. */\n#include <stddef.h>\n"
    text += f"#define DEPLOYMENT_ME {ME}\n#define DEPLOYMENT_HIGH {HIGH}\n#define DEPLOYMENT_LOW {LOW}\n"
    text += f"#define DEPLOYMENT_STRANGER {STRANGER}\n"
    text += "#ifdef DEPLOYMENT_PEERS\nstruct deployment_set {\n"
    text += "".join(f"const unsigned char *{part}; size_t {part}_length;\n" for part in ("ca", "certificate", "key"))
    text += "};\n#endif\n"
    text += "#ifdef DEPLOYMENT_CONTROLLER\n"
    text += array("deployment_image", deployment.image(ME)) + array("deployment_response", response.encode())
    text += "#endif\n#ifdef DEPLOYMENT_PEERS\n"
    rows = []
    for who in (HIGH, LOW, STRANGER, SSS_ID):
        row = []
        for late in (False, True):
            if who == SSS_ID:
                made = deployment.sss_credentials()
            elif who == STRANGER:
                made = foreign.credentials(who)
            else:
                made = issued(who) if late else deployment.credentials(who)
            name = f"deployment_{who}_{int(late)}"
            parts = {"ca": made.ca, "certificate": made.certificate, "key": bytes(made.key)}
            text += "".join(array(f"{name}_{part}", data) for part, data in parts.items())
            row.append("{" + ", ".join(f"{name}_{part}, sizeof {name}_{part}" for part in parts) + "}")
        rows.append("{" + ", ".join(row) + "}")
    text += "static const struct deployment_set deployment_sets[][2] = {" + ",\n".join(rows) + "};\n#endif\n"
    Path(sys.argv[1]).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
