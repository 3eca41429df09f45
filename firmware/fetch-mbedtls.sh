#!/usr/bin/env bash
# Fetch the source of Mbed TLS into DEST, or check the tree that MBEDTLS_DIR names.
#
#   firmware/fetch-mbedtls.sh DEST
#
# The source is the upstream tarball in Debian's source package. apt fetches it through a configuration of
# its own (no root, nothing of the machine's state is touched), which verifies Debian's signature down to the
# tarball's hash; the pinned SHA-256 below is checked besides. Debian's patches are not applied: they concern
# GCC 14 and CMake. Why this way: docs/decisions/0001-mbedtls-from-debian-source.md.
#
# Environment:
#   MBEDTLS_DIR    an unpacked Mbed TLS 3.6 to use instead; it is checked, and nothing is fetched
#   DEBIAN_MIRROR  URI of a Debian mirror; default: the machine's own, or what debootstrap names
#
# Exit status: 0 DEST (or MBEDTLS_DIR) holds the source; 1 it does not, and stderr says why and what to do; 2 usage.
set -euo pipefail

readonly SUITE=trixie
readonly UPSTREAM=3.6.6
readonly TARBALL=mbedtls_${UPSTREAM}.orig.tar.bz2
readonly TARBALL_SHA256=8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
readonly STAMP=.fetched-sha256

die() {
    printf 'fetch-mbedtls: %s\n' "$@" >&2
    exit 1
}

check_given_tree() {
    local header=$MBEDTLS_DIR/include/mbedtls/build_info.h version
    [[ -f $header ]] || die "MBEDTLS_DIR=$MBEDTLS_DIR holds no Mbed TLS 3.x (no include/mbedtls/build_info.h)." \
        "Point it to an unpacked Mbed TLS 3.6, or unset it to fetch $UPSTREAM."
    version=$(sed -n 's/^#define MBEDTLS_VERSION_STRING  *"\(.*\)"/\1/p' "$header")
    [[ $version == 3.6.* ]] || die "MBEDTLS_DIR=$MBEDTLS_DIR is Mbed TLS ${version:-of unknown version}; the firmware needs 3.6." \
        "Point it to an unpacked Mbed TLS 3.6, or unset it to fetch $UPSTREAM."
    echo "fetch-mbedtls: using Mbed TLS $version in $MBEDTLS_DIR" >&2
}

# Debian mirrors worth trying, one per line, best first. No address is written down here: a mirror is the
# business of the machine, and a wrong one is harmless because the archive's signature is checked.
candidate_mirrors() {
    if [[ -n ${DEBIAN_MIRROR:-} ]]; then
        echo "$DEBIAN_MIRROR"
        return
    fi
    {
        # On Debian: where the machine's own packages come from. Ubuntu has no release of these names.
        apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null |
            awk '$1 ~ /^(bookworm|trixie|forky|sid|stable|testing|unstable)$/ && $2 == "main" { print $3 }'
        # Elsewhere: the mirror that debootstrap installs a Debian from.
        grep -rhoE 'https?://[A-Za-z0-9./-]+/debian\b' /usr/sbin/debootstrap /usr/share/debootstrap 2>/dev/null |
            grep -vF '//archive.' || true
    } | awk 'NF && !seen[$0]++'
}

# apt with a private state below $work. The file given by -c is read last, so it overrides the machine's settings
# but keeps what the network needs (proxy, certificates). Post-Invoke hooks would act on the machine's cache.
private_apt() {
    local tool=$1
    shift
    "$tool" -c "$work/apt.conf" "$@"
}

write_apt_conf() {
    mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
    : >"$work/status"
    cat >"$work/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb-src;
Acquire::IndexTargets::deb-src::Sources { MetaKey "\$(COMPONENT)/source/Sources"; ShortDescription "Sources"; Description "\$(RELEASE)/\$(COMPONENT) Sources"; Optional "false"; };
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Dir::State "$work/state";
Dir::State::lists "$work/state/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
CONF
}

# Fetch the tarball from the mirror $1 into $work/source. Fails, with apt's words in $work/log, if it is not there.
fetch_from() {
    local version
    echo "deb-src [signed-by=$KEYRING] $1 $SUITE main" >"$work/sources.list"
    private_apt apt-get update >>"$work/log" 2>&1 || return 1
    # Any Debian revision of this upstream version holds the same tarball.
    version=$(private_apt apt-cache showsrc mbedtls 2>>"$work/log" | sed -n "s/^Version: \($UPSTREAM-.*\)/\1/p" | tail -n 1)
    if [[ -z $version ]]; then
        echo "$1 has no mbedtls $UPSTREAM in $SUITE" >>"$work/log"
        return 1
    fi
    (cd "$work/source" && private_apt apt-get source --tar-only "mbedtls=$version" >>"$work/log" 2>&1)
}

unpack() {
    local fresh=$dest.part.$$
    [[ $(sha256sum <"$work/source/$TARBALL") == "$TARBALL_SHA256  -" ]] ||
        die "$TARBALL does not have the pinned SHA-256 $TARBALL_SHA256; nothing was unpacked."
    rm -rf -- "$dest".part.*
    mkdir -p -- "$fresh"
    tar -xjf "$work/source/$TARBALL" -C "$fresh" --strip-components=1 --no-same-owner
    echo "$TARBALL_SHA256" >"$fresh/$STAMP"
    # The rename comes last, so that an interrupted run leaves no DEST that looks whole.
    rm -rf -- "$dest"
    mv -T -- "$fresh" "$dest"
}

main() {
    if [[ $# -ne 1 || -z ${1:-} ]]; then
        echo "usage: firmware/fetch-mbedtls.sh DEST" >&2
        exit 2
    fi
    dest=${1%/}
    if [[ -n ${MBEDTLS_DIR:-} ]]; then
        check_given_tree
        return
    fi
    if [[ -f $dest/$STAMP && $(<"$dest/$STAMP") == "$TARBALL_SHA256" ]]; then
        return
    fi
    if [[ -e $dest && ! -f $dest/$STAMP && -n $(ls -A -- "$dest") ]]; then
        die "$dest exists and was not made by this script; move it away, or use it with MBEDTLS_DIR=$dest."
    fi
    local tool mirror
    for tool in apt-get apt-cache bzip2; do
        command -v "$tool" >/dev/null || die "$tool is missing; install it, or set MBEDTLS_DIR to an unpacked Mbed TLS 3.6."
    done
    [[ -f $KEYRING ]] || die "$KEYRING is missing; install the package debian-archive-keyring, or set MBEDTLS_DIR."

    mkdir -p -- "$(dirname -- "$dest")"
    # In /tmp and readable, because apt run by root downloads as the user _apt.
    work=$(mktemp -d /tmp/fetch-mbedtls.XXXXXX)
    trap 'rm -rf -- "$work"' EXIT
    chmod 755 "$work"
    mkdir "$work/source"
    if [[ $EUID -eq 0 ]] && id _apt >/dev/null 2>&1; then
        chown _apt "$work/source"
    fi
    write_apt_conf

    echo "fetch-mbedtls: fetching Mbed TLS $UPSTREAM (Debian $SUITE source package)" >&2
    while read -r mirror; do
        if fetch_from "$mirror"; then
            unpack
            echo "fetch-mbedtls: Mbed TLS $UPSTREAM is in $dest" >&2
            return
        fi
    done < <(candidate_mirrors)
    if [[ -s $work/log ]]; then
        tail -n 15 "$work/log" >&2
    else
        echo "fetch-mbedtls: no Debian mirror is known on this machine" >&2
    fi
    die "Mbed TLS $UPSTREAM could not be fetched." \
        "Set DEBIAN_MIRROR to the URI of a Debian mirror (on Ubuntu, install debootstrap and debian-archive-keyring)," \
        "or set MBEDTLS_DIR to an unpacked Mbed TLS 3.6."
}

main "$@"
