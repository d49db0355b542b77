package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/resources"
)

// reportWorld is a machine with a small Maia, whose days a test lets pass: each with real runs on a clock that stands still
// but for what the phases of a run take.
type reportWorld struct {
	t                    *testing.T
	base, root, oneDrive string
	random               *rand.Rand
	full                 bool // the disk
	// provider is asked about uploads.
	provider onedrive.Provider

	mu    sync.Mutex
	clock time.Time
}

func newReportWorld(t *testing.T) *reportWorld {
	t.Helper()
	base := t.TempDir()
	w := &reportWorld{t: t, base: base, root: base + "/Users/naythan/git/maia", oneDrive: base + "/Users/naythan/Library/CloudStorage/OneDrive-Personal",
		random: rand.New(rand.NewPCG(1, 2)), clock: time.Date(2025, 8, 14, 2, 59, 0, 0, time.UTC), provider: uploadedProvider{}}
	w.write("CLAUDE.md", 4_000)
	w.write("claude/context/phases.md", 30_000)
	w.write("claude/data/models/embedding.bin", 2_500_000)
	w.write("claude/data/logs/today.log", 600_000)
	w.write("claude/tools/watch.log", 90_000)
	w.write("claude/tools/__pycache__/watch.cpython-312.pyc", 1_200_000)
	if err := os.MkdirAll(w.oneDrive, 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

// write makes a file of random text below the root.
func (w *reportWorld) write(name string, n int) {
	w.t.Helper()
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz     \n"[w.random.IntN(32)]
	}
	path := filepath.Join(w.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *reportWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *reportWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *reportWorld) engine() *engine.Engine {
	c := config.Defaults()
	c.Schedule.Drill = config.DrillOff
	begin := time.Date(2025, 8, 1, 0, 0, 0, 0, time.UTC)
	return engine.New(engine.Env{
		Now: w.now, Awake: func() time.Duration { return w.now().Sub(begin) }, Random: rand.NewChaCha8([32]byte{byte(w.now().Day())}),
		Home: w.base + "/Users/naythan", Cwd: w.base, Hostname: "naythans-mac.local", PID: os.Getpid(), HardwareID: func() string { return "mac" }, Zone: time.UTC,
		Getenv: func(name string) string { return map[string]string{"PATH": "/usr/bin:/bin"}[name] },
	}, engine.Options{
		MaiaRoot: w.root, OneDrivePath: w.oneDrive, StateDir: w.base + "/state", Config: c, Version: "0.9.0", Script: resources.RestoreScript, Log: zerolog.Nop(),
		FS: &fsx.FS{Fault: func(op fsx.Op, path string) error {
			if w.full && strings.Contains(path, "/mirror/") {
				return unix.ENOSPC
			}
			return nil
		}},
		Run:      func(context.Context, string, ...string) ([]byte, error) { return nil, fs.ErrNotExist },
		Sink:     w.sink,
		Provider: func(string) onedrive.Provider { return w.provider },
	})
}

// sink lets each phase of a run take its time.
func (w *reportWorld) sink(ev event.Event) {
	if ev.Kind == event.PhaseStarted {
		w.mu.Lock()
		d := time.Duration(1500+w.random.IntN(6000)) * time.Millisecond
		w.mu.Unlock()
		w.pass(d)
	}
}

// uploadedProvider says of everything that it is uploaded.
type uploadedProvider struct{}

func (uploadedProvider) Name() string           { return "file provider" }
func (uploadedProvider) Highest() onedrive.Rung { return onedrive.ClientUploaded }
func (uploadedProvider) Health(context.Context) onedrive.Health {
	return onedrive.Health{Running: onedrive.Yes, SignedIn: onedrive.Yes}
}

func (uploadedProvider) Observe(_ context.Context, paths []string) ([]onedrive.Answer, error) {
	out := make([]onedrive.Answer, len(paths))
	for i := range out {
		out[i].Rung = onedrive.ClientUploaded
	}
	return out, nil
}

// day is what happens on one.
type day struct{ missed, failed, silent bool }

// day lets a day pass, from the time of its backup to that of the next. On Sundays there is a full drill.
func (w *reportWorld) day(d day) {
	w.t.Helper()
	next := w.now().Truncate(24 * time.Hour).Add(27 * time.Hour)
	defer func() { w.pass(next.Sub(w.now())) }()
	w.write("claude/context/sessions/"+w.now().Format(time.DateOnly)+".md", 4_000+w.random.IntN(20_000))
	w.write("claude/data/state.json", 60_000+w.random.IntN(60_000))
	if d.missed {
		return
	}
	w.full = d.failed
	_, err := w.engine().Backup(w.t.Context(), engine.BackupOptions{NoVault: true})
	w.full = false
	if (err != nil) != d.failed {
		w.t.Fatalf("%s: backup: %v", w.now(), err)
	}
	if !d.failed && !d.silent {
		for range 2 {
			w.pass(time.Duration(65+w.random.IntN(300)) * time.Second)
			if _, err := w.engine().Sync(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if w.now().Weekday() == time.Sunday {
		if _, err := w.engine().Drill(w.t.Context(), engine.DrillOptions{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// spoil damages the newest chunk in OneDrive.
func (w *reportWorld) spoil() {
	w.t.Helper()
	chunks, err := filepath.Glob(filepath.Join(w.oneDrive, repository.DirName, repository.ChunksDir, "*.gz"))
	if err != nil || len(chunks) == 0 {
		w.t.Fatal("no chunks")
	}
	slices.Sort(chunks)
	for _, c := range chunks {
		b, err := os.ReadFile(c)
		if err == nil {
			b[len(b)/2] ^= 1
			err = os.WriteFile(c, b, 0o600)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// report is the report of now, three hours after the last backup's time.
func (w *reportWorld) report() *engine.Report {
	w.t.Helper()
	e := w.engine()
	r, err := e.Report(w.t.Context(), e.Doctor(w.t.Context(), false))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Histories of which there are pages to look at.
const (
	historyFull, historyFirst, historyFailing = "full", "first", "failing"
)

// history lets days pass.
func (w *reportWorld) history(kind string) *engine.Report {
	w.t.Helper()
	w.pass(w.now().Truncate(24 * time.Hour).Add(3 * time.Hour).Sub(w.now()))
	switch kind {
	case historyFull:
		for i := range 62 {
			w.day(day{missed: i == 23 || i == 40, failed: i == 31})
		}
	case historyFirst:
		w.day(day{silent: true})
	case historyFailing:
		for i := range 24 {
			if i == 17 {
				w.spoil()
			}
			w.day(day{failed: i > 16 && i < 23, missed: i == 23, silent: i > 14})
		}
	default:
		w.t.Fatal(fmt.Sprint("no history ", kind))
	}
	w.pass(-21 * time.Hour)
	return w.report()
}
