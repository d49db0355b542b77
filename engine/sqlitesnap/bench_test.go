package sqlitesnap

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkSnapshot captures a database of 43 MB as a backup does: every page is hashed, then the state is checked.
func BenchmarkSnapshot(b *testing.B) {
	for _, mode := range []string{"rest", "wal", "rollback"} {
		b.Run("mode="+mode, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "bench.db")
			const oneMore = "INSERT INTO ticket(title) VALUES ('one more')"
			switch mode {
			case "rest":
				makeLarge(b, path, 20_000)
			case "wal":
				makeLarge(b, path, 20_000, "journal_mode = WAL")
				start(b, orders{Path: path, SQL: []string{oneMore}})
			case "rollback":
				makeLarge(b, path, 20_000)
				start(b, orders{Path: path, SQL: []string{"BEGIN IMMEDIATE", oneMore}})
			}
			for _, check := range []string{"none", "quick", "full"} {
				o := Options{Scratch: b.TempDir(), NoCheck: check == "none", FullCheck: check == "full"}
				b.Run("check="+check, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						b.SetBytes(snapshotOnce(b, path, o))
					}
				})
			}
		})
	}
}

func snapshotOnce(b *testing.B, path string, o Options) int64 {
	b.Helper()
	s, err := Open(b.Context(), path, o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	sum := sha256.New()
	if err := s.Read(b.Context(), func(p []byte) error { sum.Write(p); return nil }); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Finish(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s.Size()
}

// makeLarge makes a database of about 2.1 KB a row, with indexes.
func makeLarge(t testing.TB, path string, rows int, pragmas ...string) {
	t.Helper()
	var statements []string
	for _, p := range pragmas {
		statements = append(statements, "PRAGMA "+p)
	}
	create(t, path, append(statements,
		"CREATE TABLE ticket(id INTEGER PRIMARY KEY, key TEXT, title TEXT, state INTEGER, body BLOB)",
		fmt.Sprintf("INSERT INTO ticket SELECT value, hex(randomblob(8)), hex(randomblob(20)), value %% 7, randomblob(1500) FROM generate_series(1, %d)", rows),
		"CREATE INDEX ticket_key ON ticket(key)",
		"CREATE INDEX ticket_state ON ticket(state, title)",
	)...)
}
