package sqlitesnap

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

const oneTransfer = "BEGIN; UPDATE account SET balance = balance - 7 WHERE id = 1; UPDATE account SET balance = balance + 7 WHERE id = 2; COMMIT"

// A WAL database in use, with data that only its -wal has: nothing beside it changes, not even the -shm.
func TestWALInUse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	makeBank(t, path, "journal_mode = WAL")
	w := start(t, orders{Path: path, SQL: []string{
		oneTransfer, "PRAGMA user_version = 9",
		"CREATE TABLE more(b)", "INSERT INTO more SELECT randomblob(3000) FROM (SELECT 1 FROM account LIMIT 100)",
	}})
	before := tree(t, dir)
	file, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	c := mustCapture(t, path, Options{FullCheck: true})
	c.checkBank(t)
	if f := c.facts; f.Way != WayWAL || f.JournalMode != "wal" || f.UserVersion != 9 || f.Tables["more"] != 100 || f.CheckResult != "ok" {
		t.Errorf("facts %+v", f)
	}
	if int64(len(c.bytes)) <= file.Size() || c.facts.Pages*int64(c.facts.PageSize) != int64(len(c.bytes)) {
		t.Errorf("%d bytes, %d pages; the file has %d bytes", len(c.bytes), c.facts.Pages, file.Size())
	}
	sameTree(t, before, tree(t, dir))

	// When everything is in the file, the pages are the file.
	w.stop()
	w = start(t, orders{Path: path, SQL: []string{oneTransfer, "PRAGMA wal_checkpoint(TRUNCATE)"}})
	c = mustCapture(t, path, Options{})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.facts.Way != WayWAL || string(b) != string(c.bytes) {
		t.Errorf("way %s: the pages are not the file", c.facts.Way)
	}
	w.stop()
}

// Where the -shm has to be opened as writers do, nothing is created either, and the writer goes on.
func TestWALSharedShm(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	makeBank(t, path, "journal_mode = WAL")
	w := start(t, orders{Path: path, SQL: []string{oneTransfer}})
	before := tree(t, dir)
	s := &Snapshot{path: path}
	defer s.Close()
	s.o.applyDefaults()
	if err := s.take(t.Context(), t.Context(), hints{sharedShm: true}); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Finish(t.Context()); err != nil || f.Way != WayWAL || f.CheckResult != "ok" {
		t.Errorf("%+v, %v", f, err)
	}
	s.Close()
	after := tree(t, dir)
	delete(before, "a.db-shm")
	if _, ok := after["a.db-shm"]; !ok {
		t.Error("the -shm is gone")
	}
	delete(after, "a.db-shm")
	sameTree(t, before, after)
	w.stop()
}

// A snapshot of what a crash left is read while a program comes back, writes a lot and tries to write it all into the
// file: it stays as it was at Open, and the program goes on.
func TestWriterReturns(t *testing.T) {
	matrix.Count(t, 1, "14")
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path, "journal_mode = WAL")
	start(t, orders{Path: path, SQL: []string{oneTransfer, "PRAGMA user_version = 3"}}).kill()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var c captured
	var w *child
	if err := s.Read(t.Context(), func(p []byte) error {
		if c.bytes == nil {
			w = start(t, orders{Path: path, SQL: []string{
				"PRAGMA wal_autocheckpoint = 1", "PRAGMA user_version = 4", "PRAGMA busy_timeout = 50",
				"UPDATE account SET filler = randomblob(3000), balance = balance - 1",
				"PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)",
				"UPDATE account SET filler = randomblob(2999), balance = balance + 1", "DELETE FROM ledger", "VACUUM",
			}})
		}
		c.bytes = append(c.bytes, p...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if c.facts, err = s.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.checkBank(t); c.facts.Way != WayWAL || c.facts.UserVersion != 3 || c.facts.CheckResult != "ok" {
		t.Errorf("facts %+v", c.facts)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	c = mustCapture(t, path, Options{})
	if c.facts.UserVersion != 4 || c.query(t, "SELECT count(*) FROM ledger") != "0" {
		t.Errorf("facts of the next %+v", c.facts)
	}
	w.stop()
}

// The clock that settle goes by is the file system's; the next change after it gives the file another time.
func TestSettle(t *testing.T) {
	s := &Snapshot{o: Options{Scratch: t.TempDir()}}
	const second = int64(time.Second)
	for _, tc := range []struct {
		name string
		last func(now int64) int64 // change
		wait time.Duration         // at least
	}{
		{"long ago", func(now int64) int64 { return now - 60*second | 1 }, 0},
		{"just now", func(now int64) int64 { return now + 12e6 | 1 }, 0},
		{"in the future", func(now int64) int64 { return now + 3600*second | 1 }, 20 * time.Millisecond},
		{"whole seconds, long ago", func(now int64) int64 { return (now/second - 60) * second }, 0},
		{"whole seconds, just now", func(now int64) int64 { return now / second * second }, time.Second / 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			now, ok := s.clock()
			if !ok {
				t.Fatal("no clock")
			}
			last := tc.last(now)
			began := time.Now()
			if err := s.settle(t.Context(), look{main: stamp{mtime: last, ctime: last}}); err != nil {
				t.Error(err)
			}
			if after, ok := s.clock(); !ok || last < now+second && after <= last {
				t.Errorf("the clock says %d, which is not past the change of %d", after, last)
			}
			if took := time.Since(began); took < tc.wait || tc.wait == 0 && took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// The last program closes the database after the look, or while the snapshot is read: what lies beside stays, is whole,
// and goes when the database is next used.
func TestLastWriterCloses(t *testing.T) {
	matrix.Count(t, 1, "14")
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	makeBank(t, path, "journal_mode = WAL")
	w := start(t, orders{Path: path, SQL: []string{oneTransfer}})
	before := tree(t, dir)

	s := &Snapshot{path: path, o: Options{Scratch: t.TempDir()}}
	defer s.Close()
	s.o.applyDefaults()
	var err error
	if s.src, err = openSource(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := s.src.lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, err := s.src.look(); err != nil || !l.wal.exists() || !l.shm.exists() {
		t.Fatalf("look %+v, %v", l, err)
	}
	w.stop()
	if err := s.takeWAL(t.Context(), hints{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	sameTree(t, before, tree(t, dir))

	// Nobody has it open now, and its -wal holds data.
	c := mustCapture(t, path, Options{})
	if c.checkBank(t); c.facts.Way != WayWAL {
		t.Errorf("way %s", c.facts.Way)
	}
	sameTree(t, before, tree(t, dir))

	start(t, orders{Path: path, SQL: []string{oneTransfer}}).stop()
	if after := tree(t, dir); len(after) != 2 {
		t.Errorf("after the next use: %d entries", len(after))
	}
	c = mustCapture(t, path, Options{})
	if c.checkBank(t); c.facts.Way != WayPlain {
		t.Errorf("way %s", c.facts.Way)
	}
}

// A rollback database whose journal is in use is copied as it was before the transaction.
func TestRollbackInUse(t *testing.T) {
	faults := matrix.Of(t, "14")
	for _, mode := range []string{"DELETE", "TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			faults.Inject()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.db")
			makeBank(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			w := start(t, orders{Path: path, Pragmas: []string{"journal_mode = " + mode}, SQL: []string{
				"BEGIN IMMEDIATE", "UPDATE account SET balance = balance + 1",
			}})
			beside := tree(t, dir)
			c := mustCapture(t, path, Options{})
			if c.checkBank(t); c.facts.Way != WayCopy || string(c.bytes) != string(before) {
				t.Errorf("way %s, same bytes: %v", c.facts.Way, string(c.bytes) == string(before))
			}
			sameTree(t, beside, tree(t, dir))
			w.stop()
		})
	}
}

// The journal of a finished transaction may stay, empty or with a header of zeros: it is not hot.
func TestColdJournal(t *testing.T) {
	for _, mode := range []string{"TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "a.db")
			makeBank(t, path)
			start(t, orders{Path: path, Pragmas: []string{"journal_mode = " + mode}, SQL: []string{oneTransfer, "PRAGMA user_version = 4"}}).stop()
			before := tree(t, dir)
			if _, ok := before["a.db-journal"]; !ok {
				t.Fatal("no journal was left")
			}
			c := mustCapture(t, path, Options{})
			if c.checkBank(t); c.facts.Way != WayCopy || c.facts.UserVersion != 4 {
				t.Errorf("facts %+v", c.facts)
			}
			sameTree(t, before, tree(t, dir))
		})
	}
}

// What a crash left is recovered in the copy, and stays as it is at the source.
func TestCrashed(t *testing.T) {
	faults := matrix.Of(t, "14")
	uncommitted := []string{"BEGIN IMMEDIATE", "UPDATE account SET balance = balance + 1, filler = randomblob(3000)", "UPDATE counter SET n = -1"}
	for _, tc := range []struct {
		name    string
		pragmas []string
		sql     []string
		remove  string
		want    Facts
	}{
		// With a small cache, half of the transaction is in the file already.
		{"hot journal", []string{"cache_size = 5"}, uncommitted, "", Facts{Way: WayRecovered, UserVersion: 0}},
		{"hot journal, PERSIST", []string{"journal_mode = PERSIST", "cache_size = 5"}, uncommitted, "", Facts{Way: WayRecovered, UserVersion: 0}},
		{"wal and shm", []string{"journal_mode = WAL", "cache_size = 5"}, append([]string{oneTransfer, "PRAGMA user_version = 6"}, uncommitted...), "", Facts{Way: WayWAL, UserVersion: 6}},
		{"wal without shm", []string{"journal_mode = WAL", "cache_size = 5"}, append([]string{oneTransfer, "PRAGMA user_version = 6"}, uncommitted...), "a.db-shm", Facts{Way: WayRecovered, UserVersion: 6}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			faults.Inject()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.db")
			makeBank(t, path)
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			start(t, orders{Path: path, Pragmas: tc.pragmas, SQL: tc.sql}).kill()
			if tc.remove != "" {
				if err := os.Remove(filepath.Join(dir, tc.remove)); err != nil {
					t.Fatal(err)
				}
			}
			if torn, err := os.ReadFile(path); err != nil || tc.want.Way == WayRecovered && tc.want.UserVersion == 0 && string(torn) == string(whole) {
				t.Fatalf("the crash left the file whole, or %v", err)
			}
			before := tree(t, dir)
			c := mustCapture(t, path, Options{FullCheck: true})
			if c.checkBank(t); c.facts.Way != tc.want.Way || c.facts.UserVersion != tc.want.UserVersion || c.facts.CheckResult != "ok" {
				t.Errorf("facts %+v", c.facts)
			}
			sameTree(t, before, tree(t, dir))
		})
	}
}

func TestLocked(t *testing.T) {
	faults := matrix.Of(t, "14")
	for _, tc := range []struct {
		name    string
		pragmas []string
		sql     []string
		locked  bool
		way     string // when it is not locked
	}{
		{"exclusive transaction", nil, []string{"BEGIN EXCLUSIVE"}, true, ""},
		{"exclusive mode", []string{"locking_mode = EXCLUSIVE"}, []string{oneTransfer}, true, ""},
		{"exclusive mode, WAL", []string{"locking_mode = EXCLUSIVE", "journal_mode = WAL"}, []string{oneTransfer}, true, ""},
		{"exclusive transaction, WAL", []string{"journal_mode = WAL"}, []string{"BEGIN EXCLUSIVE", "UPDATE counter SET n = -1"}, false, WayWAL},
		{"long reader", nil, []string{"BEGIN", "SELECT count(*) FROM ledger"}, false, WayPlain},
		{"long reader, WAL", []string{"journal_mode = WAL"}, []string{"BEGIN", "SELECT count(*) FROM ledger"}, false, WayWAL},
	} {
		t.Run(tc.name, func(t *testing.T) {
			faults.Inject()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.db")
			makeBank(t, path)
			w := start(t, orders{Path: path, Pragmas: tc.pragmas, SQL: tc.sql})
			before := tree(t, dir)
			began := time.Now()
			c, err := capture(t, path, Options{LockedTimeout: 200 * time.Millisecond})
			took := time.Since(began)
			sameTree(t, before, tree(t, dir))
			if !tc.locked {
				if err != nil {
					t.Fatal(err)
				}
				if c.checkBank(t); c.facts.Way != tc.way {
					t.Errorf("way %s, want %s", c.facts.Way, tc.way)
				}
				w.stop()
				return
			}
			if !errors.Is(err, ErrLocked) || took < 150*time.Millisecond || took > 10*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
			// It waits, and goes on when the lock is gone.
			done := make(chan struct{})
			time.AfterFunc(100*time.Millisecond, func() { w.stop(); close(done) })
			c = mustCapture(t, path, Options{})
			c.checkBank(t)
			<-done
		})
	}
}

// A copy that takes too long lets the lock go, is tried again, and in the end given up.
func TestCopyLimit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	makeBank(t, path)
	w := start(t, orders{Path: path, SQL: []string{"BEGIN IMMEDIATE", "UPDATE counter SET n = -1"}})
	_, err := capture(t, path, Options{CopyLimit: time.Nanosecond, LockedTimeout: 100 * time.Millisecond})
	if !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	w.stop()
	acc := start(t, orders{Path: path, Transfers: true}).stop()
	if len(acc.Failures) > 0 {
		t.Errorf("a writer afterwards: %v", acc.Failures)
	}
}

// In way plain everything that happens to the file while it is read makes the snapshot worthless, and is noticed.
func TestChanged(t *testing.T) {
	faults := matrix.Of(t, "13", "14")
	for _, tc := range []struct {
		name   string
		mode   string
		change func(path string) error
	}{
		{"a transaction", "DELETE", nil},
		{"a transaction, WAL", "WAL", nil},
		{"a byte, at once", "DELETE", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{1}, 5000)
			return errors.Join(err, f.Close())
		}},
		{"growth", "DELETE", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.Write([]byte("more"))
			return errors.Join(err, f.Close())
		}},
		{"truncation", "DELETE", func(path string) error { return os.Truncate(path, 8192) }},
		{"emptying", "DELETE", func(path string) error { return os.Truncate(path, 0) }},
		{"removal", "DELETE", os.Remove},
		{"replacement by an equal file", "DELETE", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fi, err := os.Stat(path)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(path+".new", b, 0o600), os.Chtimes(path+".new", fi.ModTime(), fi.ModTime()), os.Rename(path+".new", path))
		}},
		{"times set back", "DELETE", func(path string) error {
			fi, err := os.Stat(path)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{1}, 5000)
			return errors.Join(err, f.Close(), os.Chtimes(path, fi.ModTime(), fi.ModTime()))
		}},
		{"a journal", "DELETE", func(path string) error { return os.WriteFile(path+"-journal", nil, 0o600) }},
		{"a wal", "WAL", func(path string) error { return os.WriteFile(path+"-wal", nil, 0o600) }},
		{"a shm", "WAL", func(path string) error { return os.WriteFile(path+"-shm", nil, 0o600) }},
	} {
		for _, when := range []string{"before", "while", "after"} {
			t.Run(tc.name+"/"+when+" it is read", func(t *testing.T) {
				faults.Inject()
				path := filepath.Join(t.TempDir(), "a.db")
				makeBank(t, path, "journal_mode = "+tc.mode)
				change := func() {
					if tc.change == nil {
						start(t, orders{Path: path, SQL: []string{oneTransfer}}).kill()
					} else if err := tc.change(path); err != nil {
						t.Fatal(err)
					}
				}
				s, err := Open(t.Context(), path, Options{Scratch: t.TempDir()})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if s.way != WayPlain {
					t.Fatalf("way %s", s.way)
				}
				if when == "before" {
					change()
				}
				n := 0
				err = s.Read(t.Context(), func([]byte) error {
					if n++; n == 2 && when == "while" {
						change()
					}
					return nil
				})
				if when == "after" {
					change()
				}
				if err == nil {
					_, err = s.Finish(t.Context())
				}
				if !errors.Is(err, ErrChanged) {
					t.Errorf("read and finished with %v", err)
				}
			})
		}
	}
}

// After ErrChanged ways are taken that no writer can spoil.
func TestAttempt(t *testing.T) {
	for mode, want := range map[string]string{"DELETE": WayCopy, "WAL": WayPlain} {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			makeBank(t, path, "journal_mode = "+mode)
			s, err := Open(t.Context(), path, Options{Scratch: t.TempDir(), Attempt: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var c captured
			if err := s.Read(t.Context(), func(p []byte) error {
				if c.bytes == nil {
					// Neither waits nor disturbs.
					w := start(t, orders{Path: path, SQL: []string{oneTransfer, "PRAGMA user_version = 8"}})
					defer w.stop()
				}
				c.bytes = append(c.bytes, p...)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if c.facts, err = s.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if c.checkBank(t); c.facts.Way != want || c.facts.UserVersion != 0 {
				t.Errorf("facts %+v", c.facts)
			}
			c = mustCapture(t, path, Options{})
			if c.checkBank(t); c.facts.UserVersion != 8 {
				t.Errorf("facts of the next %+v", c.facts)
			}
		})
	}
}

// A file is open once at a time: closing a second descriptor would drop the locks of the first.
func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path)
	twin := path + ".twin"
	if err := os.Link(path, twin); err != nil {
		t.Fatal(err)
	}
	first, err := Open(t.Context(), path, Options{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := Open(t.Context(), twin, Options{LockedTimeout: 50 * time.Millisecond}); !errors.Is(err, ErrLocked) {
		t.Errorf("the second: %v", err)
	}
	var closing atomic.Bool
	closed := make(chan error)
	time.AfterFunc(50*time.Millisecond, func() {
		closing.Store(true)
		closed <- first.Close()
	})
	second, err := Open(t.Context(), twin, Options{Scratch: t.TempDir()})
	if err != nil || !closing.Load() {
		t.Errorf("the first was being closed: %v; %v", closing.Load(), err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path, "journal_mode = WAL")
	for _, live := range []bool{false, true} {
		if live {
			w := start(t, orders{Path: path, SQL: []string{oneTransfer}})
			defer w.stop()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := Open(ctx, path, Options{Scratch: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Read(ctx, func([]byte) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("live %v: read: %v", live, err)
		}
		if _, err := s.Finish(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("live %v: finish: %v", live, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("live %v: close: %v", live, err)
		}
		if _, err := Open(ctx, path, Options{Scratch: t.TempDir()}); !errors.Is(err, context.Canceled) {
			t.Errorf("live %v: open: %v", live, err)
		}
	}
	locked := filepath.Join(t.TempDir(), "locked.db")
	makeBank(t, locked)
	w := start(t, orders{Path: locked, SQL: []string{"BEGIN EXCLUSIVE"}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := Open(ctx, locked, Options{Scratch: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a lock: %v", err)
	}
	w.stop()
}

// What can no longer deliver Size bytes says so at once, and not only in the end.
func TestShortRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path, "journal_mode = DELETE")
	s, err := Open(t.Context(), path, Options{Scratch: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, s.Size()-int64(s.PageSize())); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), func([]byte) error { return nil }); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want %v", err, ErrChanged)
	}
}

// An error of the caller's function comes back as it is; a second Read delivers the same.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path, "journal_mode = WAL")
	for _, live := range []bool{false, true} {
		if live {
			w := start(t, orders{Path: path, SQL: []string{oneTransfer}})
			defer w.stop()
		}
		s, err := Open(t.Context(), path, Options{Scratch: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		mine := errors.New("mine")
		n := 0
		if err := s.Read(t.Context(), func([]byte) error {
			if n++; n == 2 {
				return mine
			}
			return nil
		}); !errors.Is(err, mine) || n != 2 {
			t.Errorf("live %v: %v after %d calls", live, err, n)
		}
		func() {
			defer func() { recover() }()
			s.Read(t.Context(), func([]byte) error { panic("mine too") })
		}()
		var twice [2][]byte
		for i := range twice {
			if err := s.Read(t.Context(), func(p []byte) error { twice[i] = append(twice[i], p...); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if int64(len(twice[0])) != s.Size() || string(twice[0]) != string(twice[1]) {
			t.Errorf("live %v: %d and %d bytes of %d", live, len(twice[0]), len(twice[1]), s.Size())
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
