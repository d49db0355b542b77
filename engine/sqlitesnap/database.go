package sqlitesnap

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// database is one connection to a database file.
type database struct {
	pool *sql.DB
	conn *sql.Conn
}

// Primary result codes of SQLite, the low byte of the extended ones. See https://www.sqlite.org/rescode.html.
const (
	codeError    = 1
	codeBusy     = 5
	codeLocked   = 6
	codeReadonly = 8
	codeCorrupt  = 11
	codeCantOpen = 14
	codeProtocol = 15
	codeNotADB   = 26
)

// resultCode returns SQLite's extended result code, or 0 for other errors.
func resultCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// classify adds this package's reason to an error of SQLite.
func classify(err error) error {
	switch resultCode(err) & 0xff {
	case codeNotADB:
		return fmt.Errorf("%w: %w", ErrNotDatabase, err)
	case codeCorrupt:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	case codeBusy, codeLocked:
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	return err
}

// classifyOpen does so while a database is opened, where a plain error says that the format is one of the future.
func classifyOpen(err error) error {
	if resultCode(err)&0xff == codeError {
		return fmt.Errorf("%w: %w", ErrNotDatabase, err)
	}
	return classify(err)
}

// openDatabase connects to a file that exists. The cache is small, because every page is looked at once.
func openDatabase(ctx context.Context, path, params string, busy time.Duration) (*database, error) {
	dsn := fmt.Sprintf("%s?%s&_error_rc=1&_pragma=busy_timeout(%d)&_pragma=cache_size(-2000)&_pragma=mmap_size(0)",
		fileURI(path), params, busy.Milliseconds())
	pool := sql.OpenDB(connector(dsn))
	conn, err := pool.Conn(ctx)
	if err != nil {
		pool.Close()
		return nil, classifyOpen(err)
	}
	return &database{pool: pool, conn: conn}, nil
}

// openImmutable connects to a file that nobody writes, or whose reader finds out if somebody did: SQLite takes no locks
// and looks at nothing beside it. The schema is read, to know that it can be.
func openImmutable(ctx context.Context, path string) (*database, error) {
	d, err := openDatabase(ctx, path, "mode=ro&immutable=1", 0)
	if err != nil {
		return nil, err
	}
	var n int64
	if err := d.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		_ = d.close()
		return nil, classifyOpen(err)
	}
	return d, nil
}

// fileURI escapes whatever could mean something in a URI, above all ?, # and %.
func fileURI(path string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString("file:")
	for _, c := range []byte(path) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/-._~", c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func (d *database) close() error { return errors.Join(d.conn.Close(), d.pool.Close()) }

// begin starts a read transaction, which lasts until close, and returns the state's header and size in bytes.
func (d *database) begin(ctx context.Context) (header, int64, error) {
	if _, err := d.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return header{}, 0, classifyOpen(err)
	}
	var first []byte
	err := d.conn.QueryRowContext(ctx, "SELECT data FROM sqlite_dbpage WHERE pgno = 1").Scan(&first)
	if errors.Is(err, sql.ErrNoRows) {
		// A crash in the very first transaction: taken back, it leaves nothing.
		return header{}, 0, fmt.Errorf("%w: no pages", ErrNotDatabase)
	}
	if err != nil {
		return header{}, 0, classifyOpen(err)
	}
	h, err := parseHeader(first)
	if err != nil {
		return header{}, 0, err
	}
	if len(first) != h.pageSize {
		return header{}, 0, fmt.Errorf("%w: pages of %d bytes, not %d", ErrCorrupt, len(first), h.pageSize)
	}
	var pages int64
	if err := d.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		return header{}, 0, classifyOpen(err)
	}
	return h, pages * int64(h.pageSize), nil
}
