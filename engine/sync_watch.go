package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

const (
	// lookEvery is how often a run that waits looks.
	lookEvery = 5 * time.Second
	// lookLimit is how long OneDrive may take to answer in one look.
	lookLimit = 90 * time.Second
)

// Sync looks once at the files that await their upload, enters what is seen into the ledger, and returns how things stand.
// Whoever looks carries the watching on, in whatever process. It needs no run lock. Where this state directory is not
// that of the repository, or there is none, it returns nil.
func (e *Engine) Sync(ctx context.Context) (*SyncStatus, error) {
	p, err := e.published()
	if p == nil || err != nil {
		return nil, err
	}
	return p.look(ctx)
}

// published derives what is in the OneDrive folder from the mirror's catalogue and a listing. It is nil where there is
// nothing of this state directory's.
func (e *Engine) published() (*published, error) {
	id, err := e.state.PeekIdentity()
	if err != nil || id == nil || id.RepositoryID == "" {
		return nil, err
	}
	v, err := e.view()
	if err != nil || !v.remote || len(v.repos) < 2 {
		return nil, err
	}
	if d, err := e.mirror().Descriptor(); err != nil || d.RepositoryID != id.RepositoryID {
		return nil, err
	}
	if e.checkWriter(v.folder) != nil {
		return nil, nil //nolint:nilerr // another writer's files are watched by that one; status tells of it
	}
	var manifests []*repository.Manifest
	for _, name := range v.listings[1].IDs() {
		if m, _, err := v.repos[1].ReadSummary(name); err == nil {
			manifests = append(manifests, m)
		}
	}
	return newPublished(e, v.folder, id.RepositoryID, manifests, v.listings[0]), nil
}

// look observes the files that wait, and all files of the newest backup.
func (p *published) look(ctx context.Context) (*SyncStatus, error) {
	e := p.e
	provider := e.provider(p.folder)
	l, err := e.state.LoadLedger(p.id, p.folder, e.moment())
	if err != nil {
		return nil, e.ledgerError(err)
	}
	names := p.toLookAt(l)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = p.path(name)
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	at := e.moment()
	seen, health, err := onedrive.Look(limited, provider, p.folder, paths)
	if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
		return nil, err
	}
	if err != nil {
		// Whoever does not answer in time has said nothing.
		seen, health = make([]onedrive.Observation, len(paths)), onedrive.Health{}
		for i := range seen {
			seen[i] = onedrive.Observation{Top: provider.Highest(), Print: onedrive.PrintOf(paths[i]), Answer: onedrive.Answer{Detail: "no answer in time"}}
		}
	}
	var done []string
	var status *SyncStatus
	err = p.withLedger(ctx, func(l *state.Ledger) error {
		l.Source, l.Top, l.Health = provider.Name(), provider.Highest(), health
		p.enter(l, nil, "")
		// The odometer has gone on since the files were looked at.
		when := l.Odometer - min(l.Last.Since(at), l.Odometer)
		for i, name := range names {
			if t := l.Files[name]; t != nil {
				t.Observe(max(when, 0), seen[i])
			}
		}
		status = p.status(l)
		done = p.justUploaded(l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range done {
		err := p.finishUpload(ctx, id, provider.Name())
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			// Hashing takes longer than there is time for: what was seen stands, and is in the ledger.
			break
		} else if ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			// What is known of the upload is known all the same; the next look tries it again.
			e.log.Warn().Err(err).Str("backup", id).Msg("finish upload")
		}
	}
	if len(done) == 0 {
		return status, nil
	}
	if l, err = e.state.LoadLedger(p.id, p.folder, e.moment()); err != nil {
		return nil, e.ledgerError(err)
	}
	return p.status(l), nil
}

// toLookAt returns the files of the newest backup and all others that wait.
func (p *published) toLookAt(l *state.Ledger) []string {
	newest := map[string]int64{}
	if n := len(p.backups); n > 0 {
		newest = p.backups[n-1].stored
	}
	var out []string
	for name := range p.sizes() {
		_, in := newest[name]
		if t := l.Files[name]; in || t == nil || t.Waits() {
			out = append(out, name)
		}
	}
	return sortedNames(out)
}

// justUploaded returns the backups that are uploaded in full and not written down as such.
func (p *published) justUploaded(l *state.Ledger) []string {
	var out []string
	for i := range p.backups {
		b := &p.backups[i]
		w := l.Backups[b.manifest.BackupID]
		if w != nil && w.Uploaded == nil && !slices.ContainsFunc(b.tracks(l), (*onedrive.Track).Waits) {
			out = append(out, b.manifest.BackupID)
		}
	}
	return out
}

// errNotRead says that local files could not be read, or not in time: nothing is known of their bytes.
var errNotRead = errors.New("not read")

// finishUpload hashes the local files of a backup that was just uploaded once more, and writes down what its upload came
// to. Where files could not be read nothing is written down, and the next look tries it again; that is no error.
func (p *published) finishUpload(ctx context.Context, id, source string) error {
	i := slices.IndexFunc(p.backups, func(b publishedBackup) bool { return b.manifest.BackupID == id })
	b := &p.backups[i]
	hash, err := p.hashOnceMore(ctx, b)
	if errors.Is(err, errNotRead) {
		p.e.log.Warn().Err(err).Str("backup", id).Msg("hash the uploaded files once more")
		return nil
	}
	if err != nil {
		return err
	}
	return p.withLedger(ctx, func(l *state.Ledger) error {
		w := l.Backups[id]
		tracks := b.tracks(l)
		if w == nil || w.Uploaded != nil || slices.ContainsFunc(tracks, (*onedrive.Track).Waits) {
			return nil
		}
		w.Uploaded = b.uploadOf(l, tracks)
		w.Uploaded.At, w.Uploaded.Source, w.Uploaded.Hash = l.Last.Wall, source, hash
		h := state.HistoryEntry{Time: l.Last.Wall, Kind: "sync", Result: repository.StatusCompleted, BackupID: id,
			Seconds: w.Uploaded.Seconds, Files: w.Uploaded.Files, Sync: w.Uploaded}
		if len(hash.Bad) > 0 {
			h.Result, h.Error = "damaged", fmt.Sprintf("%d local files are not what they were, %s among them", len(hash.Bad), hash.Bad[0])
		}
		// First the history: a line that is there twice does less harm than one that is missing.
		return explain("write history", p.e.state.Path, p.e.state.AppendHistory(h))
	})
}

// uploadOf adds up the upload of the files that the backup itself brought in.
func (b *publishedBackup) uploadOf(l *state.Ledger, tracks []*onedrive.Track) *state.Sync {
	out := &state.Sync{Rung: onedrive.CloudVerified, Files: len(tracks)}
	for _, t := range tracks {
		out.Rung = min(out.Rung, t.Rung())
		out.Bytes += t.SizeBytes
	}
	for name := range b.stored {
		t := l.Files[name]
		if t == nil || t.Backup != b.manifest.BackupID {
			continue
		}
		out.Seconds, out.AtLeastSeconds = max(out.Seconds, t.Upload.Seconds()), max(out.AtLeastSeconds, t.AtLeast.Seconds())
		for _, c := range b.manifest.Chunks {
			if name == repository.ChunksDir+"/"+repository.ChunkName(c.SHA256) {
				out.Chunks = append(out.Chunks, state.SyncChunk{SHA256: c.SHA256, SizeBytes: c.SizeBytes, Seconds: t.Upload.Seconds(), AtLeastSeconds: t.AtLeast.Seconds()})
			}
		}
	}
	slices.SortFunc(out.Chunks, func(x, y state.SyncChunk) int { return strings.Compare(x.SHA256.String(), y.SHA256.String()) })
	return out
}

// hashOnceMore compares the local files of a backup in the OneDrive folder with their hashes. One that is evicted is
// counted and not read. Where another could not be read, and none differs, the error is errNotRead.
func (p *published) hashOnceMore(ctx context.Context, b *publishedBackup) (*state.SyncHash, error) {
	m := b.manifest
	want := map[string]repository.Hash{}
	for _, f := range m.Files {
		want[m.BackupID+"/"+f.Path] = f.SHA256
	}
	for _, c := range m.Chunks {
		want[repository.ChunksDir+"/"+repository.ChunkName(c.SHA256)] = c.SHA256
	}
	for _, name := range []string{repository.ManifestName, repository.RestoreIndexName, repository.MACName} {
		// The manifest cannot have these hashes; the mirror has the files.
		if sum, _, err := repository.HashFile(p.e.mirror().Path(m.BackupID, name)); err == nil {
			want[m.BackupID+"/"+name] = sum
		}
	}
	out := new(state.SyncHash)
	var names, paths []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if p.e.evicted(p.path(name)) {
			out.Evicted++
			continue
		}
		names, paths = append(names, name), append(paths, p.path(name))
	}
	sums, err := p.e.hashHere(ctx, paths)
	if err != nil {
		return nil, explain("hash the uploaded files once more", p.target.Dir, err)
	}
	var unread error
	for i, sum := range sums {
		switch {
		case sum.Evicted:
			out.Evicted++
			continue
		case sum.Err != nil:
			// That it cannot be read says nothing of its bytes.
			if unread == nil {
				unread = fmt.Errorf("%s: %w: %w", names[i], errNotRead, sum.Err)
			}
			continue
		}
		out.Files++
		out.Bytes += sum.Bytes
		if repository.Hash(sum.SHA256) != want[names[i]] {
			out.Bad = append(out.Bad, names[i]+badBytes)
		}
	}
	if unread != nil && len(out.Bad) == 0 {
		return nil, unread
	}
	out.Bad = out.Bad[:min(len(out.Bad), state.MaxSyncBad)]
	return out, nil
}

// badBytes is what is said of a file, after its name, whose hash is another than it was.
const badBytes = ": its bytes are not what they were"

// foundWhole takes back what was found of backups that a verification found whole afterwards: they are hashed again when
// next looked at. That it cannot be taken back goes to the log only: the status then says too much, not too little.
func (e *Engine) foundWhole(ctx context.Context, backups []VerifiedBackup) {
	p, err := e.published()
	if p == nil || err != nil {
		return
	}
	var ids []string
	if l, err := e.state.LoadLedger(p.id, p.folder, e.moment()); err == nil {
		for _, b := range backups {
			if w := l.Backups[b.BackupID]; b.OK && !b.LocalOnly && w != nil && w.Damaged() {
				ids = append(ids, b.BackupID)
			}
		}
	}
	if len(ids) == 0 {
		return
	}
	err = p.withLedger(ctx, func(l *state.Ledger) error {
		for _, id := range ids {
			if w := l.Backups[id]; w != nil && w.Damaged() {
				w.Uploaded = nil
			}
		}
		return nil
	})
	if err != nil {
		e.log.Warn().Err(err).Strs("backups", ids).Msg("take back what was found of uploaded files")
	}
}

// hashHere hashes files without downloading any: in a child that is not able to, where there is one.
func (e *Engine) hashHere(ctx context.Context, paths []string) ([]onedrive.Hashed, error) {
	if e.opt.Helper.Path != "" && len(paths) > 0 {
		return e.opt.Helper.Hash(ctx, paths)
	}
	out := make([]onedrive.Hashed, len(paths))
	for i, path := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sum, n, err := repository.HashFile(path)
		out[i] = onedrive.Hashed{SHA256: sum, Bytes: n, Err: err}
	}
	return out, nil
}

// WaitForSync looks every few seconds until a backup is uploaded, cannot be, or limit, which is awake time, is over. Where
// nobody can be asked it does not wait. It is nil where there is nothing to watch. That ctx is over ends the waiting and is
// no error: the backup is there, and whoever runs next goes on watching.
func (e *Engine) WaitForSync(ctx context.Context, id string, limit time.Duration) (*SyncStatus, error) {
	p, err := e.published()
	if p == nil || err != nil {
		return nil, err
	}
	s, err := p.look(ctx)
	if s == nil || err != nil || !s.CanAnswer || limit <= 0 {
		return s, ignoreCancelled(ctx, err)
	}
	total := s.Backup(id).Bytes
	e.phase(event.Wait, total)
	began := e.moment()
	for {
		b := s.Backup(id)
		e.progress(event.Wait, total-min(b.WaitingBytes, total), total)
		left := limit - e.moment().Since(began)
		if b.Verdict == onedrive.Done || b.Verdict == onedrive.Blocked || b.Plain() || left <= 0 {
			return s, nil
		}
		if err := e.sleep(ctx, min(lookEvery, left)); err != nil {
			return s, nil //nolint:nilerr // waiting ends, nothing failed
		}
		next, err := p.look(ctx)
		if err != nil {
			return s, ignoreCancelled(ctx, err)
		}
		s = next
	}
}

func ignoreCancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // waiting ends, nothing failed
	}
	return err
}

func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	if e.env.Sleep != nil {
		return e.env.Sleep(ctx, d)
	}
	return sleep(ctx, d)
}
