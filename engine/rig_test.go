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
	"maia-dr/resources"
)

// rig is a sample Maia with an engine, a clock that the test sets, and the fault seam.
type rig struct {
	t     testing.TB
	fix   *fixture.Fixture
	base  string
	clock time.Time
	fsys  *fsx.FS
	fault atomic.Pointer[func(fsx.Op, string) error]
	// hardware, host and state stand for the machine.
	hardware, state string
	config          config.Config
	drills          bool
	sink            event.Sink
}

func newRig(t testing.TB) *rig {
	t.Helper()
	base := t.TempDir()
	return rigOn(t, base, copyMac(t, filepath.Join(base, "mac")))
}

func rigOn(t testing.TB, base string, fix *fixture.Fixture) *rig {
	r := &rig{
		t: t, fix: fix, base: base, clock: time.Date(2025, 10, 20, 3, 0, 0, 0, time.UTC),
		hardware: "machine-1", state: filepath.Join(base, "state"), config: config.Defaults(),
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
	return r.mac().engine(r.now(), r.fsys, r.sink)
}

func (r *rig) now() func() time.Time { return func() time.Time { return r.clock } }

// mac is the rig's machine, as a child process is told of it.
func (r *rig) mac() mac {
	return mac{
		Home: r.fix.Home, Root: r.fix.Root, OneDrive: r.fix.OneDrive, State: r.state, Hardware: r.hardware, Clock: r.clock,
		Retention: r.config.Retention, Exclude: r.config.Capture.Exclude, Drills: r.drills,
	}
}

// mac is a machine with a Maia: everything an engine is made from.
type mac struct {
	Home, Root, OneDrive, State, Hardware string
	Clock                                 time.Time
	Retention                             config.Retention
	Exclude                               []string
	// Drills: each backup ends with a light drill, as it does unless that is off.
	Drills bool
}

func (m mac) engine(now func() time.Time, fsys *fsx.FS, sink event.Sink) *engine.Engine {
	return m.engineWith(func(o *engine.Options) { o.FS, o.Sink = fsys, sink }, now)
}

// engineWith makes an engine with changed options.
func (m mac) engineWith(change func(*engine.Options), now func() time.Time) *engine.Engine {
	return m.engineIn(time.UTC, change, now)
}

// engineIn is engineWith in another time zone.
func (m mac) engineIn(zone *time.Location, change func(*engine.Options), now func() time.Time) *engine.Engine {
	return m.engineOf(func(env *engine.Env) { env.Zone = zone }, change, now)
}

// engineOf makes an engine with a changed environment and changed options.
func (m mac) engineOf(world func(*engine.Env), change func(*engine.Options), now func() time.Time) *engine.Engine {
	env := engine.Env{
		Now: now, Random: rand.Reader, Getenv: func(string) string { return "" }, Home: m.Home, Cwd: filepath.Dir(m.State),
		Hostname: "test-mac", PID: os.Getpid(), HardwareID: func() string { return m.Hardware }, Zone: time.UTC,
	}
	c := config.Defaults()
	// One MB: the sample's ticket database is then a stream of its own.
	c.Retention, c.Capture.Exclude, c.Capture.LargeDatabaseMB = m.Retention, m.Exclude, 1
	if !m.Drills {
		c.Schedule.Drill = config.DrillOff
	}
	opt := engine.Options{
		MaiaRoot: m.Root, OneDrivePath: m.OneDrive, StateDir: m.State, Config: c, Version: "0.1.0-test",
		Script: resources.RestoreScript, Log: zerolog.Nop(), Run: noTools,
	}
	world(&env)
	change(&opt)
	return engine.New(env, opt)
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

// removeLikelySecrets removes the files of the sample that look as if they held a secret.
func (r *rig) removeLikelySecrets() {
	r.t.Helper()
	for _, name := range []string{"claude/tools/research/migrate_pages.py", "claude/config/integrations.json"} {
		remove(r.t, filepath.Join(r.fix.Root, name))
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
func snapshotTree(t testing.TB, dir string) map[string]string {
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
	r.sameTrees(snapshotTree(r.t, r.fix.Root), snapshotTree(r.t, restored), m)
}

// sameTrees is sameAsSource for trees that were looked at earlier.
func (r *rig) sameTrees(src, dst map[string]string, m *repository.Manifest) {
	r.t.Helper()
	secret := map[string]bool{}
	for _, s := range m.Coverage.Secrets {
		secret[string(s.Path)] = true
	}
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
