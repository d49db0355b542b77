package engine_test

import (
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/fixture"
	"maia-dr/engine/repository"
)

// TestDepthOfCheck: an index that disagrees with its table is found in what is restored, except in a large database that passed a
// check of the whole file when it was captured; a page that nothing uses is found there too.
func TestDepthOfCheck(t *testing.T) {
	t.Parallel()
	const small = "claude/data/small.db"
	f := &forge{rig: newRig(t)}
	f.statements(small, "CREATE TABLE tickets(status)", "CREATE INDEX tickets_status ON tickets(status)", "INSERT INTO tickets VALUES ('new')")
	for _, name := range []string{small, fixture.TicketDB} {
		f.statements(name,
			"PRAGMA journal_mode = DELETE",
			// If SQLite comes upon a view first, it does not look for pages that nothing uses.
			"DROP VIEW IF EXISTS open_tickets",
			"CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'tickets_status'",
			"PRAGMA writable_schema = ON",
			"DELETE FROM sqlite_schema WHERE name = 'tickets_status'",
		)
		f.statements(name,
			"UPDATE tickets SET status = 'lost' WHERE rowid = (SELECT max(rowid) FROM tickets)",
			"PRAGMA writable_schema = ON",
			"INSERT INTO sqlite_schema SELECT * FROM hidden",
		)
		path := filepath.Join(f.fix.Root, name)
		b := read(t, path)
		size := int(binary.BigEndian.Uint16(b[16:]))
		b = append(b, make([]byte, size)...)
		binary.BigEndian.PutUint32(b[28:], uint32(len(b)/size))
		write(t, path, b)
	}
	id := f.backup().BackupID
	f.state = filepath.Join(f.base, "state-of-another")
	repo := repository.Repo{Dir: f.repo()}
	var err error
	if f.m, _, err = repo.ReadManifest(id); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		check string
		other bool // the manifest speaks of other bytes
		whole bool
	}{
		{"quick_check", false, false}, {"integrity_check", false, false},
		{"quick_check_partial", false, true}, {"integrity_check_partial", false, true}, {"none", false, true}, {"", false, true},
		{"quick_check", true, true},
	} {
		sound := 0
		for _, c := range f.m.Components {
			for i := range c.Databases {
				if db := &c.Databases[i]; db.Path == small || db.Path == fixture.TicketDB {
					db.Facts.Check, db.Facts.CheckResult = tc.check, "ok"
					if tc.other {
						db.SHA256[0] ^= 1
					}
					sound++
				}
			}
		}
		f.saveManifest()
		res, err := f.engine().Restore(t.Context(), engine.RestoreOptions{Backup: id, To: filepath.Join(t.TempDir(), "to"), Paths: []string{small, fixture.TicketDB}})
		if err != nil || sound != 2 || len(res.Doubtful) != 2 {
			t.Fatalf("%s: %+v, %v", tc.check, res, err)
		}
		for _, d := range res.Doubtful {
			whole := tc.whole || strings.HasPrefix(d, small)
			if !strings.Contains(d, "never used") || strings.Contains(d, "missing from index tickets_status") != whole {
				t.Errorf("%s: %s", tc.check, d)
			}
		}
	}
}

// statements runs SQL on a database of the root, on a connection of its own.
func (f *forge) statements(name string, statements ...string) {
	f.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(f.fix.Root, name))
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			f.t.Fatalf("%s: %s: %v", name, s, err)
		}
	}
}
