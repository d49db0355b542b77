# make test is the gate: everything that must hold, in a fresh clone with Go, git and make.
# The rest: build app bench gobench faults sabotage fuzz lint vuln icons clean. Works with the make 3.81 of macOS.

GO        ?= go
FUZZTIME  ?= 1h
BENCH     ?= .
BENCH_ARGS ?=
SABOTAGE_ARGS ?=
TEST_ARGS ?=
PACKAGES  ?= ./...
ROWS      ?=

# Tools of the developer, never requirements of the module. Versions are pinned: a new one is a commit.
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# What the tests run beside Go, as command/command:package,package of Debian; installed by "make test" where none of the
# commands is there. On macOS nothing is installed. gcc is for the race detector, the D-Bus daemon and the keyring are a
# desktop without a screen, Chromium looks at the report, the others are peers and stand-ins for the tools of a fresh Mac.
TOOLS = sqlite3:sqlite3 bsdtar:libarchive-tools zsh:zsh mksh:mksh original-awk:original-awk shellcheck:shellcheck strace:strace \
	openssl:openssl perl:perl git:git python3:python3 plistutil:libplist-utils busybox:busybox \
	dbus-daemon:dbus gnome-keyring-daemon:gnome-keyring secret-tool:libsecret-tools \
	systemd-analyze:systemd desktop-file-validate:desktop-file-utils icns2png:icnsutils \
	ruby:ruby file:file mandoc:mandoc fish:fish dh_bash-completion:bash-completion \
	gcc:gcc,libc6-dev chromium-headless-shell/chromium/google-chrome:chromium-headless-shell

# Peers that make bench compares with; restic it builds itself.
PEERS = borg:borgbackup pigz:pigz rclone:rclone perl:perl zsh:zsh sqlite3:sqlite3

# The tests run under the race detector, but for UNWATCHED. It leaves out some packages without goroutines of their own whose loops it
# slows thirtyfold: SQLite (a translation of C with its own locks), compression, regular expressions, the 600,000 rounds of a key. Only whole packages without generic code
# of sync or atomic may stand here: the linker keeps one copy of such code, and an unwatched one hides every lock.
RACE = -race \
	-gcflags=modernc.org/sqlite/lib=-race=false \
	-gcflags=github.com/klauspost/compress/flate=-race=false \
	-gcflags=regexp=-race=false \
	-gcflags=maia-dr/engine/repository/inflate=-race=false \
	-gcflags=crypto/internal/fips140/hmac=-race=false \
	-gcflags=crypto/internal/fips140/sha256=-race=false \
	-gcflags=crypto/internal/fips140/subtle=-race=false \
	-gcflags=crypto/internal/fips140/pbkdf2=-race=false \
	-gcflags=crypto/pbkdf2=-race=false

# Of the application: that of the last tag.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*.[0-9]*.[0-9]*' 2>/dev/null || echo 0.0.0-dev)

# Not all is worth the time of the race detector. UNWATCHED are packages whose tests wait for children or have one
# goroutine: more of them run at a time than there are processors. WATCHED is what of the command line has more, and runs
# once more, with it. PLAIN are tests of the engine that run without it. REPEATED do one thing over and over. COVERED go
# the same way through backup, verify, restore and drill as those that stay under it, and look at what came of it. What
# runs at once with something, is cut short, or is a verb's first test stays, and so does every new test.
UNWATCHED = ./engine/cli ./engine/fixture ./engine/retention ./packaging/... ./resources
WATCHED   = ^TestScripts$$/^wait$$|^TestBackupsAreToldOf$$|^TestSetupAtATerminal$$
REPEATED  = Sabotage|TwoYears|Killed|Failing|Random|PowerCut|Strace|Limits|Suspended|SyncFails|Relocated.+|Forged|PasswordNumbers|PackagesPhase|GitHistory|DrillOfOddities|SecretIn|EveryFileFlipped|WeakSecrets|MarkersInText|Format|Stripped|AdoptedInPart|DescriptorDamaged|Versions|OwnPython
COVERED   = Adopt|Agents|AlteredCatalogue|Bombs|Browsing|Caches|Chunk|ClockAhead|Conflict|DailyRuns|Damage|DiffAndFind|DrillFinds|DrilledBackup|Export.|FolderIs
COVERED  := $(COVERED)|Foreign|Forget|Hostile|Keychain|LastSecond|NoFile|NoMac|NoPassword|OlderIndex|OpenByHand|Order|Prune[LR]|Redaction|Repository|Retention
COVERED  := $(COVERED)|Secret|Sidecars|Unchanged|Unpublished|Unreadable|Vanished|VerifyMends
PLAIN     = ^Test($(REPEATED)|$(COVERED))

GOTEST = $(GO) run ./packaging/ci/gotest -timeout 30m

SCRIPTS = $(shell find .ci resources packaging -type f \( -name '*.sh' -o -path '.ci/*' \) 2>/dev/null)

.PHONY: build app test tools format vet darwin scripts unit bench gobench faults sabotage fuzz lint vuln icons clean

build:
	$(GO) build -trimpath -o bin/maia-dr .

# Maia Recovery.app with zip, disk image and checksums, in dist/; see packaging/make-app.sh.
app:
	@packaging/make-app.sh "$(VERSION)"

# In this order, and not at once: what is quick fails first, and the summary of the tests comes last.
test:
	@$(MAKE) --no-print-directory tools
	@$(MAKE) --no-print-directory format vet darwin scripts
	@$(MAKE) --no-print-directory unit

tools:
	@.ci/install-tools $(TOOLS)

format:
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .); \
	if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...
	$(GO) vet -tags faults ./engine

# The macOS program is built where macOS is; here it is checked: without cgo by vet, with cgo by its types.
darwin:
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=amd64 $(GO) vet ./...
	$(GO) run ./packaging/ci/darwincheck arm64 amd64

scripts:
	@if command -v shellcheck >/dev/null 2>&1 || [ "$$(uname -s)" = Linux ]; then \
		shellcheck $(SCRIPTS) && echo "shellcheck: $(words $(SCRIPTS)) scripts"; \
	else echo "shellcheck is not installed; Linux checks the scripts"; fi

unit:
ifeq ($(PACKAGES),./...)
	$(GOTEST) -parallel 4 $(TEST_ARGS) $(UNWATCHED)
	$(GOTEST) $(TEST_ARGS) -run '$(PLAIN)' ./engine
	$(GOTEST) $(RACE) $(TEST_ARGS) -run '$(WATCHED)' ./engine/cli
	$(GOTEST) $(RACE) $(TEST_ARGS) -skip '$(PLAIN)' ./engine
	$(GOTEST) $(RACE) $(TEST_ARGS) $$($(GO) list ./... | grep -v -x -F -e maia-dr/engine -e "$$($(GO) list $(UNWATCHED))")
else
	$(GOTEST) $(RACE) $(TEST_ARGS) $(PACKAGES)
endif

# The program beside its peers: a table for README.md and docs/benchmarks.md, see there. It takes about half an hour, in which
# the machine should do nothing else, and 16 GB of disk. BENCH_ARGS: go run ./packaging/bench -help lists them.
bench:
	@.ci/install-tools $(PEERS)
	$(GO) run ./packaging/bench -update $(BENCH_ARGS)

# Each stage alone: Go benchmarks, BENCH says which ("Packer|Cut"), PACKAGES where.
gobench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(TEST_ARGS) $(PACKAGES)

# Every fault of docs/reliability.md at every place where it can happen, and its table brought up to date: some hours. Single
# rows: make faults ROWS=15,16
faults:
	$(GO) run ./packaging/ci/faults -write docs/reliability.md -rows '$(ROWS)'

# Breaks the program in one place after another; the tests have to notice. About half an hour. SABOTAGE_ARGS: go run
# ./packaging/sabotage -help lists them.
sabotage:
	$(GO) run ./packaging/sabotage $(SABOTAGE_ARGS)

# Every fuzz target for an hour: days, on two processors. The workflow gives each 20 seconds: make fuzz FUZZTIME=20s
fuzz:
	@.ci/fuzz $(FUZZTIME)

# About two minutes the first time: the linter is built from source.
lint:
	$(GO) run $(GOLANGCI_LINT) run ./...

# Asks vuln.go.dev; not part of lint, which works without a network.
vuln:
	$(GO) run $(GOVULNCHECK) ./...

# Needs rsvg-convert (Debian: librsvg2-bin); what it draws is committed.
icons:
	$(GO) run ./packaging/icons resources/icons

clean:
	rm -rf bin dist
