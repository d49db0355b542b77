package engine_test

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/event"
)

// TestMovedFromWAL: rows that stood in the -wal when the inventory was taken, and are moved into the database before it is captured,
// are in the backup, though the file was as in the last one and there is nothing in a -wal any more.
func TestMovedFromWAL(t *testing.T) {
	t.Parallel()
	for what, move := range map[string]func(*sql.DB) error{
		"the connection stays": func(db *sql.DB) error {
			_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
			return err
		},
		"the last connection closes": (*sql.DB).Close,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			const name = "claude/data/moved.db"
			r := newRig(t)
			r.clock = time.Now().Add(24 * time.Hour) // what was written today has rested
			db, err := sql.Open("sqlite", filepath.Join(r.fix.Root, name)+"?_pragma=journal_mode(wal)&_pragma=wal_autocheckpoint(0)")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			exec := func(statements ...string) {
				t.Helper()
				for _, s := range statements {
					if _, err := db.Exec(s); err != nil {
						t.Fatalf("%s: %v", s, err)
					}
				}
			}
			exec("CREATE TABLE t(x)", "INSERT INTO t VALUES (1)", "PRAGMA wal_checkpoint(TRUNCATE)")
			r.backup()
			exec("INSERT INTO t VALUES (2)")
			moved := false
			r.sink = func(e event.Event) {
				if e.Kind == event.PhaseStarted && e.Phase == event.Capture && !moved {
					moved = true
					if err := move(db); err != nil {
						t.Errorf("move: %v", err)
					}
				}
			}
			id := r.backup().BackupID
			to := filepath.Join(t.TempDir(), "to")
			if _, err := r.engine().Restore(t.Context(), engine.RestoreOptions{Backup: id, To: to, Paths: []string{name}}); err != nil || !moved {
				t.Fatalf("moved: %v, %v", moved, err)
			}
			restored, err := sql.Open("sqlite", filepath.Join(to, name))
			if err != nil {
				t.Fatal(err)
			}
			defer restored.Close()
			var n int
			if err := restored.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 2 {
				t.Errorf("%d rows, %v", n, err)
			}
		})
	}
}

// TestEmptyWAL: a database with an empty -wal beside it is not read again while nothing changes.
func TestEmptyWAL(t *testing.T) {
	t.Parallel()
	const name = "claude/data/quiet.db"
	r := newRig(t)
	r.clock = time.Now().Add(24 * time.Hour)
	db, err := sql.Open("sqlite", filepath.Join(r.fix.Root, name)+"?_pragma=journal_mode(wal)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range []string{"CREATE TABLE t(x)", "INSERT INTO t VALUES (1)", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	r.backup()
	// A superuser's SQLite gives the file to the database's owner whenever it looks.
	write(t, filepath.Join(r.fix.Root, name+"-wal"), nil)
	before := read(t, filepath.Join(r.state, "stat.cache"))
	r.backup()
	if after := read(t, filepath.Join(r.state, "stat.cache")); !bytes.Contains(after, []byte(name)) || !bytes.Equal(after, before) {
		t.Error("it was read again")
	}
}
