package sqlitesnap

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// captured is a finished snapshot.
type captured struct {
	facts Facts
	bytes []byte
}

// capture takes a snapshot as the engine does: again while it changes.
func capture(t testing.TB, path string, o Options) (captured, error) {
	t.Helper()
	if o.Scratch == "" {
		o.Scratch = t.TempDir()
	}
	var c captured
	var err error
	for o.Attempt = 0; o.Attempt < 3; o.Attempt++ {
		if c, err = captureOnce(t, path, o); !errors.Is(err, ErrChanged) {
			break
		}
	}
	emptyFolder(t, o.Scratch)
	return c, err
}

func captureOnce(t testing.TB, path string, o Options) (c captured, err error) {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, path, o)
	if err != nil {
		return c, err
	}
	defer func() {
		if e := s.Close(); e != nil {
			t.Errorf("close: %v", e)
		}
	}()
	if err := s.Read(ctx, func(p []byte) error {
		if len(p)%s.PageSize() != 0 && int64(len(c.bytes)+len(p)) != s.Size() {
			t.Errorf("a buffer of %d bytes is not made of pages of %d", len(p), s.PageSize())
		}
		c.bytes = append(c.bytes, p...)
		return nil
	}); err != nil {
		return c, err
	}
	if int64(len(c.bytes)) != s.Size() {
		t.Errorf("%d bytes read, size %d", len(c.bytes), s.Size())
	}
	c.facts, err = s.Finish(ctx)
	return c, err
}

func mustCapture(t testing.TB, path string, o Options) captured {
	t.Helper()
	c, err := capture(t, path, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func emptyFolder(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s was left behind", e.Name())
	}
}

// restore writes a snapshot to a file of its own and opens it.
func (c captured) restore(t testing.TB) *sql.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", fileURI(path)+"?immutable=1&mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// query returns the one value that a query has in the snapshot.
func (c captured) query(t testing.TB, query string) (v string) {
	t.Helper()
	db := c.restore(t)
	defer db.Close()
	if err := db.QueryRow(query).Scan(&v); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return v
}

// checkBank tests the laws of transfer.
func (c captured) checkBank(t testing.TB) {
	t.Helper()
	db := c.restore(t)
	defer db.Close()
	var sum, counter, rows int
	var integrity string
	for query, to := range map[string]any{
		"SELECT sum(balance) FROM account": &sum,
		"SELECT n FROM counter":            &counter,
		"SELECT count(*) FROM ledger":      &rows,
		"PRAGMA integrity_check":           &integrity,
	} {
		if err := db.QueryRow(query).Scan(to); err != nil {
			t.Errorf("%s: %s: %v", c.facts.Way, query, err)
		}
	}
	if integrity != "ok" || sum != accounts*balance || counter != rows {
		t.Errorf("%s: integrity %s, sum %d, counter %d, rows %d", c.facts.Way, integrity, sum, counter, rows)
	}
}

// tree is a folder's content: name to mode, time, size and hash.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = fmt.Sprintf("%v %d %d %x", fi.Mode(), fi.ModTime().UnixNano(), len(b), sha256.Sum256(b))
	}
	fi, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	out["."] = fmt.Sprint(fi.ModTime().UnixNano())
	return out
}

// sameTree says what has changed in a folder.
func sameTree(t testing.TB, before, after map[string]string) {
	t.Helper()
	for name, was := range before {
		if is, ok := after[name]; !ok {
			t.Errorf("%s is gone", name)
		} else if is != was {
			t.Errorf("%s has changed: %s is now %s", name, was, is)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was created", name)
		}
	}
}

// makeReserved makes a database of one page with reserved bytes at the end of each, as encryption extensions have.
func makeReserved(t testing.TB, path string, reserved byte) {
	t.Helper()
	create(t, path, "PRAGMA user_version = 1")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[20] = reserved
	binary.BigEndian.PutUint16(b[105:], uint16(len(b)-int(reserved))) // where cells begin
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func appendBytes(t testing.TB, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.Write(b)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A database at rest is captured byte for byte, whatever it is made of and however it is called.
func TestAtRest(t *testing.T) {
	const table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB)"
	const rows = "INSERT INTO t SELECT value, hex(randomblob(20)), randomblob(900) FROM generate_series(1, 400)"
	for _, tc := range []struct {
		name       string // of the file, and of the case
		statements []string
		want       Facts
	}{
		{"plain.db", []string{table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"wal.db", []string{"PRAGMA journal_mode = WAL", table, rows}, Facts{PageSize: 4096, JournalMode: "wal", Encoding: "UTF-8"}},
		{"page512.sqlite", []string{"PRAGMA page_size = 512", table, rows}, Facts{PageSize: 512, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"page1024wal", []string{"PRAGMA page_size = 1024", "PRAGMA journal_mode = WAL", table, rows}, Facts{PageSize: 1024, JournalMode: "wal", Encoding: "UTF-8"}},
		{"page65536.db", []string{"PRAGMA page_size = 65536", table, rows}, Facts{PageSize: 65536, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"utf16.db", []string{"PRAGMA encoding = 'UTF-16le'", table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-16le"}},
		{"utf16be.db", []string{"PRAGMA encoding = 'UTF-16be'", table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-16be"}},
		{"versions.db", []string{"PRAGMA user_version = -7", "PRAGMA application_id = 1234567890", table, rows},
			Facts{PageSize: 4096, UserVersion: -7, ApplicationID: 1234567890, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"auto vacuum.db", []string{"PRAGMA auto_vacuum = INCREMENTAL", table, rows, "DELETE FROM t WHERE a % 3 = 0", "PRAGMA incremental_vacuum(5)"},
			Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"without-rowid.db", []string{"CREATE TABLE t(a TEXT PRIMARY KEY, b) WITHOUT ROWID", "INSERT INTO t SELECT hex(randomblob(9)), value FROM generate_series(1, 400)"},
			Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"reserved.db", []string{table, rows}, Facts{PageSize: 4096, UserVersion: 1, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"bytes after the end.db", []string{table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"empty schema.db", []string{"PRAGMA user_version = 3"}, Facts{PageSize: 4096, UserVersion: 3, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"what?mode=rw#x&%41.db", []string{table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"file:name with spaces", []string{table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
		{"-rf\n'\"; newline é.db", []string{"PRAGMA journal_mode = WAL", table, rows}, Facts{PageSize: 4096, JournalMode: "wal", Encoding: "UTF-8"}},
		{":memory:", []string{table, rows}, Facts{PageSize: 4096, JournalMode: "rollback", Encoding: "UTF-8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, tc.name)
			if tc.name == "reserved.db" {
				makeReserved(t, path, 32)
			}
			create(t, path, tc.statements...)
			if tc.name == "bytes after the end.db" {
				appendBytes(t, path, make([]byte, 4096+100))
			}
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(source) == 0 || tc.name == "reserved.db" && source[20] != 32 {
				t.Fatalf("the fixture is not what it should be: %d bytes", len(source))
			}
			before := tree(t, dir)
			c := mustCapture(t, path, Options{FullCheck: true})
			checked, err := CheckFile(t.Context(), path, Full)
			if err != nil {
				t.Fatal(err)
			}
			sameTree(t, before, tree(t, dir))
			if !bytes.Equal(c.bytes, source) {
				t.Errorf("%d bytes that are not the file's %d", len(c.bytes), len(source))
			}
			want := tc.want
			want.Way, want.Check, want.CheckResult = WayPlain, "integrity_check", "ok"
			want.Pages = int64(len(source) / want.PageSize)
			want.Tables = map[string]int64{}
			if len(tc.statements) > 1 {
				want.Tables["t"] = 400
			}
			if tc.name == "auto vacuum.db" {
				want.Tables["t"] = 267
			}
			for _, got := range []Facts{c.facts, checked} {
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("facts\n%+v, want\n%+v", got, want)
				}
			}
		})
	}
}

// The folder may be reached through a symbolic link: the sidecars lie beside the file itself.
func TestLinkedFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "real", "a.db")
	makeBank(t, path, "journal_mode = WAL")
	w := start(t, orders{Path: path, SQL: []string{"PRAGMA user_version = 5"}})
	c := mustCapture(t, filepath.Join(dir, "link", "a.db"), Options{})
	if c.checkBank(t); c.facts.Way != WayWAL || c.facts.UserVersion != 5 {
		t.Errorf("facts %+v", c.facts)
	}
	w.stop()
}

func TestFullCheckCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	create(t, path,
		"CREATE TABLE parent(id INTEGER PRIMARY KEY)",
		`CREATE TABLE "odd ""name"", 'quoted'"(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id))`,
		"INSERT INTO parent SELECT value FROM generate_series(1, 10)",
		`INSERT INTO "odd ""name"", 'quoted'"(parent) SELECT value FROM generate_series(1, 13)`,
		"CREATE VIRTUAL TABLE search USING fts5(text)",
		"INSERT INTO search VALUES ('some words')",
		"CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT)",
	)
	c := mustCapture(t, path, Options{FullCheck: true})
	f := c.facts
	if f.ForeignKeyProblems != 3 || f.Tables["parent"] != 10 || f.Tables[`odd "name", 'quoted'`] != 13 {
		t.Errorf("facts %+v", f)
	}
	if n, ok := f.Tables["search"]; ok {
		t.Errorf("a virtual table has %d rows", n)
	}
	if _, ok := f.Tables["sqlite_sequence"]; ok {
		t.Error("tables of SQLite's own are counted")
	}
	if f.Check != "integrity_check" || f.CheckResult != "ok" {
		t.Errorf("facts %+v", f)
	}
	c = mustCapture(t, path, Options{})
	if f := c.facts; f.Check != "quick_check" || f.CheckResult != "ok" || f.Tables != nil || f.ForeignKeyProblems != 0 {
		t.Errorf("facts of a quick check %+v", f)
	}
	c = mustCapture(t, path, Options{NoCheck: true})
	if f := c.facts; f.Check != "none" || f.CheckResult != "" {
		t.Errorf("facts without check %+v", f)
	}
}
