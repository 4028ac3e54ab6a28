# A thin face over Meson: what a newcomer types. `make help` lists it.
#
# On a fresh Debian machine git, make and root (or sudo) are enough: what is missing is installed by tools/install-deps.
# BUILD, PREFIX, DESTDIR, CC and CFLAGS may be given; MESON_ARGS goes to `meson setup`.

BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SEEDS ?= 1-20000
SOAK_SECONDS ?= 3600
FAULTS ?= each
LOAD ?= both

.DEFAULT_GOAL := keyferry
.PHONY: keyferry deps check check-long lint tidy demo bench soak fuzz format install deb check-packages clean help

## keyferry       builds build/keyferry (default)
keyferry: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@ln -sfn src/cmd/keyferry $(BUILD)/keyferry

# Only a new build folder asks for packages: `make` in an old one must not depend on dpkg. Unit tests are built where they are run, by `make check`.
$(BUILD)/build.ninja:
	@tools/install-deps build
	meson setup $(BUILD) --prefix $(PREFIX) -Dtests=false $(MESON_ARGS)

## deps           installs every Debian package that building and all tests need
deps:
	@tools/install-deps all

## check          all tests of a normal run; ends with the line "N passed, N failed"
check:
	@tools/install-deps all
	@tools/check

## check-long     what is left out of it for its length: all scenario tests under ASan and UBSan, the daemon's under TSan
check-long:
	@tools/install-deps all
	@tools/check all-sanitized threads

## lint           the fast part of it: include directions, leftovers, scripts, links
lint:
	@tools/install-deps all
	@tools/check lint

## demo           two clusters on loopback, a writer, keyferry's daemon and its console between them; ONCE=1 ends after the comparison
demo: demo-deps keyferry
	@tools/demo $(if $(filter-out 0,$(ONCE)),--once)

## bench          keyferry against native replication, on the same data; then checkpoint: target against local
bench: demo-deps keyferry
	@tools/bench
	@tools/bench-marks

.PHONY: demo-deps
demo-deps:
	@tools/install-deps demo

## soak           the simulator over SEEDS (1-20000), at most SOAK_SECONDS; FAULTS=profile and LOAD=safe|all narrow it; then CHAOS_FAULTS (200) on real servers, and the daemon: killed 50 times, 20 tasks, its API under fuzz
soak:
	@tools/install-deps all
	@tools/soak "$(SEEDS)" "$(SOAK_SECONDS)" "$(FAULTS)" "$(LOAD)" "$(CHAOS_FAULTS)" "$(CHAOS_SEED)"

## fuzz           looks for new inputs with libFuzzer, FUZZ_SECONDS each; NOUN=url takes one harness
fuzz:
	@tools/install-deps all
	@tools/fuzz $(FUZZ_SECONDS) $(NOUN)

## tidy           clang-tidy over all of src/
tidy:
	@tools/install-deps all
	@tools/check tidy

## format         lays out all C files as .clang-format says
format:
	@tools/install-deps all
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

## install        into PREFIX (/usr/local), below DESTDIR when that is given
install: keyferry
	meson configure $(BUILD) -Dprefix=$(PREFIX)
	DESTDIR="$(DESTDIR)" meson install -C $(BUILD)

## deb            the Debian package, build-deb/keyferry_VERSION_ARCHITECTURE.deb
deb:
	@tools/install-deps deb
	@tools/build-deb

## check-packages what is installed, and the package: lintian, built twice the same, installed, upgraded and removed in chroots, built on the next Debian; the image
check-packages: keyferry
	@tools/install-deps packages
	@tools/check packages chroots

## clean          removes everything that was built
clean:
	rm -rf $(BUILD) build-check build-deb build-fuzz build-soak

## help           this list
help:
	@sed -n 's/^## /  make /p' $(firstword $(MAKEFILE_LIST))
