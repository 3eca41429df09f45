#!/usr/bin/env bash
# Make this checkout ready to run: the Debian or Ubuntu packages that are missing, and .venv from a lock file.
#
#   .ci/setup.sh [run|check|test]   run (default): what `make conform` needs; check: what `make check` needs besides;
#                                   test: what `make test` needs besides both
#
# Installs system packages only if a tool is really missing, as root or with sudo. Python packages come through pip,
# so pip's own settings (an index, a proxy, certificates) count; every one is checked against the lock's hashes.
# Nothing to do: a tenth of a second. Logs: build/setup/*.log.
#
# Exit status: 0 ready; 1 not ready, and stderr says what is missing; 2 usage.
set -euo pipefail

cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
readonly LOGS=build/setup
readonly WHEELS=build/wheels
readonly MUTATOR=build/mutator
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}

# Run a command into the log $1; on failure show the log's end. Returns the command's status.
logged() {
    local log=$LOGS/$1.log status=0
    shift
    "$@" >"$log" 2>&1 || status=$?
    if [[ $status -ne 0 ]]; then
        tail -n 15 "$log" >&2
        say "the whole log: $log"
    fi
    return "$status"
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- Python ---------------------------------------------------------------------------------------------------------

# Print the first interpreter that is 3.11 or 3.12 and can make a virtual environment.
find_python() {
    local candidate root
    root=${PYENV_ROOT:-${HOME:-/nonexistent}/.pyenv}
    for candidate in python3.11 python3.12 python3 python /usr/bin/python3 "$root"/versions/3.1[12].*/bin/python3; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# --- system packages ------------------------------------------------------------------------------------------------

have_arm_libc() { [[ $(arm-none-eabi-gcc -print-file-name=nano.specs 2>/dev/null) == /* ]]; }

have_host_libc() { echo '#include <stdio.h>' | gcc -fsyntax-only -xc - 2>/dev/null; }

# One test looks at the HTML report with it, and is skipped without it.
have_browser() { have chromium || have chromium-browser || have google-chrome; }

# A clang whose libFuzzer and sanitizers are there.
have_fuzzer() {
    local clang
    for clang in clang clang-{22..14}; do
        if have "$clang"; then
            [[ -f $("$clang" -print-file-name=libclang_rt.fuzzer-x86_64.a) ||
                -f $("$clang" -print-runtime-dir 2>/dev/null)/libclang_rt.fuzzer-x86_64.a ||
                -f $("$clang" -print-runtime-dir 2>/dev/null)/libclang_rt.fuzzer.a ]] && return 0
            return 1
        fi
    done
    return 1
}

# Print the packages that the stage $1 lacks.
missing_packages() {
    have qemu-system-arm || echo qemu-system-arm
    have arm-none-eabi-gcc || echo gcc-arm-none-eabi
    have_arm_libc || echo libnewlib-arm-none-eabi
    have gcc || echo gcc
    have_host_libc || echo libc6-dev
    have make || echo make
    if [[ -z ${MBEDTLS_DIR:-} && ! -d build/mbedtls ]]; then
        have bzip2 || echo bzip2
        [[ -f /usr/share/keyrings/debian-archive-keyring.gpg ]] || echo debian-archive-keyring
        if [[ -z ${DEBIAN_MIRROR:-} && $distribution == ubuntu ]] && ! have debootstrap; then
            echo debootstrap
        fi
    fi
    find_python >/dev/null || echo python3 python3-venv
    [[ $1 != run ]] || return 0
    have dot || echo graphviz
    have spin || echo spin
    [[ $1 == test ]] || return 0
    have clang-format || echo clang-format
    have clang-tidy || echo clang-tidy
    have cppcheck || echo cppcheck
    have_fuzzer || echo clang libclang-rt-dev
    have llvm-cov || have llvm-cov-14 || echo llvm
    have tshark || echo tshark
    have openssl || echo openssl
    have gnutls-cli || echo gnutls-bin
    have git || echo git
    # Ubuntu's own package is a snap, which a container cannot run.
    [[ $distribution == ubuntu ]] || have_browser || echo chromium
}

# Install the packages $@ with apt, as root or through sudo.
install_packages() {
    local -a apt=(env DEBIAN_FRONTEND=noninteractive)
    local name
    for name in http_proxy https_proxy no_proxy; do # sudo would drop them
        [[ -z ${!name:-} ]] || apt+=("$name=${!name}")
    done
    apt+=(apt-get -q -y -o DPkg::Lock::Timeout=300)
    have apt-get || die "missing: $*. This is not a Debian or Ubuntu system; install their equivalents by hand."
    if [[ $EUID -ne 0 ]]; then
        if have sudo && sudo -n true 2>/dev/null; then
            apt=(sudo -n "${apt[@]}")
        elif have sudo && [[ -t 0 ]]; then
            apt=(sudo "${apt[@]}")
        else
            die "missing packages, and no right to install them; run as root: apt-get install $*"
        fi
    fi
    say "installing packages: $*"
    # The first attempt fails where the package lists are absent or stale.
    if ! "${apt[@]}" install --no-install-recommends "$@" >"$LOGS/apt.log" 2>&1; then
        logged apt-update "${apt[@]}" update || say "apt-get update failed; trying all the same"
        logged apt "${apt[@]}" install --no-install-recommends "$@" || die "could not install: $*"
    fi
}

# --- the virtual environment ----------------------------------------------------------------------------------------

# What the environment was made from. A checkout that was moved needs a new one, as its scripts hold absolute paths.
fingerprint() {
    { cat "requirements/$1.txt" pyproject.toml .ci/setup.sh && pwd; } | sha256sum | cut -d ' ' -f 1
}

# tox needs the wheels themselves, so the stage `test` is also over when these are gone.
is_current() {
    local stamps=(".venv/setup-$1") stamp
    [[ $1 == run ]] || stamps+=("$WHEELS/complete")
    for stamp in "${stamps[@]}"; do
        [[ -f $stamp && $(<"$stamp") == "$(fingerprint "$1")" ]] || return 1
    done
    .venv/bin/python -c '' 2>/dev/null
}

# An environment of the right Python, whole, and made here: the scripts of one that was moved name its old place.
is_usable() {
    .venv/bin/python -c 'import sys, pip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null &&
        head -n 2 .venv/bin/pip | grep -qF "$PWD/.venv/bin/python"
}

make_venv() {
    local python
    if ! is_usable; then
        python=$(find_python) || die "Python 3.11 or 3.12 with its venv module is needed and was not found; install one."
        rm -rf .venv
        logged venv "$python" -m venv .venv || die "$python could not make .venv."
    fi
    say "installing Python packages (requirements/$1.txt)"
    # Downloaded once and kept: tox makes its environments from the same files, without a network.
    logged pip-download .venv/bin/python -m pip download --require-hashes --only-binary :all: \
        --dest "$WHEELS" --requirement "requirements/$1.txt" || die "pip could not fetch the packages."
    logged pip-install .venv/bin/python -m pip install --require-hashes --only-binary :all: \
        --no-index --find-links "$WHEELS" --requirement "requirements/$1.txt" || die "pip could not install the packages."
    logged pip-editable .venv/bin/python -m pip install --no-index --no-deps --no-build-isolation --editable . ||
        die "pip could not install the project itself."
    # The lock of `test` contains that of `run`.
    fingerprint run >.venv/setup-run
    if [[ $1 == test ]]; then
        fingerprint test | tee .venv/setup-test >"$WHEELS/complete"
    fi
}

# universalmutator, which makes wrong firmwares (`make mutants`), in a folder of its own: it asks for packages that it
# does not need here, and so it is installed without them.
install_mutator() {
    local want
    want=$(sha256sum <requirements/mutants.txt)
    [[ ! -f $MUTATOR/complete || $(<"$MUTATOR/complete") != "$want" ]] || return 0
    say "installing Python packages (requirements/mutants.txt)"
    rm -rf "$MUTATOR"
    logged pip-mutator .venv/bin/python -m pip install --no-deps --require-hashes --only-binary :all: \
        --target "$MUTATOR" --requirement requirements/mutants.txt || die "pip could not install universalmutator."
    printf '%s\n' "$want" >"$MUTATOR/complete"
}

main() {
    local stage=${1:-run} lock=run missing
    if [[ $# -gt 1 || ($stage != run && $stage != check && $stage != test) ]]; then
        echo "usage: .ci/setup.sh [run|check|test]" >&2
        exit 2
    fi
    mkdir -p "$LOGS" "$WHEELS"
    exec 9>"$LOGS/lock"
    flock 9
    distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown}" || echo unknown)
    missing=$(missing_packages "$stage" | tr '\n' ' ')
    if [[ -n $missing ]]; then
        # shellcheck disable=SC2086  # package names, meant to be split
        install_packages $missing
    fi
    [[ $stage != test ]] || lock=test
    is_current "$lock" || make_venv "$lock"
    [[ $stage != test ]] || install_mutator
    if [[ $stage == test ]] && ! have_browser; then
        say "no Chromium: the browser test of the report will be skipped; install google-chrome to run it"
    fi
}

main "$@"
