package state

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// holdRun names the state directory in which this process, started by a test, plays a run until it is killed.
const holdRun = "MAIA_DR_TEST_HOLD_RUN"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdRun); path != "" {
		d := Dir{Path: path}
		if _, err := d.Lock(); err != nil {
			os.Exit(1)
		}
		if err := d.WriteStatus(&Status{Run: &Run{Kind: "backup", PID: os.Getpid()}}); err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("running\n")
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func newDir(t testing.TB) Dir {
	t.Helper()
	d := Dir{Path: filepath.Join(t.TempDir(), "Maia Recovery")}
	if err := d.Create(); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d Dir) put(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.Path, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d Dir) read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.Path, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// random is a source of randomness that can be told apart from others.
func random(seed byte) *bytes.Reader {
	sum := sha256.Sum256([]byte{seed})
	return bytes.NewReader(sum[:])
}

func wantMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != want {
		t.Errorf("%s: %v %v, want %v", path, fi, err, want)
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	d := Dir{Path: path}
	for range 2 {
		if err := d.Create(); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{path, d.Scratch(), d.Staging(), filepath.Dir(d.LogFile())} {
		wantMode(t, p, 0o700)
	}
	if err := (Dir{Path: path, FS: &fsx.FS{Fault: func(fsx.Op, string) error { return syscall.EROFS }}}).Create(); !errors.Is(err, syscall.EROFS) {
		t.Error(err)
	}
}

func TestIdentityIsMadeOnce(t *testing.T) {
	d := newDir(t)
	if i, err := d.PeekIdentity(); i != nil || err != nil {
		t.Error(i, err)
	}
	first, err := d.Identity(random(1))
	if err != nil || len(first.StateID) != 32 {
		t.Fatal(first, err)
	}
	wantMode(t, filepath.Join(d.Path, identityName), 0o600)
	first.RepositoryID, first.OneDrivePath = "r", "/Users/me/OneDrive"
	if err := d.SaveIdentity(first); err != nil {
		t.Fatal(err)
	}
	for _, look := range []func() (*Identity, error){func() (*Identity, error) { return d.Identity(random(2)) }, d.PeekIdentity} {
		if again, err := look(); err != nil || *again != *first {
			t.Errorf("%+v %v, want %+v", again, err, first)
		}
	}
	other, err := newDir(t).Identity(random(3))
	if err != nil || other.StateID == first.StateID {
		t.Error(other, err)
	}
}

// A damaged identity is said, and not replaced: with a new one, this machine would not know its own repository.
func TestIdentityDamaged(t *testing.T) {
	for _, b := range []string{"", "{", "[]", "{}", `{"state_id":"short"}`, `{"state_id":7}`, "\x00\x00"} {
		d := newDir(t)
		d.put(t, identityName, b)
		for _, look := range []func() (*Identity, error){func() (*Identity, error) { return d.Identity(random(2)) }, d.PeekIdentity} {
			if i, err := look(); i != nil || !errors.Is(err, repository.ErrDamaged) {
				t.Errorf("%q: %v %v", b, i, err)
			}
		}
		if d.read(t, identityName) != b {
			t.Errorf("%q was replaced", b)
		}
	}
	d := newDir(t)
	if i, err := d.Identity(bytes.NewReader(nil)); i != nil || err == nil {
		t.Error("an identity without randomness")
	}
	if _, err := os.Lstat(filepath.Join(d.Path, identityName)); err == nil {
		t.Error("it was written all the same")
	}
	d.FS = &fsx.FS{Fault: func(op fsx.Op, _ string) error {
		if op == fsx.OpRename {
			return syscall.ENOSPC
		}
		return nil
	}}
	if _, err := d.Identity(random(1)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("an identity that could not be written: %v", err)
	}
}

func wantActivity(t *testing.T, d Dir, want Activity) *Status {
	t.Helper()
	s, got, err := d.ReadStatus()
	if err != nil || got != want {
		t.Fatalf("%s (%v), want %s", got, err, want)
	}
	return s
}

func TestActivity(t *testing.T) {
	d := newDir(t)
	if s := wantActivity(t, d, Idle); !reflect.DeepEqual(s, &Status{}) {
		t.Errorf("the status of a machine that never ran: %+v", s)
	}
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	wantActivity(t, d, Running) // before its first status
	status := &Status{
		Run:        &Run{Kind: "backup", StartedAt: time.Unix(100, 0).UTC(), PID: 7, Phase: "capture", DoneBytes: 1, TotalBytes: 2, UpdatedAt: time.Unix(101, 0).UTC()},
		LastBackup: &BackupResult{BackupID: "full_20251013_030000", FinishedAt: time.Unix(50, 0).UTC(), Warnings: []repository.Warning{{Code: "c", Path: "\xff", Text: "t"}}},
		Problems:   []Problem{{"code", "text", "hint"}},
	}
	if err := d.WriteStatus(status); err != nil {
		t.Fatal(err)
	}
	if s := wantActivity(t, d, Running); !reflect.DeepEqual(s, status) || s.Version != 1 {
		t.Errorf("%+v, want %+v", s, status)
	}
	if _, err := d.Lock(); !errors.Is(err, fsx.ErrLocked) {
		t.Error(err)
	}
	lock.Unlock()
	wantActivity(t, d, Interrupted)
	status.Run = nil
	if err := d.WriteStatus(status); err != nil {
		t.Fatal(err)
	}
	if s := wantActivity(t, d, Idle); !reflect.DeepEqual(s, d.LoadStatus()) {
		t.Error("two ways of reading differ")
	}
	wantMode(t, filepath.Join(d.Path, statusName), 0o600)
}

// A run that is killed was running and is then interrupted: nothing it wrote says so, only the lock that is free.
func TestKilledRunIsInterrupted(t *testing.T) {
	d := newDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdRun+"="+d.Path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Fatalf("%q %v", line, err)
	}
	wantActivity(t, d, Running)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if s := wantActivity(t, d, Interrupted); s.Run.PID != cmd.Process.Pid {
		t.Errorf("%+v", s.Run)
	}
	lock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	lock.Unlock()
}

// However looks and runs fall together, a run that goes on or ends well is never seen as interrupted.
func TestCombine(t *testing.T) {
	at := time.Unix(100, 0)
	a, b := &Run{PID: 1, StartedAt: at}, &Run{PID: 1, StartedAt: at.Add(time.Second)}
	for name, tc := range map[string]struct {
		locks []bool // as each look finds the lock
		runs  []*Run // as each reading finds the run
		want  Activity
	}{
		"at rest":                         {[]bool{false}, []*Run{nil}, Idle},
		"running":                         {[]bool{true}, []*Run{a}, Running},
		"running, nothing written yet":    {[]bool{true}, []*Run{nil}, Running},
		"killed":                          {[]bool{false, false}, []*Run{a, a}, Interrupted},
		"killed, and the next one starts": {[]bool{false, true}, []*Run{a, a}, Running},
		"begins between lock and status":  {[]bool{false, true}, []*Run{a, a}, Running},
		"begins and ends":                 {[]bool{false, false}, []*Run{a, nil}, Idle},
		"one ends, the next begins":       {[]bool{false, false, true}, []*Run{a, b, b}, Running},
		"one ends, the next is killed":    {[]bool{false, false, false}, []*Run{a, b, b}, Interrupted},
	} {
		n := 0
		s, got, err := combine(func() (bool, error) { return tc.locks[n], nil }, func() (*Status, error) {
			n++
			return &Status{Run: tc.runs[n-1]}, nil
		})
		if got != tc.want || err != nil || n != len(tc.runs) || s.Run != tc.runs[n-1] {
			t.Errorf("%s: %s after %d looks, %v, want %s", name, got, n, err, tc.want)
		}
	}
	if s, _, err := combine(func() (bool, error) { return false, syscall.EACCES }, nil); s != nil || !errors.Is(err, syscall.EACCES) {
		t.Error(s, err)
	}
}

func TestStatusDamaged(t *testing.T) {
	for _, b := range []string{"", "{", `{"version":"x"}`, "\x00"} {
		d := newDir(t)
		d.put(t, statusName, b)
		if s, a, err := d.ReadStatus(); s != nil || a != "" || !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("%q: %v %v %v", b, s, a, err)
		}
		if s := d.LoadStatus(); !reflect.DeepEqual(s, &Status{}) {
			t.Errorf("%q: %+v", b, s)
		}
		if err := d.WriteStatus(&Status{}); err != nil {
			t.Fatal(err)
		}
		wantActivity(t, d, Idle)
	}
}

func entry(n int) HistoryEntry {
	return HistoryEntry{Time: time.Unix(int64(n), 0).UTC(), Kind: "backup", Result: "completed", Seconds: float64(n), Files: n, Error: "line\nfeed"}
}

func TestHistory(t *testing.T) {
	d := newDir(t)
	if h, err := d.History(); h != nil || err != nil {
		t.Error(h, err)
	}
	var want []HistoryEntry
	for n := range 5 {
		if err := d.AppendHistory(entry(n)); err != nil {
			t.Fatal(err)
		}
		want = append(want, entry(n))
	}
	if h, err := d.History(); err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("%v %v", h, err)
	}
	wantMode(t, filepath.Join(d.Path, historyName), 0o600)
	if strings.Count(d.read(t, historyName), "\n") != 5 {
		t.Error("a line for each run, no more")
	}
}

// Wherever a crash cuts the last line off, all lines before it are read, and those that are appended after it.
func TestHistorySurvivesACrash(t *testing.T) {
	d := newDir(t)
	for n := range 3 {
		if err := d.AppendHistory(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	whole := d.read(t, historyName)
	lastLine := strings.LastIndex(whole[:len(whole)-1], "\n") + 1
	for n := lastLine; n < len(whole)-1; n++ {
		d.put(t, historyName, whole[:n])
		if h, err := d.History(); err != nil || len(h) != 2 && n < len(whole)-1 {
			t.Fatalf("%d bytes: %d lines, %v", n, len(h), err)
		}
		if err := d.AppendHistory(entry(7)); err != nil {
			t.Fatal(err)
		}
		if h, err := d.History(); err != nil || len(h) != 3 || !reflect.DeepEqual(h[2], entry(7)) {
			t.Fatalf("%d bytes and a line: %v %v", n, h, err)
		}
	}
	d.put(t, historyName, "garbage\n\x00\x00\n{}\n[]\n"+whole)
	if h, err := d.History(); err != nil || len(h) != 3 {
		t.Error(h, err)
	}
}

func TestHistoryFaults(t *testing.T) {
	for _, fail := range []fsx.Op{fsx.OpCreate, fsx.OpWrite, fsx.OpSync} {
		d := newDir(t)
		if err := d.AppendHistory(entry(1)); err != nil {
			t.Fatal(err)
		}
		d.FS = &fsx.FS{Fault: func(op fsx.Op, _ string) error {
			if op == fail {
				return syscall.ENOSPC
			}
			return nil
		}}
		if err := d.AppendHistory(entry(2)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", fail, err)
		}
		if h, err := d.History(); err != nil || len(h) == 0 || !reflect.DeepEqual(h[0], entry(1)) {
			t.Errorf("%s: %v %v", fail, h, err)
		}
	}
}

func TestPruneJournal(t *testing.T) {
	d := newDir(t)
	if j, err := d.PruneJournal(); j != nil || err != nil {
		t.Error(j, err)
	}
	if err := d.SavePruneJournal(nil); err != nil {
		t.Errorf("removing none: %v", err)
	}
	want := &PruneJournal{
		Backups: []string{"full_20251013_030000"}, Files: map[string][]string{"full_20251013_030000": {"backup_manifest.json", "files.jsonl.gz"}},
		Chunks: []repository.Hash{repository.SumHash(nil)},
	}
	if err := d.SavePruneJournal(want); err != nil {
		t.Fatal(err)
	}
	if j, err := d.PruneJournal(); err != nil || !reflect.DeepEqual(j, want) {
		t.Errorf("%+v %v", j, err)
	}
	if err := d.SavePruneJournal(nil); err != nil {
		t.Fatal(err)
	}
	if j, err := d.PruneJournal(); j != nil || err != nil {
		t.Error(j, err)
	}
	for _, b := range []string{"", "{", `{"chunks":["short"]}`} {
		d.put(t, journalName, b)
		if j, err := d.PruneJournal(); j != nil || !errors.Is(err, repository.ErrDamaged) {
			t.Errorf("%q: %v %v", b, j, err)
		}
	}
}

// Everything that is written survives a failure at any call: the old or the new stands, and no temporary file.
func TestWriteFaults(t *testing.T) {
	for name, write := range map[string]func(d Dir) error{
		statusName:   func(d Dir) error { return d.WriteStatus(&Status{Version: 1}) },
		syncName:     func(d Dir) error { return d.SaveLedger(sampleLedger()) },
		identityName: func(d Dir) error { return d.SaveIdentity(&Identity{StateID: strings.Repeat("a", 32)}) },
		journalName:  func(d Dir) error { return d.SavePruneJournal(&PruneJournal{Backups: []string{"b"}}) },
	} {
		for n := 1; ; n++ {
			d := newDir(t)
			d.put(t, name, "old")
			calls, syncs := 0, 0
			d.FS = &fsx.FS{Fault: func(op fsx.Op, _ string) error {
				if op == fsx.OpSync || op == fsx.OpSyncDir {
					syncs++
				}
				if calls++; calls == n {
					return syscall.EIO
				}
				return nil
			}}
			err := write(d)
			temps, gerr := filepath.Glob(filepath.Join(d.Path, ".*"+fsx.TempSuffix))
			if got := d.read(t, name); gerr != nil || len(temps) > 0 || got != "old" && !strings.HasSuffix(got, "}\n") {
				t.Errorf("%s, call %d: %q, %v", name, n, got, temps)
			}
			if calls < n {
				if err != nil {
					t.Error(name, err)
				}
				// The status only repeats what lies elsewhere; the others have to survive a power cut.
				if durable := syncs == 2; durable == (name == statusName) {
					t.Errorf("%s: %d syncs", name, syncs)
				}
				break
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s, call %d: %v", name, n, err)
			}
		}
	}
}
