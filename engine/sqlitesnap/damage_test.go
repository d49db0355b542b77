package sqlitesnap

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"

	"maia-dr/packaging/ci/faults/matrix"
)

// What is no database, or none that can be read, is told apart, and the file is left as it is.
func TestNoDatabase(t *testing.T) {
	faults := matrix.Of(t, "14")
	noise := func(b []byte) {
		r := rand.NewChaCha8([32]byte{1})
		r.Read(b)
	}
	for _, tc := range []struct {
		name   string
		damage func(b []byte) []byte
		want   error
	}{
		{"noise after the magic", func(b []byte) []byte { noise(b[16:]); return b }, ErrNotDatabase},
		{"noise after the header", func(b []byte) []byte { noise(b[100:]); return b }, ErrNotDatabase},
		{"noise after 32 bytes, as encryption leaves it", func(b []byte) []byte { noise(b[32:]); return b }, ErrNotDatabase},
		{"text after the magic", func([]byte) []byte { return []byte("SQLite format 3\x00 is how such files begin.") }, ErrNotDatabase},
		{"the magic alone", func([]byte) []byte { return []byte("SQLite format 3\x00") }, ErrNotDatabase},
		{"no magic", func(b []byte) []byte { noise(b); return b }, ErrNotDatabase},
		{"nothing", func([]byte) []byte { return nil }, ErrNotDatabase},
		{"only the header", func(b []byte) []byte { return b[:100] }, ErrNotDatabase},
		{"zeros after the magic", func(b []byte) []byte { clear(b[16:]); return b }, ErrNotDatabase},
		{"impossible page size", func(b []byte) []byte { b[16], b[17] = 3, 0; return b }, ErrNotDatabase},
		{"later format", func(b []byte) []byte { b[18], b[19] = 3, 3; return b }, ErrNotDatabase},
		{"a schema that makes no sense", func(b []byte) []byte {
			return bytes.Replace(b, []byte("CREATE TABLE account("), []byte("CREATE ELBAT account("), 1)
		}, ErrCorrupt},
		{"a lost end", func(b []byte) []byte { return b[:len(b)-3*4096] }, ErrCorrupt},
		{"a lost end, within a page", func(b []byte) []byte { return b[:len(b)-5000] }, ErrCorrupt},
		{"later schema format", func(b []byte) []byte { b[47] = 9; return b }, ErrNotDatabase},
		{"a schema whose cells are noise", func(b []byte) []byte { noise(b[108:4096]); return b }, ErrCorrupt},
	} {
		for _, wal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/wal=%v", tc.name, wal), func(t *testing.T) {
				faults.Inject()
				dir := t.TempDir()
				path := filepath.Join(dir, "a.db")
				makeBank(t, path)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, tc.damage(b), 0o600); err != nil {
					t.Fatal(err)
				}
				if wal {
					// Enough to be taken for a WAL database in use. SQLite would delete the -wal of an empty file.
					for _, suffix := range []string{"-wal", "-shm"} {
						if err := os.WriteFile(path+suffix, nil, 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
				before := tree(t, dir)
				_, err = capture(t, path, Options{LockedTimeout: 1e9})
				if !errors.Is(err, tc.want) {
					t.Errorf("capture: %v, want %v", err, tc.want)
				}
				if _, err := CheckFile(t.Context(), path, Full); !errors.Is(err, tc.want) {
					t.Errorf("check: %v, want %v", err, tc.want)
				}
				sameTree(t, before, tree(t, dir))
			})
		}
	}
}

func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	makeBank(t, path)
	if err := os.Symlink("a.db", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"missing": os.ErrNotExist, "no/folder": os.ErrNotExist, "link": ErrNotDatabase, "fifo": ErrNotDatabase, ".": ErrNotDatabase,
	} {
		if _, err := capture(t, filepath.Join(dir, name), Options{}); !errors.Is(err, want) {
			t.Errorf("%s: capture: %v", name, err)
		}
		if _, err := CheckFile(t.Context(), filepath.Join(dir, name), Quick); !errors.Is(err, want) {
			t.Errorf("%s: check: %v", name, err)
		}
	}
}

// Something else under a sidecar's name keeps SQLite out, at once and not after every timeout.
func TestOddSidecar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeBank(t, path, "journal_mode = WAL")
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Mkdir(path+suffix, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := Open(ctx, path, Options{Scratch: t.TempDir()}); !errors.Is(err, ErrNotDatabase) {
		t.Error(err)
	}
}

// Damage below the schema does not keep a database from being captured as it is; the check finds it.
func TestDamage(t *testing.T) {
	faults := matrix.Of(t, "14")
	for _, tc := range []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"a page of zeros", func(b []byte) []byte { clear(b[5*4096 : 6*4096]); return b }},
		{"a page of noise", func(b []byte) []byte {
			r := rand.NewChaCha8([32]byte{2})
			r.Read(b[9*4096 : 10*4096])
			return b
		}},
	} {
		for _, way := range []string{WayPlain, WayCopy, WayWAL} {
			for _, full := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/full=%v", tc.name, way, full), func(t *testing.T) {
					faults.Inject()
					dir := t.TempDir()
					path := filepath.Join(dir, "a.db")
					if way == WayWAL {
						makeBank(t, path, "journal_mode = WAL")
					} else {
						makeBank(t, path)
					}
					b, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					b = tc.damage(b)
					if err := os.WriteFile(path, b, 0o600); err != nil {
						t.Fatal(err)
					}
					switch way {
					case WayCopy:
						w := start(t, orders{Path: path, SQL: []string{"BEGIN IMMEDIATE", "PRAGMA user_version = 5"}})
						defer w.kill()
					case WayWAL:
						w := start(t, orders{Path: path, SQL: []string{"PRAGMA user_version = 5"}})
						defer w.kill()
					}
					before := tree(t, dir)
					c := mustCapture(t, path, Options{FullCheck: full})
					f := c.facts
					if f.Way != way || f.CheckResult == "ok" || f.CheckResult == "" || len(f.CheckResult) > maxResultLen+3 || strings.Contains(f.CheckResult, "\n") {
						t.Errorf("facts %+v", f)
					}
					if way != WayWAL && !bytes.Equal(c.bytes, b) {
						t.Error("the bytes are not the file's")
					}
					sameTree(t, before, tree(t, dir))
				})
			}
		}
	}
}

// A check that needs what only the owning program has is partial, and not a finding. What can be checked is.
func TestForeignParts(t *testing.T) {
	for _, tc := range []struct {
		name       string
		statements []string
		partial    string // of which checks: "", "full" or "both"
	}{
		{"collation", []string{"CREATE TABLE strange(a TEXT COLLATE backwards)", "CREATE INDEX strange_a ON strange(a)", "INSERT INTO strange SELECT value FROM generate_series(1, 50)"}, "both"},
		{"collation of a primary key", []string{"CREATE TABLE strange(a TEXT COLLATE backwards PRIMARY KEY) WITHOUT ROWID", "INSERT INTO strange SELECT value FROM generate_series(1, 50)"}, "both"},
		{"function in an index", []string{"CREATE TABLE strange(a TEXT)", "CREATE INDEX strange_a ON strange(reversed(a))", "INSERT INTO strange SELECT value FROM generate_series(1, 50)"}, "full"},
		{"function in a constraint", []string{"CREATE TABLE strange(a TEXT CHECK (reversed(a) <> ''))", "INSERT INTO strange SELECT value FROM generate_series(1, 50)"}, ""},
		{"function in a column", []string{"CREATE TABLE strange(a TEXT, b AS (reversed(a)))", "INSERT INTO strange(a) SELECT value FROM generate_series(1, 50)"}, ""},
		{"known module", []string{"CREATE TABLE strange(a)", "CREATE VIRTUAL TABLE words USING fts5(text)", "INSERT INTO words VALUES ('found again')", "INSERT INTO strange SELECT value FROM generate_series(1, 50)"}, ""},
		{"unknown module", []string{"CREATE TABLE strange(a)", "INSERT INTO strange SELECT value FROM generate_series(1, 50)", "PRAGMA writable_schema = ON",
			"INSERT INTO sqlite_schema VALUES ('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING nowhere(x)')"}, ""},
		{"unknown tokenizer", []string{"CREATE TABLE strange(a)", "INSERT INTO strange SELECT value FROM generate_series(1, 50)", "CREATE VIRTUAL TABLE words USING fts5(text)", "PRAGMA writable_schema = ON",
			"UPDATE sqlite_schema SET sql = replace(sql, '(text)', '(text, tokenize = \"nobody\")') WHERE name = 'words'"}, ""},
	} {
		for _, full := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/full=%v", tc.name, full), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "a.db")
				makeBank(t, path)
				ownerCreates(t, path, tc.statements...)
				c := mustCapture(t, path, Options{FullCheck: full})
				want := "quick_check"
				if full {
					want = "integrity_check"
				}
				got, isPartial := strings.CutSuffix(c.facts.Check, "_partial")
				if got != want || isPartial != (tc.partial == "both" || full && tc.partial == "full") || c.facts.CheckResult != "ok" {
					t.Errorf("facts %+v", c.facts)
				}
				if strange, ok := c.facts.Tables["strange"]; full && (c.facts.Tables["account"] != accounts || ok && strange != 50 || !ok && !isPartial) {
					t.Errorf("facts %+v", c.facts)
				}

				// Damage elsewhere is found all the same.
				b := bytes.Clone(c.bytes)
				clear(b[5*4096 : 6*4096])
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				if c = mustCapture(t, path, Options{FullCheck: full}); c.facts.CheckResult == "ok" {
					t.Errorf("damage was not found: %+v", c.facts)
				}
			})
		}
	}
}

type ownConnector struct {
	dsn    string
	driver *sqlite.Driver
}

func (c ownConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c ownConnector) Driver() driver.Driver                        { return c.driver }

// ownerCreates runs statements in a program that has what the database needs.
func ownerCreates(t *testing.T, path string, statements ...string) {
	t.Helper()
	owner := new(sqlite.Driver)
	backwards := func(a, b string) int { return strings.Compare(b, a) }
	if err := owner.RegisterCollationUtf8("backwards", backwards); err != nil {
		t.Fatal(err)
	}
	reversed := func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		return fmt.Sprint(args[0], " reversed"), nil
	}
	if err := owner.RegisterDeterministicScalarFunction("reversed", 1, reversed); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(ownConnector{fileURI(path) + "?_pragma=synchronous(off)", owner})
	db.SetMaxOpenConns(1)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(series(s)); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// A sparse database of more than 1 GiB has a page that is never used: the one where SQLite locks.
func TestLockPage(t *testing.T) {
	matrix.Count(t, 1, "23")
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	const pageSize, pages = 65536, pendingByte/65536 + 3
	create(t, path, "PRAGMA page_size = 65536", "PRAGMA journal_mode = WAL", "CREATE TABLE t(a)")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(pages * pageSize); err != nil {
		t.Fatal(err)
	}
	for off, b := range map[int64][]byte{
		28:                                binary.BigEndian.AppendUint32(nil, pages),
		pendingByte:                       []byte("never part of the database"),
		pendingByte + pageSize:            []byte("the page after it"),
		(pages-1)*pageSize + pageSize - 3: []byte("end"),
	} {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w := start(t, orders{Path: path, SQL: []string{"INSERT INTO t VALUES (1)"}})
	defer w.stop()
	s, err := Open(t.Context(), path, Options{NoCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var n int64
	read := func(off int64, length int, p []byte) []byte {
		if off < n || off >= n+int64(len(p)) {
			return nil
		}
		return p[off-n:][:length]
	}
	found := 0
	if err := s.Read(t.Context(), func(p []byte) error {
		if b := read(pendingByte, 26, p); b != nil && bytes.Equal(b, make([]byte, 26)) {
			found++
		}
		if b := read(pendingByte+pageSize, 17, p); string(b) == "the page after it" {
			found++
		}
		if b := read(pages*pageSize-3, 3, p); string(b) == "end" {
			found++
		}
		n += int64(len(p))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if s.way != WayWAL || n != pages*pageSize || s.Size() != n || found != 3 {
		t.Errorf("way %s, %d bytes, %d of 3 places right", s.way, n, found)
	}
}

func FuzzHeader(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.db")
	for _, size := range []int{512, 4096, 65536} {
		os.Remove(path)
		create(f, path, fmt.Sprintf("PRAGMA page_size = %d", size), "PRAGMA user_version = -2", "CREATE TABLE t(a)")
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if h, err := parseHeader(b); err != nil || h.pageSize != size {
			f.Fatalf("seed: %+v, %v", h, err)
		}
		f.Add(b[:headerSize])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			if !errors.Is(err, ErrNotDatabase) || h != (header{}) {
				t.Errorf("%+v, %v", h, err)
			}
			return
		}
		if h.pageSize < 512 || h.pageSize > 65536 || h.pageSize&(h.pageSize-1) != 0 || !Header(b) {
			t.Errorf("%+v", h)
		}
		// What was read, written back, is what was there.
		c := bytes.Clone(b[:headerSize])
		binary.BigEndian.PutUint16(c[16:], uint16(h.pageSize|h.pageSize>>16))
		c[19] = 1
		if h.wal {
			c[19] = 2
		}
		binary.BigEndian.PutUint32(c[56:], h.encoding)
		binary.BigEndian.PutUint32(c[60:], uint32(h.userVersion))
		binary.BigEndian.PutUint32(c[68:], uint32(h.applicationID))
		if !bytes.Equal(c, b[:headerSize]) {
			t.Errorf("%x is written back as %x", b[:headerSize], c)
		}
	})
}
