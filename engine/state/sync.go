package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

const (
	syncName     = "sync.json"
	syncLockName = "sync.lock"
	syncVersion  = 1
)

// Ledger is sync.json: every published file of every backup that this machine made or adopted, and what is known of its
// upload. It survives restarts and covers all backups. It is written under its own lock, since watching goes on outside of
// runs.
type Ledger struct {
	Version int `json:"version"`
	// RepositoryID and Folder say whose files these are: in another folder, nothing of it is known.
	RepositoryID string `json:"repository_id"`
	Folder       string `json:"folder"`
	// Odometer is the awake time that has passed while there was a ledger; Last is the moment up to which it counts.
	Odometer time.Duration   `json:"odometer_ns"`
	Last     onedrive.Moment `json:"last"`
	// Source is what was asked last, Top its highest rung, Health what it said of OneDrive.
	Source string          `json:"source,omitempty"`
	Top    onedrive.Rung   `json:"top"`
	Health onedrive.Health `json:"health"`
	// Files are the tracks by name relative to the repository, with slashes.
	Files map[string]*onedrive.Track `json:"files"`
	// Backups are those that are watched, by id.
	Backups map[string]*SyncBackup `json:"backups"`
}

// SyncBackup is the watching of one backup.
type SyncBackup struct {
	PublishedAt time.Time     `json:"published_at"`
	Published   time.Duration `json:"published_ns"`
	// Uploaded is what its upload came to, once it was; nil: it waits.
	Uploaded *Sync `json:"uploaded,omitempty"`
}

// Damaged reports whether local files were found to differ when the backup had been uploaded.
func (b *SyncBackup) Damaged() bool {
	return b.Uploaded != nil && b.Uploaded.Hash != nil && len(b.Uploaded.Hash.Bad) > 0
}

// PublishedAgain takes files that were published anew out of those that differ. When none is left, the backup waits to be
// uploaded and hashed again.
func (b *SyncBackup) PublishedAgain(names []string) {
	if !b.Damaged() {
		return
	}
	h := b.Uploaded.Hash
	h.Bad = slices.DeleteFunc(h.Bad, func(bad string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(bad, name+": ") })
	})
	if len(h.Bad) == 0 {
		b.Uploaded = nil
	}
}

// Sync is what the upload of one backup came to. It stands in the history too.
type Sync struct {
	At     time.Time     `json:"at"`
	Rung   onedrive.Rung `json:"rung"`
	Source string        `json:"source"`
	// Seconds is how long, awake, the files that this backup brought in took until OneDrive was first seen to report the
	// last one uploaded; at least AtLeastSeconds: nobody looked in between.
	Seconds        float64 `json:"seconds"`
	AtLeastSeconds float64 `json:"at_least_s"`
	Files          int     `json:"files"`
	Bytes          int64   `json:"bytes"`
	// Chunks are the new chunks, each with its own time.
	Chunks []SyncChunk `json:"chunks,omitempty"`
	// Hash is how the local files compared with the manifest when they were hashed once more.
	Hash *SyncHash `json:"hash,omitempty"`
}

// SyncChunk is the upload of one chunk.
type SyncChunk struct {
	SHA256         repository.Hash `json:"sha256"`
	SizeBytes      int64           `json:"size_bytes"`
	Seconds        float64         `json:"seconds"`
	AtLeastSeconds float64         `json:"at_least_s"`
}

// SyncHash is a comparison of the local files of an uploaded backup with their hashes.
type SyncHash struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Evicted files were not read: that would have downloaded them.
	Evicted int `json:"evicted,omitempty"`
	// Bad are files that differ, at most MaxSyncBad of them: the name, a colon, and what is wrong.
	Bad []string `json:"bad,omitempty"`
}

// MaxSyncBad is how many bad files are remembered.
const MaxSyncBad = 20

// ErrLedger says that sync.json is damaged, or a newer program's.
var ErrLedger = errors.New("the ledger of what awaits upload cannot be used")

// SyncLedger returns the path of sync.json.
func (d Dir) SyncLedger() string { return filepath.Join(d.Path, syncName) }

// LoadLedger reads the ledger of a repository in a folder. There is an empty one to begin with, and after either changed.
// What cannot be understood is ErrLedger: nobody may take it for an empty one, in which nothing is late.
func (d Dir) LoadLedger(repositoryID, folder string, now onedrive.Moment) (*Ledger, error) {
	empty := &Ledger{Version: syncVersion, RepositoryID: repositoryID, Folder: folder, Last: now,
		Files: map[string]*onedrive.Track{}, Backups: map[string]*SyncBackup{}}
	b, err := os.ReadFile(d.SyncLedger())
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", syncName, err)
	}
	l, err := decodeLedger(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", syncName, ErrLedger, err)
	}
	if l.RepositoryID != repositoryID || l.Folder != folder {
		return empty, nil
	}
	return l, nil
}

func decodeLedger(b []byte) (*Ledger, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, err
	}
	if head.Version > syncVersion {
		return nil, fmt.Errorf("version %d: %w", head.Version, repository.ErrNewerFormat)
	}
	l := new(Ledger)
	if err := json.Unmarshal(b, l); err != nil {
		return nil, err
	}
	if l.Version != syncVersion || l.Files == nil || l.Backups == nil || l.Odometer < 0 {
		return nil, repository.ErrDamaged
	}
	for name, t := range l.Files {
		if t == nil || t.SizeBytes < 0 || max(t.Published, t.Moved, t.Looked) > l.Odometer || t.Proven != onedrive.Unknown && (t.Print == nil || t.Proven < onedrive.ClientUploaded) {
			return nil, fmt.Errorf("%.80q: %w", name, repository.ErrDamaged)
		}
	}
	for id, b := range l.Backups {
		if b == nil {
			return nil, fmt.Errorf("%.80q: %w", id, repository.ErrDamaged)
		}
	}
	return l, nil
}

// SaveLedger writes the ledger durably. Only the holder of its lock may call it.
func (d Dir) SaveLedger(l *Ledger) error { return d.writeJSON(syncName, true, l) }

// LockLedger waits for the ledger's lock, which is held for moments only. The function it returns frees it.
func (d Dir) LockLedger(ctx context.Context) (*fsx.Lock, error) {
	return fsx.WaitLock(ctx, filepath.Join(d.Path, syncLockName))
}

// Advance moves the odometer to now and returns it.
func (l *Ledger) Advance(now onedrive.Moment) time.Duration {
	l.Odometer += now.Since(l.Last)
	l.Last = now
	return l.Odometer
}
