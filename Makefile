# Two front doors, `make demo` and `make check`; everything else is Meson's.

BUILD ?= build
MESON ?= meson
PYTHON = /usr/bin/python3
RELEASE = $(BUILD)/release

.PHONY: all help deps build demo check bench manual install clean

all: build

help:
	@echo 'make demo     run three real services under draind, load them, drain them, and say what happened'
	@echo 'make check    build in every way that is tested, and run every test'
	@echo 'make build    build into $(RELEASE)'
	@echo 'make bench    measure against a bare loop that only spawns, signals and waits'
	@echo 'make manual   put the tables of states that the program runs by into draind-design(7)'
	@echo 'make install  install from $(RELEASE); DESTDIR= is heeded'
	@echo 'make clean    remove $(BUILD)'
	@echo 'All but the last two install what debian/control names when it is missing (as root).'

deps:
	@.ci/deps

$(RELEASE)/build.ninja: | deps
	@$(MESON) setup $(RELEASE) --prefix=/usr --buildtype=release >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

build: deps $(RELEASE)/build.ninja
	@$(MESON) compile -C $(RELEASE)

demo: deps $(RELEASE)/build.ninja
	@$(MESON) compile -C $(RELEASE) >$(RELEASE)/compile.log 2>&1 || { cat $(RELEASE)/compile.log; exit 1; }
	@units/examples/demo/run $(RELEASE)

check: deps
	@$(PYTHON) tests/lib/check $(BUILD)

bench: build
	@tests/bench/run $(RELEASE)

# The tables in draind-design(7), from the program.
manual: build
	@$(PYTHON) man/update-tables $(RELEASE)/daemon/draind-core man/draind-design.7

install:
	$(MESON) install -C $(RELEASE) --no-rebuild

clean:
	rm -rf $(BUILD)
