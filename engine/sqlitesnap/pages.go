package sqlitesnap

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// Pages leave SQLite through a function of SQL that is called with each. Rows would be copied twice and leave as much
// garbage as the database is large; so it takes a third of the time.
const deliverFunction = "sqlitesnap_deliver"

// connector opens a data source name with a driver of this package's own: what is registered here and what is
// registered elsewhere in the program do not meet.
type connector string

var ownDriver = sync.OnceValues(func() (*sqlite.Driver, error) {
	d := new(sqlite.Driver)
	return d, d.RegisterFunction(deliverFunction, &sqlite.FunctionImpl{NArgs: 3, VolatileArgs: true, Scalar: deliver})
})

func (c connector) Connect(context.Context) (driver.Conn, error) {
	d, err := ownDriver()
	if err != nil {
		return nil, err
	}
	return d.Open(string(c))
}

func (connector) Driver() driver.Driver { return new(sqlite.Driver) }

// sinks has the receivers of pages by number: what a function of SQL gets are values.
var (
	sinks    sync.Map // int64 -> *sink
	lastSink atomic.Int64
)

// sink collects pages in buffers and hands those that are full to another goroutine, which works on one while the next
// is filled.
type sink struct {
	ctx  context.Context
	next int64 // page number
	buf  []byte
	full chan []byte
	free chan []byte
}

// deliver is the function of SQL. Its arguments are the sink, the page's number and its bytes, which are valid only
// until it returns.
func deliver(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	id, ok1 := args[0].(int64)
	number, ok2 := args[1].(int64)
	page, ok3 := args[2].([]byte)
	s, ok4 := sinks.Load(id)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errors.New("unexpected call")
	}
	return nil, s.(*sink).add(number, page)
}

func (s *sink) add(number int64, page []byte) error {
	if number != s.next {
		return fmt.Errorf("page %d came instead of %d", number, s.next)
	}
	s.next++
	if len(s.buf)+len(page) > cap(s.buf) {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.buf = append(s.buf, page...)
	return nil
}

func (s *sink) flush() error {
	select {
	case s.full <- s.buf:
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	select {
	case s.buf = <-s.free:
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// pages calls fn with all pages of the transaction's state, in order, and returns how many bytes it took. The page that
// holds SQLite's lock bytes, at 1 GiB, is never used in a file; it is all zero here.
func (d *database) pages(ctx context.Context, fn func([]byte) error) (n int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &sink{ctx: ctx, next: 1, buf: make([]byte, 0, readBuffer), full: make(chan []byte), free: make(chan []byte, 2)}
	s.free <- make([]byte, 0, readBuffer)
	id := lastSink.Add(1)
	sinks.Store(id, s)
	read := make(chan error, 1)
	go func() {
		defer close(s.full)
		var count int64
		// The sink ends it with ctx; a query with a context that can end costs more for every step.
		row := d.conn.QueryRowContext(context.WithoutCancel(ctx), "SELECT count("+deliverFunction+"(?, pgno, data)) FROM sqlite_dbpage", id)
		err := row.Scan(&count)
		if err == nil && len(s.buf) > 0 {
			err = s.flush()
		}
		read <- err
	}()
	defer func() {
		cancel()
		for range s.full {
			// Until the query has ended.
		}
		sinks.Delete(id)
	}()
	for p := range s.full {
		if err := fn(p); err != nil {
			return n, &callbackError{err}
		}
		n += int64(len(p))
		s.free <- p[:0]
	}
	if err := ctx.Err(); err != nil {
		return n, err
	}
	return n, classify(<-read)
}
