# Every target works from any state of the checkout. Paths are relative: a checkout's own path may hold spaces.
.DEFAULT_GOAL := help
.PHONY: help check conform conform-host steady real-time transitions host test fuzz fuzz-firmware refine soak mutants \
        month firmware firmware-check firmware-report setup setup-check setup-test lock clean
.DELETE_ON_ERROR:

BUILD := build
# An unpacked Mbed TLS 3.6 to use instead of Debian's; firmware/fetch-mbedtls.sh checks it.
MBEDTLS_DIR ?=
ifneq ($(MBEDTLS_DIR),)
export MBEDTLS_DIR
endif
IN_FIRMWARE = $(MAKE) --no-print-directory -j "$$(nproc)" -C firmware BUILD=../$(BUILD)/firmware \
              MBEDTLS_DIR="$(if $(MBEDTLS_DIR),$(abspath $(MBEDTLS_DIR)),../$(BUILD)/mbedtls)"
# Further options for `scewl conform` or `scewl check`, for example ARGS=--json
ARGS ?=
# For `make fuzz`: how many cases, and which; every day has others, and a finding says how to make it again.
FUZZ ?= 1000000
FUZZ_SEED ?= $(shell date -u +%Y%m%d)

# tox makes its environments from what setup fetched, without a network and without a home directory.
TOX_ENV = UV_NO_INDEX=1 UV_FIND_LINKS="$$PWD/$(BUILD)/wheels" UV_CACHE_DIR="$$PWD/$(BUILD)/uv-cache" \
          UV_PYTHON_DOWNLOADS=never UV_OFFLINE=1

help:
	@echo "make conform         run the quick suite against our firmware in QEMU; report: reports/out/; all: ARGS='--suite full'"
	@echo "make conform-host    the same suite against the same C on this machine, under ASan and UBSan (host: only build it)"
	@echo "make steady          the suite twice with all cores busy: is each byte the same? (minutes)"
	@echo "make real-time       some cases once more with the clock on the wall: does virtual time hide anything?"
	@echo "make transitions     every transition of the model's controller, on that build; report: reports/transitions.md"
	@echo "make check           check the model: every state, every property; report: reports/out/check/"
	@echo "make test            everything: linters, static checks of the firmware, all tests (tox)"
	@echo "make fuzz            a million damaged captures through everything that reads captures; findings: reports/out/fuzz/"
	@echo "make fuzz-firmware   a million frames through the firmware's C, coverage-guided; findings: reports/out/fuzz-firmware/"
	@echo "make refine          the references in a world that Hypothesis stirs: each step is one of the model's; new each time (minutes)"
	@echo "make mutants         wrong firmwares, written and automatic, and which case catches each; report: reports/mutants.md"
	@echo "make soak            ten thousand sessions in one QEMU: does anything grow? figures: reports/soak.json"
	@echo "make month           a month of a watched lab in virtual time: does anything drift or grow? figures: reports/month.json"
	@echo "make firmware        build $(BUILD)/firmware/controller.elf"
	@echo "make firmware-check  the format and the static checks of its sources; the format of all other C"
	@echo "make firmware-report flash, SRAM, instructions and times: reports/firmware.md, reports/firmware.csv (minutes)"
	@echo "make setup           only install what make conform needs (packages, .venv)"
	@echo "make lock            write requirements/*.txt anew from pyproject.toml"
	@echo "make clean           remove everything that was made, .venv included"
	@echo
	@echo "Settings: MBEDTLS_DIR=<Mbed TLS 3.6>  DEBIAN_MIRROR=<URI>  ARGS=<options for scewl>  FUZZ=<cases>  REFINE=<examples>"

setup:
	@.ci/setup.sh run

setup-check:
	@.ci/setup.sh check

setup-test:
	@.ci/setup.sh test

firmware: setup
	@firmware/fetch-mbedtls.sh $(BUILD)/mbedtls
	@$(IN_FIRMWARE)
	@.venv/bin/python benchmarks/memory.py --if-newer-than $(BUILD)/firmware/memory.txt

# Ours that runs on this machine, too; what a page generates or a library brings is not here.
HOST_C = $(wildcard model/explore/*.[ch] conformance/targets/*.c benchmarks/*.c tests/*/*/*.[ch])

firmware-check: setup-test
	@firmware/fetch-mbedtls.sh $(BUILD)/mbedtls
	clang-format --dry-run -Werror $(HOST_C)
	@$(IN_FIRMWARE) check

# All figures of the firmware anew; some minutes. BESIDE names an earlier ELF to take wall times beside.
BESIDE ?=
firmware-report: firmware
	@.venv/bin/python benchmarks/memory.py --all --output reports/memory.json
	@.venv/bin/python benchmarks/instructions.py --output reports/instructions.json
	@.venv/bin/python benchmarks/settings.py --output reports/settings.json
	@.venv/bin/python benchmarks/unicast.py --output reports/unicast.json $(if $(BESIDE),--beside "$(BESIDE)")
	@.venv/bin/python benchmarks/firmware.py

conform: firmware
	@.venv/bin/scewl conform --suite quick --firmware $(BUILD)/firmware/controller.elf -j "$$(nproc)" $(ARGS)

steady: firmware
	@.venv/bin/python benchmarks/steadiness.py --firmware $(BUILD)/firmware/controller.elf $(ARGS)

# Its cases wait more than they compute.
real-time: firmware
	@.venv/bin/scewl conform --real-time --firmware $(BUILD)/firmware/controller.elf --out reports/out/real-time -j 8 $(ARGS)

host: setup
	@firmware/fetch-mbedtls.sh $(BUILD)/mbedtls
	@$(IN_FIRMWARE) HOST_BUILD=../$(BUILD)/host host

conform-host: host
	@.venv/bin/scewl conform --target native --firmware $(BUILD)/host/controller --out reports/out/conform-host -j "$$(nproc)" $(ARGS)

transitions: host
	@.venv/bin/python -m conformance.transitions $(BUILD)/host/controller --report reports/transitions.md

check: setup-check
	@.venv/bin/scewl check $(ARGS)

test: setup-test
	@$(TOX_ENV) .venv/bin/tox run

fuzz: setup
	@.venv/bin/python tests/fuzz/fuzz_run.py --count "$(FUZZ)" --seed "$(FUZZ_SEED)" $(ARGS)

fuzz-firmware: setup-test firmware
	@.venv/bin/python tests/fuzz/fuzz_firmware.py --frames "$(FUZZ)" --seed "$(FUZZ_SEED)" --coverage $(ARGS)
	@SCEWL_HOSTILE_SEEDS=200 .venv/bin/python -m pytest -q -n "$$(nproc)" tests/firmware/test_hostile_input.py

# Examples of `make refine`, of up to 50 steps each. What it finds ends with the shrunk steps.
REFINE ?= 1000
refine: setup-test
	@SCEWL_REFINE="$(REFINE)" .venv/bin/python -m pytest -q -n "$$(nproc)" \
	    tests/conformance/watching/test_refinement.py tests/conformance/watching/test_wrong_controllers.py

soak: firmware
	@.venv/bin/python benchmarks/soak.py --output reports/soak.json $(ARGS)

month: firmware
	@.venv/bin/python benchmarks/month.py --output reports/month.json $(ARGS)

LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
       --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
       pyproject.toml requirements/build.in

# The written ones against every case, six of them in QEMU as well, and a sample of the automatic ones; an hour of two cores.
MUTANTS ?= 200
mutants: setup-test firmware
	@.venv/bin/python -m conformance.mutation --automatic "$(MUTANTS)" --qemu 6 --report reports/mutants $(ARGS)

# Without what it asks for: requirements/mutants.in says why.
LOCK_MUTATOR = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --no-deps \
               --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
               requirements/mutants.in --output-file requirements/mutants.txt

lock: setup-test
	@$(LOCK) --output-file requirements/run.txt
	@$(LOCK_MUTATOR)
	@$(LOCK) --constraint requirements/run.txt --extra test --extra cluster --extra lint --extra dev --output-file requirements/test.txt

clean:
	rm -rf -- $(BUILD) .venv .tox reports/out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
