package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// VerifyOptions say what to verify.
type VerifyOptions struct {
	// Backups are names as for Show; none means the newest complete one.
	Backups []string
	All     bool
	// Download reads also what OneDrive has evicted. Without it, that is read in the mirror, or counted as not read.
	Download bool
	// HashesOnly compares every stored file and chunk with its hash, and takes out nothing. It finds what changed since it
	// was stored, in a small part of the time.
	HashesOnly bool
}

// VerifiedBackup is the verdict on one backup.
type VerifiedBackup struct {
	BackupID string `json:"backup_id"`
	OK       bool   `json:"ok"`
	// LocalOnly: it was verified in the mirror, because OneDrive does not have its manifest.
	LocalOnly bool     `json:"local_only,omitempty"`
	Problems  []string `json:"problems,omitempty"`
	Files     int      `json:"files"`
	// NotRead counts the files and databases that were not read, because OneDrive has evicted what they lie in.
	NotRead int `json:"not_read,omitempty"`
}

// VerifyResult is what a verification found.
type VerifyResult struct {
	Backups []VerifiedBackup `json:"backups"`
	// Repaired are chunks and files that were replaced by a whole copy; BadChunks the chunks of which there is none.
	Repaired  []string `json:"repaired,omitempty"`
	BadChunks []string `json:"bad_chunks,omitempty"`
	// Top says what is wrong with the repository's own files at its top. No restore needs them; the next backup does, and only the
	// machine that makes it can mend them.
	Top     []string `json:"top,omitempty"`
	Foreign []string `json:"foreign,omitempty"`
	// Evicted are chunks that no copy on this machine has, and that were not downloaded, and why.
	Evicted []string `json:"evicted,omitempty"`
	Chunks  int      `json:"chunks"`
	Bytes   int64    `json:"bytes"`
	// HashesOnly: nothing was taken out of the chunks.
	HashesOnly bool `json:"hashes_only,omitempty"`
	// Duration is how long it took.
	Duration time.Duration `json:"-"`
}

// OK reports whether every backup that was looked at was read in full and is whole, and so is the repository's top.
func (r *VerifyResult) OK() bool {
	return len(r.BadChunks) == 0 && len(r.Top) == 0 && !slices.ContainsFunc(r.Backups, func(b VerifiedBackup) bool { return !b.OK })
}

// Damaged reports whether something that was read is not what it was, or cannot be read. What was not read for being
// evicted is no damage, and not OK.
func (r *VerifyResult) Damaged() bool {
	return len(r.BadChunks) > 0 || len(r.Top) > 0 || slices.ContainsFunc(r.Backups, func(b VerifiedBackup) bool { return len(b.Problems) > 0 })
}

// Verify compares stored bytes with their hashes: the files of each backup's folder, every chunk, every file in a
// stream and every database. A chunk or a file of a folder that is bad in OneDrive or in the mirror is replaced by its twin if that is
// whole; one that is bad everywhere leaves the mirror, so that the next backup stores its content again.
func (e *Engine) Verify(ctx context.Context, o VerifyOptions) (res *VerifyResult, err error) {
	v, err := e.viewOf(&fetcher{e: e, forbid: !o.Download})
	if err != nil {
		return nil, err
	}
	if _, err := v.choose(o); err != nil {
		return nil, err
	}
	end, err := e.begin("verify")
	if err != nil {
		return nil, err
	}
	history := new(state.HistoryEntry)
	started := e.now()
	defer func() { end(history, err) }()
	// Before the lock was held, a prune may have removed what was listed.
	if v, err = e.viewOf(&fetcher{e: e, forbid: !o.Download}); err != nil {
		return nil, err
	}
	chosen, err := v.choose(o)
	if err != nil {
		return nil, err
	}
	w := &verification{view: v, ctx: ctx, res: &VerifyResult{Foreign: slices.Clone(v.listings[0].Foreign), HashesOnly: o.HashesOnly},
		bad: map[repository.Hash]error{}, unread: map[repository.Hash]error{}, whole: map[string]bool{}}
	if err := w.run(chosen); err != nil {
		return nil, explain("verify", "", err)
	}
	if !o.HashesOnly {
		e.foundWhole(ctx, w.res.Backups)
	}
	w.res.Duration = e.now().Sub(started)
	history.Result = repository.StatusCompleted
	e.statusMu.Lock()
	if !o.HashesOnly || w.res.Damaged() {
		e.status.LastVerify = &state.VerifyResult{At: e.now().UTC(), Backups: len(chosen), Bad: w.summary()}
	}
	e.statusMu.Unlock()
	if !w.res.OK() {
		history.Result = repository.StatusCompletedWithWarnings
	}
	if w.res.Damaged() {
		history.Result = "damaged"
		history.Error = counted(len(w.summary()), "problem", "problems")
	}
	return w.res, nil
}

// choose resolves the names given.
func (v *view) choose(o VerifyOptions) ([]string, error) {
	if o.All {
		ids := v.ids()
		if len(ids) == 0 {
			return nil, &Error{Op: "verify", Code: CodeNoBackup, Err: errors.New("there is no backup yet")}
		}
		return ids, nil
	}
	names := o.Backups
	if len(names) == 0 {
		names = []string{"latest"}
	}
	var ids []string
	for _, name := range names {
		m, _, _, err := v.resolve(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, m.BackupID) {
			ids = append(ids, m.BackupID)
		}
	}
	return ids, nil
}

type verification struct {
	*view
	ctx context.Context
	res *VerifyResult
	// bad are chunks of which no copy is whole.
	bad map[repository.Hash]error
	// unread are chunks that are evicted, and of which there is no copy on this machine.
	unread map[repository.Hash]error
	// published are the chunks that have to be in the first copy.
	published map[repository.Hash]bool
	// whole are files that were found whole, by fileKey: most files of a backup lie in the one before at the same place.
	whole map[string]bool
	plain *plainChunks // nil: every backup's chunks are decompressed for it
}

// home returns the number of the copy that a backup is verified in: OneDrive, or the mirror for one whose manifest
// has not got there.
func (w *verification) home(id string) int {
	for i, l := range w.listings {
		if _, ok := l.Backups[id][repository.ManifestName]; ok {
			return i
		}
	}
	return 0
}

func (w *verification) run(ids []string) error {
	if err := w.mendTop(ids); err != nil {
		return err
	}
	w.checkTop()
	looks, err := w.folders(ids)
	if err != nil {
		return err
	}
	chunks := map[repository.Hash]repository.ChunkRef{}
	published := map[repository.Hash]bool{}
	var whole []folderLook
	for i, l := range looks {
		id := ids[i]
		if errors.Is(l.err, errEvicted) {
			w.res.Evicted = append(w.res.Evicted, fmt.Sprintf("%s/%s: %v", id, repository.ManifestName, errEvicted))
			w.res.Backups = append(w.res.Backups, VerifiedBackup{BackupID: id, NotRead: 1})
			continue
		}
		if l.err != nil {
			w.res.Backups = append(w.res.Backups, VerifiedBackup{BackupID: id, Problems: []string{fmt.Sprintf("%s/%s: %v", id, repository.ManifestName, l.err)}})
			continue
		}
		whole = append(whole, l)
		for _, c := range l.m.Chunks {
			chunks[c.SHA256] = c
			published[c.SHA256] = published[c.SHA256] || w.home(id) == 0
		}
	}
	w.published = published
	if err := w.chunks(chunks); err != nil {
		return err
	}
	if !w.res.HashesOnly {
		plain, err := w.keepPlain(len(whole), chunks)
		if err != nil {
			return err
		}
		if plain != nil {
			defer plain.file.Close()
		}
		w.plain = plain
	}
	if err := w.backups(whole); err != nil {
		return err
	}
	slices.SortFunc(w.res.Backups, func(a, b VerifiedBackup) int { return strings.Compare(b.BackupID, a.BackupID) })
	return nil
}

// chunks reads every copy of every chunk, several at a time, and mends what has a whole twin.
func (w *verification) chunks(all map[repository.Hash]repository.ChunkRef) error {
	var total, done int64
	for _, c := range all {
		total += c.SizeBytes
	}
	w.e.phase(event.Verify, total)
	order := slices.SortedFunc(maps.Keys(all), func(a, b repository.Hash) int { return strings.Compare(a.String(), b.String()) })
	copies := make([][]copyFound, len(order))
	report := w.e.counter(event.Verify, total, &done)
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, h := range order {
		g.Go(func() error {
			copies[i] = w.readCopies(ctx, all[h])
			report(all[h].SizeBytes)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, h := range order {
		if err := w.judge(all[h], copies[i]); err != nil {
			return err
		}
		w.res.Chunks++
		w.res.Bytes += all[h].SizeBytes
	}
	return nil
}

// copyFound is what became of reading one copy of a chunk.
type copyFound struct {
	repo int
	// unread says why it was not read: it is evicted. bad says what is wrong with it.
	unread, bad error
}

// readCopies hashes the copies of a chunk. It changes nothing and is called from several goroutines.
func (w *verification) readCopies(ctx context.Context, ref repository.ChunkRef) (found []copyFound) {
	for i, r := range w.repos {
		// The mirror holds only the chunks of the newest backups, and OneDrive not yet those that were never published:
		// one that is not there is no damage.
		if _, ok := w.listings[i].Chunks[ref.SHA256]; !ok && (i > 0 || !w.published[ref.SHA256]) {
			continue
		}
		if err := r.AwaitReady(r.Path(repository.ChunksDir, repository.ChunkName(ref.SHA256))); err != nil {
			found = append(found, copyFound{repo: i, unread: err})
			continue
		}
		found = append(found, copyFound{repo: i, bad: repository.CheckChunk(ctx, r.Dir, ref, false)})
	}
	return found
}

// judge says what the copies of a chunk come to, and replaces those that are bad.
func (w *verification) judge(ref repository.ChunkRef, copies []copyFound) error {
	var good, bad []int
	var first, unread error
	for _, c := range copies {
		switch {
		case c.unread != nil:
			unread = c.unread
		case c.bad == nil:
			good = append(good, c.repo)
		default:
			bad = append(bad, c.repo)
			if first == nil {
				first = c.bad
			}
		}
	}
	name := repository.ChunksDir + "/" + repository.ChunkName(ref.SHA256)
	switch {
	case len(bad) == 0:
		if len(good) == 0 && unread != nil {
			w.unread[ref.SHA256] = unread
			w.res.Evicted = append(w.res.Evicted, fmt.Sprintf("%s: %v", name, unread))
		}
		return nil
	case len(good) == 0 && unread != nil:
		// The mirror's copy is bad, and OneDrive's may be whole.
		w.unread[ref.SHA256] = first
		w.res.Evicted = append(w.res.Evicted, fmt.Sprintf("%s: bad in the mirror, and not read in OneDrive: %v", name, unread))
		return nil
	case len(good) == 0:
		w.bad[ref.SHA256] = first
		w.res.BadChunks = append(w.res.BadChunks, fmt.Sprintf("%s: %v", name, first))
		if errors.Is(first, repository.ErrDamaged) {
			return w.dropFromMirror(ref)
		}
		// What cannot be read today may be whole: nothing is removed for that.
		return nil
	}
	for _, i := range bad {
		if err := w.mend(w.repos[good[0]], w.repos[i], ref); err != nil {
			w.bad[ref.SHA256] = first
			w.res.BadChunks = append(w.res.BadChunks, fmt.Sprintf("%s: %v (replacing it failed: %v)", name, first, err))
			return nil
		}
		w.res.Repaired = append(w.res.Repaired, w.repos[i].Path(name))
	}
	return nil
}

// mend copies a whole chunk over a bad one.
func (w *verification) mend(from, to repository.Repo, ref repository.ChunkRef) error {
	p := &repository.Publisher{FS: w.e.fs, Mirror: from, Target: to, Staging: w.e.state.Staging()}
	return p.Put(w.ctx, repository.ChunksDir+"/"+repository.ChunkName(ref.SHA256), ref.SizeBytes, ref.SHA256)
}

// dropFromMirror takes a bad chunk out of the mirror, and so out of the block index.
func (w *verification) dropFromMirror(ref repository.ChunkRef) error {
	for i, r := range w.repos {
		if i == 0 && w.remote {
			continue
		}
		if err := repository.CheckChunk(w.ctx, r.Dir, ref, false); errors.Is(err, repository.ErrDamaged) {
			if err := w.e.fs.Remove(r.Path(repository.ChunksDir, repository.ChunkName(ref.SHA256))); err != nil {
				return err
			}
		}
	}
	return nil
}

// backups verifies backups one after the other, and their folders beside that, few at a time and not far ahead: a file list
// takes up memory.
func (w *verification) backups(looks []folderLook) error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	ahead := runtime.GOMAXPROCS(0)
	checked := make([]chan checkedFolder, len(looks))
	var g errgroup.Group
	begin := func(i int) {
		if i < len(looks) {
			checked[i] = make(chan checkedFolder, 1)
			g.Go(func() error {
				if ctx.Err() == nil {
					checked[i] <- w.checkFolder(looks[i])
				}
				close(checked[i])
				return nil
			})
		}
	}
	for i := range ahead {
		begin(i)
	}
	for i, l := range looks {
		folder := <-checked[i]
		if err := w.ctx.Err(); err != nil {
			return errors.Join(err, g.Wait())
		}
		begin(i + ahead)
		w.res.Foreign = append(w.res.Foreign, w.foreignIn(l.m)...)
		if err := w.backup(l.m, folder); err != nil {
			cancel()
			return errors.Join(err, g.Wait())
		}
	}
	return g.Wait()
}

// backup verifies everything in one backup's streams.
func (w *verification) backup(m *repository.Manifest, folder checkedFolder) error {
	out := VerifiedBackup{BackupID: m.BackupID, LocalOnly: w.home(m.BackupID) > 0 || !w.remote, Files: m.Stats.SourceFiles}
	if folder.unread {
		out.NotRead = m.Stats.SourceFiles
		w.res.Backups = append(w.res.Backups, out)
		return nil
	}
	files := folder.files
	out.Problems = folder.problems
	for _, c := range m.Chunks {
		if err := w.bad[c.SHA256]; err != nil {
			out.Problems = append(out.Problems, fmt.Sprintf("%s/%s: %v", repository.ChunksDir, repository.ChunkName(c.SHA256), err))
		}
	}
	if w.res.HashesOnly && slices.ContainsFunc(m.Chunks, func(c repository.ChunkRef) bool { return w.unread[c.SHA256] != nil }) {
		out.NotRead = m.Stats.SourceFiles
	}
	if files != nil && !w.res.HashesOnly {
		more, unread, err := w.streams(folder.m, files)
		if err != nil {
			return err
		}
		out.NotRead = unread
		out.Problems = append(out.Problems, more...)
	}
	out.OK = len(out.Problems) == 0 && out.NotRead == 0
	w.res.Backups = append(w.res.Backups, out)
	return nil
}

// folderOf returns the copy in which a backup's folder can be read; -1: it is evicted, and there is no other.
func (w *verification) folderOf(m *repository.Manifest, home int) int {
	if !w.fetch.forbid || home > 0 || !w.remote {
		return home
	}
	for name := range w.listings[0].Backups[m.BackupID] {
		if w.e.evicted(w.repos[0].Path(m.BackupID, name)) {
			for i := range w.repos[1:] {
				if _, ok := w.listings[i+1].Backups[m.BackupID][repository.ManifestName]; ok {
					return i + 1
				}
			}
			return -1
		}
	}
	return home
}

// summary lists every problem once.
func (w *verification) summary() []string {
	out := slices.Clone(w.res.Top)
	for _, b := range w.res.Backups {
		out = append(out, b.Problems...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
