package engine_test

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/event"
	"maia-dr/engine/fixture"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// rig is a sample Maia with an engine, a clock that the test sets, and the fault seam.
type rig struct {
	t     *testing.T
	fix   *fixture.Fixture
	base  string
	clock time.Time
	fsys  *fsx.FS
	fault atomic.Pointer[func(fsx.Op, string) error]
	// hardware, host and state stand for the machine.
	hardware, state string
	sink            event.Sink
}

func newRig(t *testing.T) *rig {
	t.Helper()
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	return rigOn(t, base, fix)
}

func rigOn(t *testing.T, base string, fix *fixture.Fixture) *rig {
	r := &rig{
		t: t, fix: fix, base: base, clock: time.Date(2025, 10, 20, 3, 0, 0, 0, time.UTC),
		hardware: "machine-1", state: filepath.Join(base, "state"),
	}
	r.fsys = &fsx.FS{Fault: func(op fsx.Op, path string) error {
		if f := r.fault.Load(); f != nil {
			return (*f)(op, path)
		}
		return nil
	}}
	return r
}

func (r *rig) engine() *engine.Engine {
	env := engine.Env{
		Now: func() time.Time { return r.clock }, Random: rand.Reader, Getenv: func(string) string { return "" },
		Home: r.fix.Home, Cwd: r.base, Hostname: "test-mac", PID: os.Getpid(), HardwareID: func() string { return r.hardware }, Zone: time.UTC,
	}
	return engine.New(env, engine.Options{
		MaiaRoot: r.fix.Root, OneDrivePath: r.fix.OneDrive, StateDir: r.state, Config: config.Defaults(), Version: "0.1.0-test",
		Script: []byte("#!/bin/bash\nexit 0\n"), FS: r.fsys, Log: zerolog.Nop(), Run: noTools, Sink: r.sink,
	})
}

// noTools stands for a machine without pip and brew.
func noTools(context.Context, string, ...string) ([]byte, error) { return nil, fs.ErrNotExist }

func (r *rig) backup() *engine.BackupResult {
	r.t.Helper()
	res, err := r.engine().Backup(r.t.Context(), engine.BackupOptions{NoVault: true})
	if err != nil {
		r.t.Fatalf("backup: %v", err)
	}
	r.clock = r.clock.Add(24 * time.Hour)
	return res
}

func (r *rig) day(n int) {
	r.t.Helper()
	if _, err := r.fix.Day(r.t.Context(), n); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) repo() string { return filepath.Join(r.fix.OneDrive, repository.DirName) }

func (r *rig) mirror() string { return filepath.Join(r.state, "mirror") }

// verifyAll fails the test unless every backup in OneDrive is whole.
func (r *rig) verifyAll() *engine.VerifyResult {
	r.t.Helper()
	res, err := r.engine().Verify(r.t.Context(), engine.VerifyOptions{All: true})
	if err != nil {
		r.t.Fatalf("verify: %v", err)
	}
	for _, b := range res.Backups {
		for _, p := range b.Problems {
			r.t.Errorf("%s: %s", b.BackupID, p)
		}
	}
	return res
}

// restore restores a backup to a fresh folder and returns it.
func (r *rig) restore(name string) (string, *engine.RestoreResult) {
	r.t.Helper()
	to := filepath.Join(r.t.TempDir(), "restored")
	res, err := r.engine().Restore(r.t.Context(), engine.RestoreOptions{Backup: name, To: to})
	if err != nil {
		r.t.Fatalf("restore %s: %v", name, err)
	}
	for _, f := range append(res.Failed, res.Doubtful...) {
		r.t.Errorf("restore %s: %s", name, f)
	}
	return to, res
}

// snapshotTree maps every path below dir to what makes it what it is.
func snapshotTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			out[rel] = fi.Mode().String()
		case fi.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			out[rel] = "-> " + to
		case fi.Mode().IsRegular():
			sum, _, err := repository.HashFile(path)
			if err != nil {
				return err
			}
			out[rel] = fi.Mode().String() + " " + fi.ModTime().UTC().Truncate(time.Second).String() + " " + sum.String()
		default:
			out[rel] = fi.Mode().String()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameAsSource fails the test unless everything under the root that no rule leaves out is in the restored folder,
// unchanged, and nothing else is.
func (r *rig) sameAsSource(restored string, m *repository.Manifest) {
	r.t.Helper()
	secret := map[string]bool{}
	for _, s := range m.Coverage.Secrets {
		secret[string(s.Path)] = true
	}
	src, dst := snapshotTree(r.t, r.fix.Root), snapshotTree(r.t, restored)
	for path, want := range src {
		if path == "." || r.excluded(path) || secret[path] {
			continue
		}
		if got := dst[path]; got != want {
			r.t.Errorf("%q: restored %q, the original is %q", path, got, want)
		}
	}
	for path := range dst {
		if path == engine.BesideDir || strings.HasPrefix(path, engine.BesideDir+"/") {
			continue
		}
		if _, ok := src[path]; !ok || r.excluded(path) && path != "." {
			r.t.Errorf("%q was restored but is not in the original, or is excluded", path)
		}
	}
}

// excluded is the test's own reading of the rules.
func (r *rig) excluded(path string) bool {
	for _, x := range r.fix.Excluded {
		if path == strings.TrimSuffix(x, "/") || strings.HasSuffix(x, "/") && strings.HasPrefix(path, x) {
			return true
		}
	}
	return false
}
