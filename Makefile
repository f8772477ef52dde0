# SPDX-License-Identifier: Apache-2.0
# A thin front of Meson: `make demo` to see it work, `make check` to test it, `make help`.

BUILD ?= build
SETUP ?=
MESON_TEST ?=

export CC

LINT_BUILD ?= build-lint
DEB_BUILD ?= build-deb
CHAOS_BUILD ?= build-chaos
FUZZ_BUILD ?= build-fuzz
LEASES ?= 1000000
HOST_LEASES ?= 10000
FENCE_LEASES ?= 20000
SOAK ?= 1h
SEED ?= 1
WHEEL_ARCHS ?= x86_64 aarch64

.PHONY: all bench chaos chaos-hosts check check-deb check-fence check-kubernetes check-wheel clean deb demo deps format hard hard-fuzz hard-inject help \
  install lint mcp-agents newcomer release soak wheel

all:
	@tools/configure $(BUILD) $(SETUP)
	ninja -C $(BUILD)

help:
	@echo 'make demo     install missing packages, build, and show what gpualloc does on a built-in machine'
	@echo 'make check    build and run every test'
	@echo 'make deb      build Debian packages into build-deb/'
	@echo 'make check-deb  build them, hold them against lintian, install, upgrade and purge them in a copy'
	@echo '              of this machine (root)'
	@echo 'make check-fence  try the fence on kernels of Debian, in virtual machines (KERNEL=vmlinuz, SUITES=, FENCE_LEASES=,'
	@echo '              FENCE_QUICK=1: one boot)'
	@echo 'make check-kubernetes KUBE=DIR  run pods with the real programs in DIR: etcd, kube-apiserver,'
	@echo '              kube-controller-manager, kube-scheduler, kubelet, containerd, runc (root, ROUNDS=)'
	@echo 'make bench    measure in a release build what decisions and leases cost and how good policies are'
	@echo 'make chaos    a million leases, with holders killed at random (LEASES=, SEED=)'
	@echo 'make chaos-hosts  ten thousand leases over ssh, with both ends killed at random (HOST_LEASES=, SEED=)'
	@echo 'make mcp-agents  fifty agents that retry, cancel, fork and die (ROUNDS=, SEED=)'
	@echo 'make soak     an hour of leases (SOAK=10m): memory, descriptors and the store stay as they are'
	@echo 'make hard     kill, stop or fail at every system call and allocation; ten million runs of'
	@echo '              each fuzz target, or an hour (FUZZ_RUNS=, FUZZ_SECONDS=, FUZZ_TARGETS=)'
	@echo 'make newcomer the README, the wheel and the packages on a bare Debian 12 (root, Debian'"'"'s archive)'
	@echo 'make deps     install what building and testing need (Debian)'
	@echo 'make          build into $(BUILD)/'
	@echo 'make wheel    one file for pip, pipx and uvx, for x86_64 and aarch64, into build-wheel/ (WHEEL_ARCHS=);'
	@echo '              fetches sources of jansson and expat from Debian'
	@echo 'make check-wheel  look into these files, install one by pip, and use it'
	@echo 'make install  install (DESTDIR and SETUP=-Dprefix=... are passed on)'
	@echo 'make lint     clang-tidy, cppcheck, gcc -fanalyzer, shellcheck and pyflakes, without a finding'
	@echo 'make release  say whether this tree can be released, and how; changes nothing'
	@echo 'make format   format the sources'

deps:
	@tools/install-deps all

demo: all
	$(BUILD)/cli/gpualloc list --machine dgx1-volta
	$(BUILD)/cli/gpualloc topo --machine dgx1-volta
	$(BUILD)/cli/gpualloc explain --machine dgx1-volta -n 4
	$(BUILD)/cli/gpualloc run --machine dgx1-volta -n 2 -- sh -c 'echo "running on GPUs $$CUDA_VISIBLE_DEVICES"'

check:
	@tools/install-deps all
	@$(MAKE) --no-print-directory all
	meson test -C $(BUILD) --no-rebuild --print-errorlogs $(MESON_TEST)
	@tools/test-summary $(BUILD)

bench:
	@tools/install-deps all
	@$(MAKE) --no-print-directory all BUILD=$(BUILD)-bench SETUP='-Dbuildtype=release -Dbench=true'
	@for policy in best-effort bandwidth balanced; do \
	  echo; echo "decide --policy $$policy --bars"; \
	  $(BUILD)-bench/bench/decide --policy $$policy --bars || exit; \
	done
	@echo; echo among; $(BUILD)-bench/bench/among
	@echo; echo stream; $(BUILD)-bench/bench/stream
	@echo; echo start.py; python3 bench/start.py $(BUILD)-bench/cli/gpualloc
	@echo; echo fence.py; python3 bench/fence.py $(BUILD)-bench/cli/gpualloc
	@for script in slurm_start slurm_links; do \
	  echo; echo $$script.py; \
	  python3 bench/$$script.py $(BUILD)-bench/cli/gpualloc $(CURDIR)/$(BUILD)-bench/engines/slurm/plugin/spank_gpualloc.so || exit; \
	done
	@echo; echo hosts.py; python3 bench/hosts.py $(BUILD)-bench/cli/gpualloc
	@echo; echo kubernetes.py
	@test ! -e $(BUILD)-bench/engines/kubernetes/gpualloc-k8s || /usr/bin/python3 bench/kubernetes.py \
	  $(BUILD)-bench/cli/gpualloc $(BUILD)-bench/engines/kubernetes/gpualloc-k8s $(BUILD)-bench/tests/fakes/libnvidia-ml.so.1
	@echo; echo claims.py
	@test ! -e $(BUILD)-bench/engines/kubernetes/gpualloc-k8s || /usr/bin/python3 bench/claims.py \
	  $(BUILD)-bench/cli/gpualloc $(BUILD)-bench/engines/kubernetes/gpualloc-k8s

chaos:
	@tools/install-deps all
	@test -e $(CHAOS_BUILD)/build.ninja || meson setup $(CHAOS_BUILD) --buildtype=release
	ninja -C $(CHAOS_BUILD) tests/lease/chaos tests/lease/forgetful.so
	CHAOS=$(CHAOS_BUILD)/tests/lease/chaos CHAOS_BROKEN=$(CHAOS_BUILD)/tests/lease/forgetful.so \
	  TEST_ROOT=tests PYTHONDONTWRITEBYTECODE=1 python3 tests/lease/chaos_test.py $(LEASES) $(SEED)

chaos-hosts:
	@tools/install-deps all
	@test -e $(CHAOS_BUILD)/build.ninja || meson setup $(CHAOS_BUILD) --buildtype=release
	ninja -C $(CHAOS_BUILD) cli/gpualloc
	GPUALLOC=$(CURDIR)/$(CHAOS_BUILD)/cli/gpualloc TEST_ROOT=$(CURDIR)/tests PYTHONPATH=tests/cli \
	  PYTHONDONTWRITEBYTECODE=1 python3 tests/hosts/chaos.py $(HOST_LEASES) $(SEED)

mcp-agents:
	@tools/install-deps all
	@test -e $(BUILD)/build.ninja || meson setup $(BUILD)
	ninja -C $(BUILD) cli/gpualloc
	GPUALLOC=$(CURDIR)/$(BUILD)/cli/gpualloc TEST_ROOT=$(CURDIR)/tests PYTHONPATH=tests/cli \
	  PYTHONDONTWRITEBYTECODE=1 python3 tests/mcp/agents_test.py $(or $(ROUNDS),100) $(SEED)

soak:
	@tools/install-deps all
	@test -e $(CHAOS_BUILD)/build.ninja || meson setup $(CHAOS_BUILD) --buildtype=release
	ninja -C $(CHAOS_BUILD) cli/gpualloc compat/getgpu tests/lease/chaos tests/lease/soak_one
	@cd $(CHAOS_BUILD) && GPUALLOC=$$PWD/cli/gpualloc GETGPU=$$PWD/compat/getgpu SOAK=$(SOAK) \
	  CHAOS=$$PWD/tests/lease/chaos SOAK_ONE=$$PWD/tests/lease/soak_one TEST_ROOT=$(CURDIR)/tests \
	  PYTHONDONTWRITEBYTECODE=1 python3 $(CURDIR)/tests/lease/soak_test.py

hard: hard-inject hard-fuzz

hard-inject:
	@tools/install-deps all
	@test -e $(CHAOS_BUILD)/build.ninja || meson setup $(CHAOS_BUILD) --buildtype=release
	ninja -C $(CHAOS_BUILD) tests/lease/lease_one cli/gpualloc compat/getgpu tests/cli/failing_malloc.so
	HARD=1 LEASE_ONE=$(CHAOS_BUILD)/tests/lease/lease_one TEST_ROOT=tests PYTHONDONTWRITEBYTECODE=1 \
	  python3 tests/lease/inject_test.py
	HARD=1 GPUALLOC=$(CURDIR)/$(CHAOS_BUILD)/cli/gpualloc COMPAT=$(CURDIR)/$(CHAOS_BUILD)/compat \
	  FAILING_MALLOC=$(CURDIR)/$(CHAOS_BUILD)/tests/cli/failing_malloc.so TEST_ROOT=$(CURDIR)/tests \
	  PYTHONPATH=tests/cli PYTHONDONTWRITEBYTECODE=1 python3 tests/lease/inject_commands_test.py

hard-fuzz:
	@tools/install-deps all
	@test -e $(FUZZ_BUILD)/build.ninja || CC=clang meson setup $(FUZZ_BUILD) -Dfuzzers=true \
	  -Db_sanitize=address,undefined -Db_lundef=false
	ninja -C $(FUZZ_BUILD) $$(ls tests/fuzz/*_fuzz.c | sed 's|.*/\(.*\)_fuzz.c|tests/fuzz/fuzz_\1|')
	PYTHONDONTWRITEBYTECODE=1 python3 tests/fuzz/hard.py $(FUZZ_BUILD) $(FUZZ_TARGETS)

deb:
	@tools/install-deps deb
	@tools/build-deb $(CURDIR)/$(DEB_BUILD)

check-deb:
	@tools/install-deps check-deb
	@tools/build-deb $(CURDIR)/$(DEB_BUILD)
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs $(DEB_BUILD)/*.changes
	@PYTHONDONTWRITEBYTECODE=1 python3 tests/packages/debian_test.py $(DEB_BUILD)

# The fence on the oldest kernel that we name a version of, on one that is much newer, and on one that is too
# old: Debian's own, in virtual machines.
check-fence:
	@tools/install-deps check-fence$(if $(FENCE_QUICK),-quick)
	@$(MAKE) --no-print-directory all
	@LEASES=$(FENCE_LEASES) python3 tests/fence/check.py $(if $(FENCE_QUICK),--quick) $(BUILD) \
	  "$(or $(KERNEL),$(CURDIR)/$(BUILD)-kernel)" $(SUITES) || test $(if $(FENCE_QUICK),$$?,1) = 77

check-kubernetes:
	@test -d "$(KUBE)" || { echo 'make check-kubernetes: say with KUBE=DIR where etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, containerd, runc are' >&2; exit 2; }
	@tools/install-deps check-kubernetes
	@$(MAKE) --no-print-directory all
	@cd $(BUILD) && GPUALLOC=$$PWD/cli/gpualloc GPUALLOC_K8S=$$PWD/engines/kubernetes/gpualloc-k8s \
	  FAKE_NVML=$$PWD/tests/fakes/libnvidia-ml.so.1 TEST_ROOT=$(CURDIR)/tests PYTHONDONTWRITEBYTECODE=1 \
	  /usr/bin/python3 $(CURDIR)/tests/kubernetes/real/check.py $(abspath $(KUBE))

# What is committed, as a release would have it.
newcomer:
	@command -v debootstrap >/dev/null || apt-get -qq install -y --no-install-recommends debootstrap
	PYTHONDONTWRITEBYTECODE=1 python3 tests/newcomer/newcomer.py $(CURDIR)

wheel:
	@tools/install-deps wheel
	@for arch in $(WHEEL_ARCHS); do tools/wheel --arch $$arch || exit; done

check-wheel: wheel
	PYTHONDONTWRITEBYTECODE=1 python3 tests/wheel/wheel_test.py . \
	  $$(for arch in $(WHEEL_ARCHS); do echo build-wheel/gpualloc-*_$$arch.whl; done)

install: all
	meson install -C $(BUILD) --no-rebuild

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

# Always with gcc, whose analyzer it is; nothing is built for it but headers that are generated.
lint:
	@tools/install-deps all
	@test -e $(LINT_BUILD)/build.ninja || CC=gcc meson setup $(LINT_BUILD) -Dtests=false >/dev/null
	@meson setup --reconfigure $(LINT_BUILD) >/dev/null
	@! ninja -C $(LINT_BUILD) -t query generated >/dev/null 2>&1 || ninja -C $(LINT_BUILD) generated >/dev/null
	tools/lint $(LINT_BUILD)

release:
	@tools/release $(BUILD)

clean:
	rm -rf build-wheel $(BUILD) $(LINT_BUILD) $(BUILD)-bench $(DEB_BUILD) $(CHAOS_BUILD) $(FUZZ_BUILD)
