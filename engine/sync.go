package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// SyncStatus is what is known of the upload of the repository.
type SyncStatus struct {
	// Source is what was asked; CanAnswer says that it can know at all whether something is uploaded.
	Source    string          `json:"source"`
	CanAnswer bool            `json:"can_answer"`
	Health    onedrive.Health `json:"health"`
	// All judges every file of every backup.
	All onedrive.Judgement `json:"all"`
	// WaitedSeconds is for how long the oldest file that waits has been waiting, awake.
	WaitedSeconds float64 `json:"waited_s"`
	// Backups are the backups of this machine's catalogue, newest first.
	Backups []BackupSync `json:"backups,omitempty"`
	// LookedAt is when the files were last looked at.
	LookedAt time.Time `json:"looked_at"`
}

// BackupSync is the upload of one backup: its rung is the lowest of all its files and all chunks it refers to.
type BackupSync struct {
	BackupID string `json:"backup_id"`
	onedrive.Judgement
	// Uploaded is what the upload came to, once it was.
	Uploaded *state.Sync `json:"uploaded,omitempty"`
}

// Backup returns the upload of one backup; what is not watched is unknown.
func (s *SyncStatus) Backup(id string) BackupSync {
	for _, b := range s.Backups {
		if b.BackupID == id {
			return b
		}
	}
	return BackupSync{BackupID: id, Judgement: onedrive.Judgement{Verdict: onedrive.Unknowable}}
}

// provider returns what is asked about the files of a folder.
func (e *Engine) provider(folder string) onedrive.Provider {
	if e.opt.Provider != nil {
		return e.opt.Provider(folder)
	}
	return onedrive.System(folder, e.opt.Helper)
}

func (e *Engine) moment() onedrive.Moment {
	now := e.now()
	m := onedrive.Moment{Wall: now.UTC(), Awake: time.Duration(now.UnixNano())}
	if e.env.Awake != nil {
		m.Awake = e.env.Awake()
	}
	return m
}

func (e *Engine) slowAfter() time.Duration {
	if d := e.opt.Config.Sync.SlowAfter.Std(); d > 0 {
		return d
	}
	return time.Hour
}

// ledgerError gives an error of the ledger its way out.
func (e *Engine) ledgerError(err error) error {
	if !errors.Is(err, state.ErrLedger) {
		return explain("read the ledger of what awaits upload", e.state.SyncLedger(), err)
	}
	out := &Error{Op: "read the ledger of what awaits upload", Path: e.state.SyncLedger(), Code: CodeLedger, Err: err}
	if errors.Is(err, repository.ErrNewerFormat) {
		out.Hint = hints[CodeNewerFormat]
	}
	return out
}

// published is what of a catalogue is in a OneDrive folder: the files that are watched.
type published struct {
	e      *Engine
	target repository.Repo
	folder string
	id     string // the repository's
	// backups are the catalogued ones, oldest first, with the names and sizes of their files.
	backups []publishedBackup
}

type publishedBackup struct {
	manifest *repository.Manifest
	stored   map[string]int64
}

// newPublished derives it from catalogue and listing. Files at the top of the repository belong to the newest backup: it is
// the one that needs them as they are.
func newPublished(e *Engine, folder onedrive.Folder, repositoryID string, manifests []*repository.Manifest, l *repository.Listing) *published {
	p := &published{e: e, target: e.target(folder), folder: folder.Path, id: repositoryID}
	for _, m := range manifests {
		p.backups = append(p.backups, publishedBackup{m, m.Stored(l)})
	}
	if n := len(p.backups); n > 0 {
		maps.Copy(p.backups[n-1].stored, l.Top)
	}
	return p
}

// sizes returns all files that are there.
func (p *published) sizes() map[string]int64 {
	out := map[string]int64{}
	for _, b := range p.backups {
		for name, size := range b.stored {
			if size >= 0 {
				out[name] = size
			}
		}
	}
	return out
}

// enter brings a ledger up to date with what is published: files that are new in it begin to wait. again are files that
// were published anew, by id the backup that brought them in.
func (p *published) enter(l *state.Ledger, again []string, id string) {
	now, wall := l.Odometer, l.Last.Wall
	sizes := p.sizes()
	for name, size := range sizes {
		if t := l.Files[name]; t == nil || t.SizeBytes != size || slices.Contains(again, name) {
			by := ""
			if slices.Contains(again, name) {
				by = id
			}
			l.Files[name] = onedrive.NewTrack(size, by, now, wall)
		}
	}
	for _, w := range l.Backups {
		w.PublishedAgain(again)
	}
	for _, b := range p.backups {
		if l.Backups[b.manifest.BackupID] == nil {
			l.Backups[b.manifest.BackupID] = &state.SyncBackup{PublishedAt: wall, Published: now}
		}
	}
}

// trim takes out of a ledger what nothing refers to any more. Only the holder of the run lock may: anybody else's listing
// may be older than what is in the ledger.
func (p *published) trim(l *state.Ledger) {
	sizes := p.sizes()
	maps.DeleteFunc(l.Files, func(name string, _ *onedrive.Track) bool { _, ok := sizes[name]; return !ok })
	maps.DeleteFunc(l.Backups, func(id string, _ *state.SyncBackup) bool {
		return !slices.ContainsFunc(p.backups, func(b publishedBackup) bool { return b.manifest.BackupID == id })
	})
}

// tracks returns the tracks of a backup's files. A file that is not there, or not in the ledger, is unknown.
func (b *publishedBackup) tracks(l *state.Ledger) []*onedrive.Track {
	var out []*onedrive.Track
	for name, size := range b.stored {
		t := l.Files[name]
		if t == nil || size < 0 {
			t = &onedrive.Track{SizeBytes: max(size, 0), Missing: true, Published: l.Odometer, Moved: l.Odometer}
		}
		out = append(out, t)
	}
	return out
}

// status judges everything in a ledger that is up to date.
func (p *published) status(l *state.Ledger) *SyncStatus {
	slow := p.e.slowAfter()
	s := &SyncStatus{Source: l.Source, CanAnswer: l.Top >= onedrive.ClientUploaded, Health: l.Health, LookedAt: l.Last.Wall}
	all := map[*onedrive.Track]bool{}
	for i := range slices.Backward(p.backups) {
		b := &p.backups[i]
		tracks := b.tracks(l)
		for _, t := range tracks {
			all[t] = true
		}
		row := BackupSync{BackupID: b.manifest.BackupID, Judgement: onedrive.Judge(tracks, l.Health, l.Top, l.Odometer, slow)}
		if w := l.Backups[b.manifest.BackupID]; w != nil {
			row.Uploaded = w.Uploaded
		}
		s.Backups = append(s.Backups, row)
	}
	list := make([]*onedrive.Track, 0, len(all))
	for t := range all {
		list = append(list, t)
	}
	s.All = onedrive.Judge(list, l.Health, l.Top, l.Odometer, slow)
	s.WaitedSeconds = s.All.Waited.Seconds()
	return s
}

// ledgerLimit is how long the ledger's lock is waited for.
const ledgerLimit = 20 * time.Second

// withLedger changes the ledger under its lock, with the odometer moved to now.
func (p *published) withLedger(ctx context.Context, change func(*state.Ledger) error) error {
	e := p.e
	// It is held for moments; a process that was stopped while it held it must not stop a backup.
	limited, cancel := context.WithTimeout(ctx, ledgerLimit)
	defer cancel()
	lock, err := e.state.LockLedger(limited)
	if err != nil {
		return explain("lock the ledger of what awaits upload", "", err)
	}
	defer lock.Unlock()
	now := e.moment()
	l, err := e.state.LoadLedger(p.id, p.folder, now)
	if err != nil {
		return e.ledgerError(err)
	}
	l.Advance(now)
	if err := change(l); err != nil {
		return err
	}
	return explain("write the ledger of what awaits upload", e.state.SyncLedger(), e.state.SaveLedger(l))
}

// recordPublished enters what a run has published. That it cannot be written down is a warning: the backup is there, but
// nothing can be said of its upload.
func (b *backup) recordPublished(again []string) {
	p := newPublished(b.e, b.folder, b.descriptor.RepositoryID, b.catalogue, b.listing)
	provider := b.e.provider(b.folder.Path)
	err := p.withLedger(b.ctx, func(l *state.Ledger) error {
		l.Source, l.Top = provider.Name(), provider.Highest()
		p.enter(l, again, b.manifest.BackupID)
		p.trim(l)
		return nil
	})
	if err != nil && b.ctx.Err() == nil {
		hint := ""
		if known, ok := errors.AsType[*Error](err); ok {
			hint = known.Advice()
		}
		b.lateWarning("sync_ledger", "", fmt.Sprintf("the backup is complete, but its upload cannot be watched: %v", err), hint)
	}
}

// syncState is the rung that a backup has reached when it has just been published: nobody has looked yet.
func (b *backup) syncState() string {
	return min(b.e.provider(b.folder.Path).Highest(), onedrive.Pending).String()
}

// uploaded returns the backups of the catalogue that are uploaded in full, as far as the ledger knows.
func (s *session) uploaded() map[string]bool {
	out := map[string]bool{}
	l, err := s.e.state.LoadLedger(s.descriptor.RepositoryID, s.folder.Path, s.e.moment())
	if err != nil {
		return out
	}
	p := newPublished(s.e, s.folder, s.descriptor.RepositoryID, s.catalogue, s.listing)
	for i := range p.backups {
		b := &p.backups[i]
		out[b.manifest.BackupID] = !slices.ContainsFunc(b.tracks(l), (*onedrive.Track).Waits)
	}
	return out
}

// path returns where a file of the repository lies.
func (p *published) path(name string) string {
	return p.target.Path(filepath.FromSlash(name))
}

// sortedNames returns the chunks first, then the rest by name.
func sortedNames(names []string) []string {
	slices.SortFunc(names, func(a, b string) int {
		ca, cb := strings.HasPrefix(a, repository.ChunksDir+"/"), strings.HasPrefix(b, repository.ChunksDir+"/")
		switch {
		case ca && !cb:
			return -1
		case cb && !ca:
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}
