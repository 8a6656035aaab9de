# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of Nexus Block; "make help" lists them.  Every recipe is one
# script that can be run by itself.

KERNEL ?= 6.1
PREFIX ?= /usr/local
BUILD := $(CURDIR)/build

.PHONY: all
all: modules host ## build modules and host programs

.PHONY: run
run: ## install what is missing, build, and exchange real files with a guest
	@scripts/setup run
	@scripts/run

.PHONY: test
test: ## install what is missing, build, and run every test (T=NAME: that one)
	@scripts/setup test
	@scripts/build $(KERNEL)
	@scripts/modules uml >/dev/null
	@scripts/run-tests $(if $(T),"$(T)")

.PHONY: test-debug
test-debug: ## tier 2: what concerns the modules, on a kernel with KASAN, lockdep and more
	@scripts/setup test
	@scripts/test-debug debug $(if $(T),"$(T)")

.PHONY: test-kcsan
test-kcsan: ## some of it on a kernel that looks for data races
	@scripts/setup test
	@scripts/test-debug kcsan $(if $(T),"$(T)")

.PHONY: test-full
test-full: ## tier 3: the same so often that rare faults show, for hours (T=NAME: a part)
	@scripts/setup test
	@scripts/build $(KERNEL)
	@scripts/test-full $(if $(T),"$(T)")

.PHONY: soak
soak: ## verified writes under a random nemesis for MINUTES=10 (SEED=N: that very one)
	@scripts/setup test
	@scripts/build $(KERNEL)
	@scripts/soak $(MINUTES)

.PHONY: shell
shell: ## an interactive guest with /dev/nxblk0
	@scripts/setup run
	@scripts/cell --interactive --fio --tools fs -- sh

.PHONY: check
check: ## static checks of all sources, and of the rules against their tests
	@scripts/setup test
	@scripts/check

.PHONY: mutants
mutants: ## break the code rule by rule and see that the named tests notice
	@scripts/setup test
	@scripts/mutants $(if $(T),"$(T)")

.PHONY: bench
bench: ## nxblk0 beside virtio-blk in one guest: ratios, no test
	@scripts/setup run
	@scripts/bench

.PHONY: fuzz
fuzz: ## fuzz every target for TIME=60 seconds (T=NAME: that one)
	@scripts/setup fuzz
	@scripts/fuzz $(if $(T),"$(T)")

.PHONY: model
model: ## search the models of ring and recovery completely
	@scripts/setup test
	@scripts/model

.PHONY: bench-recovery
bench-recovery: ## how fast a killed worker is replaced
	@scripts/setup test
	@scripts/bench-recovery

.PHONY: modules
modules: ## the kernel modules, for KERNEL=6.1, 6.12, debug, kcsan or the path of a kernel build tree
	@scripts/modules $(KERNEL)

.PHONY: host
host: ## the host programs
	@$(MAKE) --no-print-directory -C rumpk O=$(BUILD)/host

.PHONY: install
install: all ## programs and modules below DESTDIR and PREFIX
	@scripts/install $(KERNEL) "$(DESTDIR)" "$(PREFIX)"

.PHONY: clean
clean: ## remove everything that was built in the tree (the cache stays)
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
