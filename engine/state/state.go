// Package state is what the processes of one user share on one machine: the run lock, the status, the history, the
// identity of this state directory. All of it is local, in a folder of mode 0700; nothing of it goes to OneDrive.
// Liveness is the held lock, never a field or a process id.
package state

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// Dir is the state directory.
type Dir struct {
	Path string
	FS   *fsx.FS
}

// Names in the state directory.
const (
	lockName     = "run.lock"
	statusName   = "status.json"
	historyName  = "history.jsonl"
	identityName = "identity.json"
	journalName  = "prune.journal"
	packagesName = "packages.json"
)

// Create makes the directory where it is missing, with mode 0700.
func (d Dir) Create() error {
	for _, sub := range []string{"", "scratch", "staging", "log"} {
		if err := d.FS.MkdirAll(filepath.Join(d.Path, sub), 0o700); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
	}
	// It may have been made by hand, with the umask's mode.
	if err := d.FS.Chmod(d.Path, 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	return nil
}

// Mirror returns the path of the local repository.
func (d Dir) Mirror() string { return filepath.Join(d.Path, "mirror") }

// Scratch returns the folder for temporary files; what lies in it outside a run is a leftover.
func (d Dir) Scratch() string { return filepath.Join(d.Path, "scratch") }

// Staging returns the folder in which files wait for their rename into OneDrive.
func (d Dir) Staging() string { return filepath.Join(d.Path, "staging") }

// LogFile returns the path of the log.
func (d Dir) LogFile() string { return filepath.Join(d.Path, "log", "maia-dr.log") }

// BlockIndex returns the path of the block index.
func (d Dir) BlockIndex() string { return filepath.Join(d.Path, "block.index") }

// StatCache returns the path of the stat cache.
func (d Dir) StatCache() string { return filepath.Join(d.Path, "stat.cache") }

// PackageLists returns the path of the lists of packages that are known.
func (d Dir) PackageLists() string { return filepath.Join(d.Path, packagesName) }

// Lock takes the run lock without waiting; fsx.ErrLocked says that a run is active.
func (d Dir) Lock() (*fsx.Lock, error) { return fsx.TryLock(filepath.Join(d.Path, lockName)) }

// Identity is what tells this state directory from every other.
type Identity struct {
	// StateID is random, 32 hexadecimal digits.
	StateID string `json:"state_id"`
	// RepositoryID is that of the repository this state belongs to; empty before the first backup.
	RepositoryID string `json:"repository_id,omitempty"`
	// OneDrivePath is the folder the repository was last seen in; with several accounts it is the one meant.
	OneDrivePath string `json:"onedrive_path,omitempty"`
	// Writer is the repository's writer file as it was last read or written, so that it need not be downloaded.
	Writer *repository.Writer `json:"writer,omitempty"`
}

// Identity reads the identity, or makes a new one from random where there is none.
func (d Dir) Identity(random io.Reader) (*Identity, error) {
	b, err := os.ReadFile(filepath.Join(d.Path, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		id := make([]byte, 16)
		if _, err := io.ReadFull(random, id); err != nil {
			return nil, fmt.Errorf("make identity: %w", err)
		}
		i := &Identity{StateID: hex.EncodeToString(id)}
		return i, d.SaveIdentity(i)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	i := new(Identity)
	if err := json.Unmarshal(b, i); err != nil || len(i.StateID) != 32 {
		return nil, fmt.Errorf("read identity: %s is damaged: %w", identityName, errors.Join(err, repository.ErrDamaged))
	}
	return i, nil
}

// PeekIdentity reads the identity without making one; it is nil where there is none.
func (d Dir) PeekIdentity() (*Identity, error) {
	if _, err := os.Lstat(filepath.Join(d.Path, identityName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return d.Identity(nil)
}

// SaveIdentity writes the identity durably.
func (d Dir) SaveIdentity(i *Identity) error { return d.writeJSON(identityName, true, i) }

func (d Dir) writeJSON(name string, durable bool, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	path := filepath.Join(d.Path, name)
	if !durable {
		return d.FS.WriteAtomic(path, 0o600, b)
	}
	return d.FS.WriteDurable(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// PruneJournal is the intention of a prune, written before the first deletion.
type PruneJournal struct {
	// RepositoryID and Writer say whose intention it is: after an adoption it is void.
	RepositoryID string   `json:"repository_id"`
	Writer       int      `json:"writer"`
	Backups      []string `json:"backups"`
	// Files are the names in each backup's folder, manifest first.
	Files  map[string][]string `json:"files"`
	Chunks []repository.Hash   `json:"chunks"`
}

// PruneJournal reads the journal of a prune that did not finish; nil: there is none.
func (d Dir) PruneJournal() (*PruneJournal, error) {
	b, err := os.ReadFile(filepath.Join(d.Path, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read prune journal: %w", err)
	}
	j := new(PruneJournal)
	if err := json.Unmarshal(b, j); err != nil {
		return nil, fmt.Errorf("read prune journal: %v: %w", err, repository.ErrDamaged)
	}
	return j, nil
}

// SavePruneJournal writes the journal; nil removes it.
func (d Dir) SavePruneJournal(j *PruneJournal) error {
	if j != nil {
		return d.writeJSON(journalName, true, j)
	}
	err := d.FS.Remove(filepath.Join(d.Path, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// HistoryEntry is a line of history.jsonl: one finished run.
type HistoryEntry struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`   // backup, verify, restore, prune, drill, sync
	Result   string    `json:"result"` // completed, completed_with_warnings, failed, cancelled
	BackupID string    `json:"backup_id,omitempty"`
	Seconds  float64   `json:"duration_s"`

	StoredBytes int64 `json:"stored_bytes,omitempty"`
	SourceBytes int64 `json:"source_bytes,omitempty"`
	// RepositoryBytes is what the repository took up after a backup; 0: not known.
	RepositoryBytes int64  `json:"repository_bytes,omitempty"`
	Files           int    `json:"files,omitempty"`
	Warnings        int    `json:"warnings,omitempty"`
	Error           string `json:"error,omitempty"`
	// Drill is what a drill came to that ran to its end; in a backup's line, its light drill.
	Drill *Drill `json:"drill,omitempty"`
	// Sync is what the upload of a backup came to, in a line of kind sync.
	Sync *Sync `json:"sync,omitempty"`
}

// AppendHistory adds a line and syncs it.
func (d Dir) AppendHistory(h HistoryEntry) error {
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if d.historyCutOff() {
		b = append([]byte{'\n'}, b...)
	}
	f, err := d.FS.Append(filepath.Join(d.Path, historyName), 0o600)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return f.Sync()
}

// historyCutOff reports whether a crash cut off the last line: one appended to it would be lost with it.
func (d Dir) historyCutOff() bool {
	f, err := os.Open(filepath.Join(d.Path, historyName))
	if err != nil {
		return false
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, end-1)
	return err == nil && last[0] != '\n'
}

// History reads all lines, oldest first. Lines that a crash cut off are passed over: they only tell of the past.
func (d Dir) History() ([]HistoryEntry, error) {
	f, err := os.Open(filepath.Join(d.Path, historyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	var out []HistoryEntry
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var h HistoryEntry
		if json.Unmarshal(sc.Bytes(), &h) == nil && h.Kind != "" {
			out = append(out, h)
		}
	}
	return out, sc.Err()
}
