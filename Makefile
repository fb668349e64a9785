# The menu. `make` alone shows it; CI runs `make check`.

CARGO  ?= cargo
LOCKED := --locked
# Arguments for a program: make m2 ARGS="--backend localhost:3000"
ARGS   ?=
# Seeds for `make sim`.
SEEDS  ?= 10000
# The worlds of `make other-worlds`: others each time, from a seed that is printed.
FROM   := $(or $(FROM),$(shell date +%s))
OTHERS ?= 96
# The build of many worlds: optimised, a seed takes a third to a seventh of the time. The code still checks itself
# (`debug_assert!`, overflows), which a release build does not. The dependencies are those of `cargo test`, and are not built again.
FASTER := --config 'profile.dev.package.socket-patterns.opt-level=1'
# Not these: they have seeds of their own.
NO_OTHERS := faults_ one_seed_is_one_run
# Seeds under which the solutions of the course are tried by `make course-all`.
SOAK   ?= 50

.DEFAULT_GOAL := help
# Steps of `check` report one after the other, whatever -j says.
.NOTPARALLEL:
.PHONY: help run m1 m2 m3 m4 m5 proxy forward-proxy course servers test test-all test-epoll test-io-uring test-over-tls test-by-name unit sim broker-crash other-worlds check format lint doc build deny portable bench bench-peers bench-store store-seeds fuzz-smoke compare clean

# One line a step, so that a long run can be read afterwards.
say = @printf '\n==> %s\n' '$(1)'

help: ## show this menu
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9 -]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: m5 ## start the proxy with demo backends (the newest milestone)

m1 m2 m3 m4 m5: m%: ## start milestone N: 1 forwards, 2 balances, 3 keeps connections, 4 caches, 5 speaks TLS and HTTP/2
	$(CARGO) run $(LOCKED) --release --bin milestone$* -- $(ARGS)

proxy: ## start the production proxy: two sites, TLS; ARGS="--config proxy.toml" for your own
	$(CARGO) run $(LOCKED) --release --bin proxy -- $(ARGS)

forward-proxy: ## start the forward proxy: curl -x 127.0.0.1:8080 http://example.com/
	$(CARGO) run $(LOCKED) --release --bin forward-proxy -- $(ARGS)

course: ## the exercises: what to do next (cargo course)
	@$(CARGO) course

servers: ## list the programs, and what each one shows
	@for file in bin/*.rs; do \
	  name=$$(basename "$$file" .rs | tr _ -); \
	  printf '  %-20s %s\n' "$$name" "$$(sed -n '1s,^//! *,,p' "$$file")"; \
	done
	@echo '  Start one: cargo run --release --bin NAME -- --help'

test: ## run the tests
	$(CARGO) test $(LOCKED)

# `cargo test` leaves out the suites of a milestone on later ones but the newest.
ALL := -- --include-ignored
test-all: ## run the tests, and the suites of the milestones on those in between
	$(CARGO) test $(LOCKED) $(ALL)

SUITES := --test milestone1 --test milestone2 --test milestone3 --test milestone4 --test milestone5 --test forward_proxy

# One milestone alone: what must work there is in docs/checkpoints-milestoneN.md.
MILESTONES := test-milestone-1 test-milestone-2 test-milestone-3 test-milestone-4 test-milestone-5
test-milestone-1: ## the tests of milestone 1: heads, bodies, refusals, deadlines, limits
test-milestone-2: ## the tests of milestone 2: balancing, health, retries
test-milestone-3: ## the tests of milestone 3: connections that are kept, and waiting for one
test-milestone-4: ## the tests of milestone 4: the cache
test-milestone-5: ## the tests of milestone 5: TLS and HTTP/2
.PHONY: $(MILESTONES)
$(MILESTONES): test-milestone-%:
	$(CARGO) test $(LOCKED) --test milestone$* $(ALL)

test-epoll: ## the suites of the milestones on the driver epoll (kqueue on macOS)
	TEST_DRIVER=epoll $(CARGO) test $(LOCKED) $(SUITES) $(ALL)

# A server that cannot listen ends with 1, and one without io_uring with 2 before it tries.
test-io-uring: ## the suites of the milestones on the driver io-uring, where the system allows it
	@said=$$($(CARGO) run $(LOCKED) --quiet --bin io-uring -- --listen 192.0.2.1:1 2>&1); \
	if [ $$? -eq 2 ]; then echo "nothing was tested: $$said"; exit 0; fi; \
	TEST_DRIVER=io-uring $(CARGO) test $(LOCKED) $(SUITES) $(ALL)

# Without this they are run by clients in plain, and those about HTTP over HTTP/2, which is over TLS as well.
test-over-tls: ## the suites of milestones 1 to 4 on milestone 5, by clients of HTTP/1.1 over TLS
	TEST_CLIENT=tls $(CARGO) test $(LOCKED) $(SUITES) milestone5::

# Clients name the server, as those of a forward proxy do.
test-by-name: ## the suites of milestones 1, 3 and 4 on the forward proxy
	$(CARGO) test $(LOCKED) --test milestone1 --test milestone3 --test milestone4 forward_proxy::

# Without the variable, certificates change twenty times. Programs are those that the tests use; they keep up.
RELOAD_SECONDS ?= 60
.PHONY: soak-reload
soak-reload: ## change certificates for a minute under load, as fast as the proxy takes them: no request may fail
	RELOAD_SECONDS=$(RELOAD_SECONDS) $(CARGO) test $(LOCKED) --test milestone5 reload_under_load -- --nocapture

RATES_SECONDS ?= 60
.PHONY: rates
rates: ## measure how many requests pass a limit that 1 and 3 proxies share in a Redis, for a minute each (needs redis-server)
	RATES_SECONDS=$(RATES_SECONDS) $(CARGO) test $(LOCKED) --test proxy a_limit_holds_for_long -- --ignored --nocapture

SOAK_RELOADS ?= 300
SOAK_UPGRADES ?= 10
.PHONY: soak
soak: ## reload the proxy's configuration 300 times and upgrade it 10 times under load: no request may fail
	SOAK_RELOADS=$(SOAK_RELOADS) SOAK_UPGRADES=$(SOAK_UPGRADES) $(CARGO) test $(LOCKED) --test proxy soak -- --nocapture

# The machine should have nothing else to do.
.PHONY: flood
flood: ## measure how quick one protocol of `multi` is while the other is flooded
	FLOOD=1 $(CARGO) test $(LOCKED) --test multi answers_of_one_protocol -- --nocapture

unit: ## run only the tests inside the library: seconds
	$(CARGO) test $(LOCKED) --lib

sim: ## run the proxy through SEEDS fake worlds (10000); SIM_SEED=17 make sim shows one
	SIM_SEEDS=$(SEEDS) $(CARGO) test $(LOCKED) $(FASTER) --test simulation -- --nocapture

broker-crash: ## kill the broker at a hundred random points of a run: CRASH_SEED=17 chooses others
	$(CARGO) test $(LOCKED) --test broker -- --ignored kill_9_at_a_hundred_points

.PHONY: broker-sessions
broker-sessions: ## ten thousand sessions of the broker come and go: memory and descriptors stay
	$(CARGO) test $(LOCKED) --test broker -- --ignored ten_thousand_sessions

.PHONY: sessions
sessions: ## the same for clients of the store, the chat and the other servers, and for the broker
	$(CARGO) test $(LOCKED) --test broker --test store --test chat --test forward_proxy --test multi -- --ignored come_and_go
	$(CARGO) test $(LOCKED) --test file_server --test gateway nothing_behind

check: format lint doc all-tests graders other-worlds ## everything that CI checks
	$(call say,all checks passed)

format:
	$(call say,formatting)
	$(CARGO) fmt --all --check

lint: ## clippy on everything, warnings are errors
	$(call say,clippy)
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

doc: ## build the documentation, warnings are errors
	$(call say,documentation)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(LOCKED) --no-deps

.PHONY: all-tests
all-tests:
	$(call say,tests)
	$(CARGO) test $(LOCKED) $(ALL)
	$(call say,what is installed)
	$(CARGO) test $(LOCKED) --package packaging
	$(call say,the runner of the course)
	$(CARGO) test $(LOCKED) --package course --bin course --test commands --test quiz

# Every solution must pass under one seed, every starter fail as it says, and mistakes of one exercise be found. All mistakes of all
# exercises, and more seeds, take many minutes: `make course-all`. Exercises are checked side by side, and one that fails is checked again alone:
# the graders watch time, which others take from them. A busy machine does so, too: so a failure of the whole counts if it comes twice.
graders-once = $(CARGO) test $(LOCKED) --package course --test hostile && \
  $(CARGO) run $(LOCKED) --quiet --package course -- dev check --seeds 1 && \
  $(CARGO) run $(LOCKED) --quiet --package course -- dev mutants e06

.PHONY: graders
graders:
	$(call say,the graders of the course)
	($(graders-once)) || { echo 'once more: the machine may have been busy'; $(graders-once); }

.PHONY: course-proxies course-all
course-proxies: ## try the harness of the course on the project's own proxies
	$(CARGO) build $(LOCKED) --bin milestone1 --bin milestone2 --bin milestone3 --bin milestone4 --bin milestone5
	$(CARGO) run $(LOCKED) --quiet --package course -- dev proxies

# Beyond `make check`: what takes too long for each change.
course-all: course-proxies ## everything about the course: graders, mutants, hostile programs, solutions under SOAK seeds (50)
	$(CARGO) test $(LOCKED) --package course --bin course --test runner --test commands --test quiz --test hostile
	$(CARGO) run $(LOCKED) --quiet --package course -- dev check --seeds $(SOAK)

other-worlds: ## simulated worlds that nobody has seen: OTHERS seeds (96) from FROM (the time)
	$(call say,other worlds: $(OTHERS) seeds from $(FROM); the same again: make other-worlds FROM=$(FROM))
	SIM_FROM=$(FROM) SIM_SEEDS=$(OTHERS) $(CARGO) test $(LOCKED) $(FASTER) --test simulation -- $(addprefix --skip ,$(NO_OTHERS))

build: ## build the programs as they are meant to run
	$(call say,release build)
	$(CARGO) build $(LOCKED) --release --bins

# Where `make install` puts things. The configuration is /etc/proxy/proxy.toml, wherever the programs are.
PREFIX     ?= /usr/local
DESTDIR    ?=
SYSCONFDIR ?= /etc
# The programs that are installed, and where they were built.
INSTALLED  := proxy forward-proxy load
BUILT      ?= target/release
PAGES      ?= target/pages
DEB        ?= $(CURDIR)/target/deb
PACKAGE    := socket-patterns
VERSION    := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

.PHONY: pages install uninstall deb
pages: ## write man pages and completions to target/pages
	$(CARGO) run $(LOCKED) --quiet --package packaging --bin pages -- $(PAGES)

# It builds nothing: `make build pages && sudo make install` needs no compiler as root.
install: ## install proxy, forward-proxy and load: `make build pages` first, then `sudo make install` (PREFIX, DESTDIR)
	@for needed in $(addprefix $(BUILT)/,$(INSTALLED)) $(PAGES)/man1; do \
	  [ -e "$$needed" ] || { echo "there is no $$needed: make build pages"; exit 1; }; \
	done
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/lib/systemd/system' \
	  '$(DESTDIR)$(PREFIX)/share/bash-completion/completions' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions' \
	  '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d' '$(DESTDIR)$(PREFIX)/share/doc/$(PACKAGE)/examples' \
	  '$(DESTDIR)$(SYSCONFDIR)/proxy'
	install -m 755 $(addprefix $(BUILT)/,$(INSTALLED)) '$(DESTDIR)$(PREFIX)/bin'
	install -m 644 $(PAGES)/man1/* '$(DESTDIR)$(PREFIX)/share/man/man1'
	for program in $(INSTALLED); do \
	  install -m 644 $(PAGES)/bash/$$program.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/'$$program || exit 1; \
	done
	install -m 644 $(PAGES)/zsh/* '$(DESTDIR)$(PREFIX)/share/zsh/site-functions'
	install -m 644 $(PAGES)/fish/* '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d'
	sed -e 's,/usr/local/bin,$(PREFIX)/bin,' -e '1s/ Copy it.*//' docs/proxy.service >'$(DESTDIR)$(PREFIX)/lib/systemd/system/proxy.service'
	install -m 644 docs/proxy.socket '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	install -m 644 docs/proxy.toml '$(DESTDIR)$(PREFIX)/share/doc/$(PACKAGE)/examples'
	[ -e '$(DESTDIR)$(SYSCONFDIR)/proxy/proxy.toml' ] || \
	  install -m 644 packaging/proxy.toml '$(DESTDIR)$(SYSCONFDIR)/proxy/proxy.toml'

uninstall: ## remove what `make install` has installed, but for the configuration
	for program in $(INSTALLED); do \
	  rm -f '$(DESTDIR)$(PREFIX)/bin/'$$program '$(DESTDIR)$(PREFIX)/share/man/man1/'$$program.1 \
	    '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/'$$program '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_'$$program \
	    '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/'$$program.fish; \
	done
	rm -f '$(DESTDIR)$(PREFIX)/share/man/man1/load-compare.1' '$(DESTDIR)$(PREFIX)/lib/systemd/system/proxy.service' \
	  '$(DESTDIR)$(PREFIX)/lib/systemd/system/proxy.socket'
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/$(PACKAGE)'

# `dpkg-deb` is on every Debian; `dpkg-shlibdeps` (dpkg-dev) finds the libraries more exactly, and is used where it is.
deb: build pages ## make a Debian package: target/deb/*.deb
	$(MAKE) --no-print-directory deb-of-built

.PHONY: deb-of-built
deb-of-built:
	rm -rf '$(DEB)' && mkdir -p '$(DEB)'
	$(MAKE) --no-print-directory install PREFIX=/usr DESTDIR='$(DEB)/root' BUILT='$(BUILT)' PAGES='$(PAGES)'
	mv '$(DEB)/root/usr/share/zsh/site-functions' '$(DEB)/root/usr/share/zsh/vendor-completions'
	packaging/debian/build '$(DEB)/root' '$(VERSION)' '$(DEB)'

deny: ## licences and known weaknesses of the dependencies (needs cargo-deny)
	$(CARGO) deny check

# Where the build is different from most machines': the oldest compiler that is promised (Cargo.toml), and macOS, of which the
# tests cannot be checked from afar, because a library of theirs is in C.
OLDEST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
MACOS  := aarch64-apple-darwin

portable: ## compile with the oldest Rust that is promised, and for macOS (needs rustup)
	rustup toolchain install $(OLDEST) --profile minimal --target $(MACOS)
	cargo +$(OLDEST) check $(LOCKED) --all-targets --target-dir target/portable
	cargo +$(OLDEST) check $(LOCKED) --lib --bins --target $(MACOS) --target-dir target/portable

bench: ## measure the parts (criterion) in about two minutes and compare with the last run
	$(CARGO) bench $(LOCKED) -- $(ARGS)
	$(call say,report: target/criterion/report/index.html)

bench-peers: build ## measure against nginx, side by side (needs nginx and wrk; ARGS=--quick)
	./benches/peers.py $(ARGS)

bench-store: build ## measure the store against redis-server, in pairs (needs redis-server; ARGS="--pairs 9")
	python3 benches/store.py $(ARGS)

# Beyond `make test`: other sequences of commands than the few that each change is tried with.
STORE_SEEDS ?= 1000
store-seeds: ## play STORE_SEEDS (1000) random sequences of commands to the store and to redis-server
	STORE_SEEDS=$(STORE_SEEDS) $(CARGO) test $(LOCKED) --test store random_commands -- --nocapture

compare: build ## measure every architecture under the same loads and write a page (ARGS=--quick: in a minute)
	./target/release/load compare --html target/compare.html --json target/compare.json $(ARGS)
	$(call say,report: target/compare.html)

# libFuzzer's instrumentation is a matter of nightly compilers.
FUZZ   ?= cargo +nightly fuzz
FUZZ_SECONDS ?= 60

fuzz-smoke: ## fuzz every target for a minute (needs cargo-fuzz, a nightly compiler, a C++ compiler)
	@command -v cargo-fuzz >/dev/null || { echo 'cargo-fuzz is not installed: cargo install --locked cargo-fuzz'; exit 1; }
	@$(FUZZ) --version >/dev/null || { echo '$(FUZZ) does not run: rustup toolchain install nightly'; exit 1; }
	@for target in $$($(FUZZ) list); do \
	  printf '\n==> fuzzing %s\n' "$$target"; \
	  mkdir -p "fuzz/corpus/$$target"; \
	  $(FUZZ) run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -dict=fuzz/http.dict || exit 1; \
	done

clean: ## remove everything that was built
	$(CARGO) clean
