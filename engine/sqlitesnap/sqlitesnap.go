// Package sqlitesnap makes snapshots: consistent copies of live SQLite
// databases. A source is a database file that other programs may be writing;
// its sidecars are the -wal, -shm and -journal beside it; a way is how a
// snapshot is taken. Nothing is ever created, changed or removed beside a
// source, and no writer waits for more than a moment.
//
//	path --> look: under the read lock for microseconds; file, sidecars, header
//	  plain      no -wal or -journal    the file itself, no lock; valid if nothing moved meanwhile
//	  wal        -wal and -shm          pages from sqlite_dbpage in one read transaction
//	  copy       a -journal in use      cloned or copied to scratch under the read lock, 4 s at most
//	  recovered  left by a crash        all files copied while nothing moves, recovered in scratch
//	--> Open, Read (the bytes), Finish (the check, in the same state), Close
//
// # The read lock
//
// The look is made through a descriptor of its own that holds SQLite's SHARED
// lock, as the file format defines it. So it never sees a commit half done,
// and no sidecar can go away between the look and what follows from it: the
// last program to close a WAL database deletes -wal and -shm under an
// EXCLUSIVE lock, and a reader that came just after that would create both
// anew. A program that closes last while a snapshot is being taken leaves its
// -wal and -shm as they are, as it does for any other reader; they are
// complete, and the next opener goes on with them. The snapshot's own
// connection is read-only: it can neither write back nor delete them.
//
// POSIX locks belong to the process, and closing any descriptor of a file
// drops all that the process holds on it. Hence a source is open only once at
// a time here, its descriptor outlives the SQLite connection, and no rollback
// database is opened by SQLite in place, but for the check of the way plain,
// where no lock is held: under its lock it is cloned through the descriptor
// that has the lock, or copied by a child process. A program that uses this
// package must not open and close a source elsewhere while a snapshot of it is
// open.
package sqlitesnap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Reasons for which there is no snapshot, to be matched with errors.Is. Other errors come from the file system or
// from ctx.
var (
	// ErrNotDatabase: the file does not hold a SQLite database, or an encrypted one, or is no regular file.
	ErrNotDatabase = errors.New("not a readable SQLite database")
	// ErrCorrupt: it is a database whose schema cannot be read. Damage elsewhere is no error; see Facts.CheckResult.
	ErrCorrupt = errors.New("database is corrupt")
	// ErrLocked: another program kept it locked for longer than Options.LockedTimeout, or it is so large that it
	// cannot be copied within Options.CopyLimit.
	ErrLocked = errors.New("database is locked")
	// ErrChanged: it changed while it was read, and what was read is worthless. Take the snapshot again, with
	// Options.Attempt one higher.
	ErrChanged = errors.New("database changed while it was read")
)

// Options say how a snapshot is taken. The zero value works for databases at rest and for WAL databases in use.
type Options struct {
	// Scratch is an existing folder on a local disk, mode 0700, for the ways copy and recovered; the way plain asks it
	// for the file system's time. Whatever is put there goes with Close; what a kill leaves (snapshot-*, clock-*.tmp) may
	// be removed by whoever owns the folder.
	Scratch string
	// BusyTimeout is how long SQLite waits for a lock of its own; 0 is 5 s.
	BusyTimeout time.Duration
	// LockedTimeout is how long Open tries in all before it gives up with ErrLocked; 0 is 20 s.
	LockedTimeout time.Duration
	// CopyLimit is how long a rollback database may be kept locked while it is copied; 0 is 4 s.
	CopyLimit time.Duration
	// FullCheck asks for integrity_check, foreign_key_check and row counts instead of quick_check.
	FullCheck bool
	// NoCheck leaves out both.
	NoCheck bool
	// Attempt is how many snapshots of this database have just ended in ErrChanged. From 1 on a way is chosen that a
	// busy writer cannot spoil: copy in rollback mode, and under the read lock, which in WAL mode delays no writer.
	Attempt int
}

func (o *Options) applyDefaults() {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.LockedTimeout == 0 {
		o.LockedTimeout = 20 * time.Second
	}
	if o.CopyLimit == 0 {
		o.CopyLimit = 4 * time.Second
	}
}

// The ways, as in Facts.Way.
const (
	WayPlain     = "plain"
	WayWAL       = "wal"
	WayCopy      = "copy"
	WayRecovered = "recovered"
)

// Facts is what is known of a database in the state that was captured.
type Facts struct {
	PageSize      int    `json:"page_size"` // bytes
	Pages         int64  `json:"pages"`
	UserVersion   int64  `json:"user_version"`
	ApplicationID int64  `json:"application_id"`
	JournalMode   string `json:"journal_mode"` // "wal" or "rollback": what the file says; the other modes leave no trace
	Encoding      string `json:"encoding"`     // "UTF-8", "UTF-16le" or "UTF-16be"
	Way           string `json:"way"`
	// Check is "quick_check", "integrity_check" or "none". With the suffix "_partial" it had to leave out tables that
	// need a collation, function or module which only the program that owns the database has.
	Check string `json:"check"`
	// CheckResult is "ok", or the first problems found, separated by "; ", or "" without a check.
	CheckResult string `json:"check_result"`
	// ForeignKeyProblems counts the rows that refer to nothing; full check only.
	ForeignKeyProblems int64 `json:"foreign_key_problems,omitempty"`
	// Tables has the number of rows of each table that is not virtual; full check only.
	Tables map[string]int64 `json:"tables,omitempty"`
}

// Snapshot is one consistent state of a database. It is not safe for concurrent use. At most one of a file is open in
// a process at a time: a second Open waits.
type Snapshot struct {
	path string // without symbolic links before the last element
	o    Options
	way  string
	head header
	size int64

	src     *source   // the source's descriptor; nil once it is not needed any more
	bracket *bracket  // what must not have moved at Finish; way plain only
	file    *os.File  // the bytes, in the ways plain (src's own) and copy
	db      *database // immutable in the ways plain and copy, else the transaction that holds the state
	scratch string    // own folder in Options.Scratch, or ""
	check   *check    // begun, where it can go on while the bytes are read
}

// check is a check of a state, on its way until done is closed.
type check struct {
	cancel context.CancelFunc
	done   chan struct{}
	facts  Facts
	err    error
}

// Open takes a snapshot of the database at path, which must have at least one byte. Nothing that happens to the
// database afterwards shows in it, except that in the way plain Finish may say ErrChanged. The error is one of this
// package's, fs.ErrNotExist and its like for the file itself, or ctx's.
func Open(ctx context.Context, path string, o Options) (*Snapshot, error) {
	o.applyDefaults()
	s, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open snapshot of %s: %w", path, err)
	}
	return s, nil
}

// Size returns the number of bytes that Read will deliver.
func (s *Snapshot) Size() int64 { return s.size }

// PageSize returns the size of the database's pages in bytes, a power of two from 512 to 65536.
func (s *Snapshot) PageSize() int { return s.head.pageSize }

// readBuffer is a multiple of every page size.
const readBuffer = 256 << 10

// Read calls fn with the database's bytes in order, Size of them in all: whole pages, up to 256 KiB at a time, in a
// buffer that is used again. (A damaged file may end within a page; so does the last buffer then.) An error of fn ends
// it and is returned as it is. Read may be called again, before Finish, and then delivers the same.
func (s *Snapshot) Read(ctx context.Context, fn func(p []byte) error) error {
	var n int64
	var err error
	if s.file != nil {
		s.beginCheck(ctx)
		n, err = readFile(ctx, s.file, s.size, fn)
	} else {
		n, err = s.db.pages(ctx, fn)
	}
	var stop *callbackError
	switch {
	case errors.As(err, &stop):
		return stop.err
	case err == nil && n == s.size:
		return nil
	case s.moved():
		return fmt.Errorf("read snapshot of %s: %w", s.path, ErrChanged)
	case err == nil:
		err = fmt.Errorf("%d bytes instead of %d", n, s.size)
	}
	return fmt.Errorf("read snapshot of %s: %w", s.path, err)
}

// callbackError carries an error of the caller's function past those that say something about the database.
type callbackError struct{ err error }

func (c *callbackError) Error() string { return c.err.Error() }

// beginCheck begins the check of a file that is read beside the connection that checks it.
func (s *Snapshot) beginCheck(ctx context.Context) {
	if s.o.NoCheck || s.check != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &check{cancel: cancel, done: make(chan struct{})}
	s.check = c
	db, depth := s.db, s.o.depth()
	go func() {
		defer close(c.done)
		c.err = db.check(ctx, depth, &c.facts)
	}()
}

// finishCheck waits for the check, or makes it.
func (s *Snapshot) finishCheck(ctx context.Context, f *Facts) error {
	if s.check == nil {
		return s.db.check(ctx, s.o.depth(), f)
	}
	<-s.check.done
	found := &s.check.facts
	f.Check, f.CheckResult, f.ForeignKeyProblems, f.Tables = found.Check, found.CheckResult, found.ForeignKeyProblems, found.Tables
	return s.check.err
}

// Finish checks the database in the state that Read delivered and makes sure that this was one state. ErrChanged: it
// was not, and what was read is worthless. A check that finds problems is no error; Facts.CheckResult has them.
func (s *Snapshot) Finish(ctx context.Context) (Facts, error) {
	f := s.head.facts()
	f.Way, f.Pages = s.way, s.size/int64(s.head.pageSize)
	f.Check = checkNone
	var err error
	if !s.o.NoCheck {
		err = s.finishCheck(ctx, &f)
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.moved():
		err = ErrChanged
	}
	if err != nil {
		return Facts{}, fmt.Errorf("finish snapshot of %s: %w", s.path, err)
	}
	return f, nil
}

// moved reports whether the source has changed where that matters.
func (s *Snapshot) moved() bool { return s.bracket != nil && s.bracket.moved() }

// Close releases the locks and removes what was put into scratch. It must be called, and may be called again.
func (s *Snapshot) Close() error {
	var errs []error
	if s.check != nil {
		s.check.cancel()
		<-s.check.done
	}
	if s.db != nil {
		errs = append(errs, s.db.close())
		s.db = nil
	}
	if s.file != nil && (s.src == nil || s.file != s.src.file) {
		errs = append(errs, s.file.Close())
	}
	s.file = nil
	// After the connection: closing the descriptor first would drop the locks that SQLite holds.
	if s.src != nil {
		errs = append(errs, s.src.close())
		s.src = nil
	}
	if s.scratch != "" {
		errs = append(errs, os.RemoveAll(s.scratch))
		s.scratch = ""
	}
	return errors.Join(errs...)
}

// Depth is how thoroughly a database is checked.
type Depth int

const (
	// Quick is quick_check: the pages and rows, but not whether indexes agree with them.
	Quick Depth = iota
	// Integrity is integrity_check.
	Integrity
	// Full also counts rows and looks for those that refer to nothing, as Options.FullCheck does.
	Full
)

func (o *Options) depth() Depth {
	if o.FullCheck {
		return Full
	}
	return Quick
}

// CheckFile checks a database that nobody writes, such as one that was restored, and creates nothing beside it. Any
// -wal or -journal beside it is ignored. Problems found are in
// Facts.CheckResult; the error is ErrNotDatabase, ErrCorrupt, the file system's or ctx's.
func CheckFile(ctx context.Context, path string, depth Depth) (Facts, error) {
	f, err := checkFile(ctx, path, depth)
	if err != nil {
		return Facts{}, fmt.Errorf("check database %s: %w", path, err)
	}
	return f, nil
}

func checkFile(ctx context.Context, path string, depth Depth) (Facts, error) {
	path, err := resolve(path)
	if err != nil {
		return Facts{}, err
	}
	file, err := openRegular(path)
	if err != nil {
		return Facts{}, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return Facts{}, err
	}
	head, err := readHeader(file)
	if err != nil {
		return Facts{}, err
	}
	db, err := openImmutable(ctx, path)
	if err != nil {
		return Facts{}, err
	}
	f := head.facts()
	f.Way, f.Pages = WayPlain, fi.Size()/int64(head.pageSize)
	err = errors.Join(db.check(ctx, depth, &f), db.close())
	return f, err
}

// openRegular opens a regular file for reading. What has become a link, a FIFO or a folder is no database; waiting
// for a FIFO's writer would hold everything up.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
			err = fmt.Errorf("%w: %w", ErrNotDatabase, err)
		}
		return nil, err
	}
	fi, err := file.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s", ErrNotDatabase, fi.Mode().Type())
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
