package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/sqlitesnap"
	"maia-dr/engine/stream"
)

// database captures a database as a snapshot. nil, nil means that it has to be taken as a plain file: a warning has
// been given.
func (c *capture) database(en *component.Entry, padded bool) (*content, error) {
	var err error
	for try := range attempts {
		var k *content
		if k, err = c.snapshot(en, padded, try); err == nil {
			return k, nil
		}
		if !errors.Is(err, sqlitesnap.ErrChanged) {
			break
		}
	}
	switch {
	case c.ctx.Err() != nil:
		return nil, c.ctx.Err()
	case isStoreError(err):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, c.gone(en, "it vanished during the backup")
	case errors.Is(err, fs.ErrPermission):
		// Reading it as a plain file says which permission is missing.
	case errors.Is(err, sqlitesnap.ErrNotDatabase):
		c.warn("database_unreadable", en.Path, "it begins like a SQLite database but is none, or is encrypted; it was stored as a plain file", "if a program writes it during backups, its copy may be torn")
	case errors.Is(err, sqlitesnap.ErrCorrupt):
		c.warn("database_corrupt", en.Path, "the database is damaged; it was stored byte by byte as it is", "repair it, or restore it from an earlier backup")
	case errors.Is(err, sqlitesnap.ErrLocked):
		c.warn("database_locked", en.Path, "it stayed locked by another program, or took too long to copy; it was stored as a plain file and may be torn or old", "close the program that uses it and back up again")
	case errors.Is(err, sqlitesnap.ErrChanged):
		c.warn("database_busy", en.Path, "the database changed too often for a consistent copy; it was stored as a plain file and may be torn", "back up again when the program that writes it is quiet")
	default:
		c.warn("database_unreadable", en.Path, "it could not be read as a database: "+err.Error()+"; it was stored as a plain file and may be torn", "back up again; if it happens again, check the database with sqlite3")
	}
	return nil, nil
}

// storeError is a failure to store a block: no other way to read the database mends that.
type storeError struct{ err error }

func (s *storeError) Error() string { return s.err.Error() }
func (s *storeError) Unwrap() error { return s.err }

func isStoreError(err error) bool {
	var se *storeError
	return errors.As(err, &se)
}

func (c *capture) snapshot(en *component.Entry, padded bool, try int) (*content, error) {
	began := c.e.now()
	before, err := os.Lstat(en.Source)
	if err != nil {
		return nil, err
	}
	wal := walStat(en.Source)
	snap, err := sqlitesnap.Open(c.ctx, en.Source, sqlitesnap.Options{
		Scratch: c.e.state.Scratch(), FullCheck: c.fullCheck(en.Source), Attempt: try,
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // it was only read
	k := &content{size: snap.Size()}
	sum := sha256.New()
	var tail []byte
	size := stream.PageBlock(snap.PageSize())
	var done int64
	err = snap.Read(c.ctx, func(p []byte) error {
		done += int64(len(p))
		c.e.progress(event.Capture, c.done+done, c.total)
		// The stream's hash and its blocks are computed side by side.
		hashed := make(chan struct{})
		go func() { sum.Write(p); close(hashed) }()
		defer func() { <-hashed }()
		if err := c.pages(&k.extents, &tail, p, size); err != nil {
			return &storeError{err}
		}
		return nil
	})
	if err == nil && (len(tail) > 0 || padded) {
		tail = append(tail, make([]byte, padding(padded, k.size))...)
		if len(tail) > 0 {
			var e repository.Extent
			if e, err = c.block(tail); err != nil {
				return nil, &storeError{err}
			}
			k.extents = k.extents.Add(e)
		}
	}
	if err != nil {
		return nil, err
	}
	facts, err := snap.Finish(c.ctx)
	if err != nil {
		return nil, err
	}
	sum.Sum(k.sha256[:0])
	f := repository.DatabaseFacts(facts)
	f.Tables = nameTables(f.Tables)
	k.facts = &f
	c.warnCheck(en, k.facts)
	if walStat(en.Source) == wal { // or what was read may not be what lies there at rest
		k.commit = c.remember(en, padded, began, component.StatOf(before), wal, k)
	}
	return k, nil
}

// warnCheck repeats what a database's check found in every backup that holds it so.
func (c *capture) warnCheck(en *component.Entry, f *repository.DatabaseFacts) {
	if f.Check != "none" && f.CheckResult != "ok" {
		c.warn("database_check_failed", en.Path, f.Check+" reports: "+f.CheckResult, "repair it, or restore it from an earlier backup; this backup holds it as it is")
	}
}

// nameTables makes keys that JSON can hold of table names, which may be any bytes.
func nameTables(tables map[string]int64) map[string]int64 {
	if tables == nil {
		return nil
	}
	out := make(map[string]int64, len(tables))
	for name, rows := range tables {
		// It never fails.
		key, _ := repository.Name(name).MarshalText()
		out[string(key)] = rows
	}
	return out
}

func padding(padded bool, size int64) int {
	if !padded {
		return 0
	}
	return stream.Padding(size)
}

// pages stores whole blocks of p; what is left over waits in tail for the next call.
func (c *capture) pages(x *repository.Extents, tail *[]byte, p []byte, size int) error {
	if len(*tail) > 0 {
		n := min(size-len(*tail), len(p))
		*tail = append(*tail, p[:n]...)
		p = p[n:]
		if len(*tail) < size {
			return nil
		}
		e, err := c.block(*tail)
		if err != nil {
			return err
		}
		*x = x.Add(e)
		*tail = (*tail)[:0]
	}
	for len(p) >= size {
		e, err := c.block(p[:size])
		if err != nil {
			return err
		}
		*x = x.Add(e)
		p = p[size:]
	}
	*tail = append(*tail, bytes.Clone(p)...)
	return nil
}
