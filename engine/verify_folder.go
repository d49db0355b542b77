package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/repository"
)

// mendTop writes the descriptor and the writer file in OneDrive anew where they are damaged: this state directory knows what
// stood in them, if a backup there is of its repository.
func (w *verification) mendTop(ids []string) error {
	id, err := w.e.state.PeekIdentity()
	if err != nil || id == nil || !w.remote {
		return nil //nolint:nilerr // a damaged identity is told by whoever needs it
	}
	target := w.repos[0]
	ours := slices.ContainsFunc(ids, func(b string) bool {
		m, _, err := target.CheckedManifest(b)
		return err == nil && m.RepositoryID == id.RepositoryID
	})
	if !ours {
		return nil
	}
	anew := func(name string, v any) error {
		err := target.WriteJSON(name, v)
		if err == nil {
			w.res.Repaired = append(w.res.Repaired, target.Path(name))
		}
		return err
	}
	d, merr := w.e.mirror().Descriptor()
	if _, err := w.e.descriptor(target); errors.Is(err, repository.ErrDamaged) && merr == nil && d.RepositoryID == id.RepositoryID {
		if err := anew(repository.RepositoryName, *d); err != nil {
			return err
		}
	}
	n, err := target.WriterNumber()
	if err != nil || id.Writer == nil || id.Writer.Number != n {
		return nil //nolint:nilerr // what cannot be listed is told by what follows
	}
	if _, err := target.Writer(); errors.Is(err, repository.ErrDamaged) {
		return anew(repository.WriterName(n), *id.Writer)
	}
	return nil
}

// checkTop names what is damaged at the top of the repository after mending.
func (w *verification) checkTop() {
	if !w.remote {
		return
	}
	target := w.repos[0]
	if _, err := w.e.descriptor(target); errors.Is(err, repository.ErrDamaged) {
		w.res.Top = append(w.res.Top, fmt.Sprintf("%s: %v", repository.RepositoryName, err))
	}
	if _, err := target.Writer(); errors.Is(err, repository.ErrDamaged) {
		w.res.Top = append(w.res.Top, err.Error())
	}
}

// folderLook is what a backup's folder is found to be: its manifest, as a summary because there are many, and the files to mend.
type folderLook struct {
	m    *repository.Manifest
	sum  repository.Hash // of the manifest's bytes
	err  error
	mend []mending
}

// mending is a file of a backup's folder that is whole in one copy and not in others.
type mending struct {
	name string
	size int64
	sum  repository.Hash
	from repository.Repo
	to   []repository.Repo
}

// folders returns the manifests that backups are verified by, after mending their folders in every copy. The folders are looked
// through several at a time, and mended one after the other.
func (w *verification) folders(ids []string) ([]folderLook, error) {
	looks := make([]folderLook, len(ids))
	g, ctx := errgroup.WithContext(w.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		g.Go(func() error {
			looks[i] = w.look(ctx, id)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, id := range ids {
		if len(looks[i].mend) == 0 {
			continue
		}
		for _, f := range looks[i].mend {
			if err := w.mendFile(f); err != nil {
				return nil, err
			}
		}
		w.manifestOf(&looks[i], id)
	}
	return looks, w.ctx.Err()
}

// look changes nothing and is called from several goroutines.
func (w *verification) look(ctx context.Context, id string) (l folderLook) {
	for _, r := range w.repos {
		if m, raw, err := r.CheckedManifest(id); err == nil {
			l.mend = w.toMend(ctx, m, raw)
			break
		}
	}
	w.manifestOf(&l, id)
	return l
}

func (w *verification) manifestOf(l *folderLook, id string) {
	m, raw, err := w.manifest(id)
	if l.err = err; err == nil {
		l.m, l.sum = m.Summary(), repository.SumHash(raw)
	}
}

// manifest returns the manifest that a backup is verified by. Where no copy has one that agrees with its restore index, the
// one in the backup's home is taken as it is: its problems are named.
func (w *verification) manifest(id string) (*repository.Manifest, []byte, error) {
	m, raw, err := w.repos[w.home(id)].ReadManifest(id)
	if errors.Is(err, errEvicted) && len(w.repos) > 1 && w.listings[1].Backups[id] != nil {
		return w.repos[1].ReadManifest(id)
	}
	return m, raw, err
}

// toMend finds each file of a backup's folder that is not what it was and has a twin in another copy. What no copy
// has whole is left for the verification to name, and what is missing for the next backup to publish.
func (w *verification) toMend(ctx context.Context, m *repository.Manifest, raw []byte) (out []mending) {
	refs := append([]repository.FileRef{{Path: repository.ManifestName, SizeBytes: int64(len(raw)), SHA256: repository.SumHash(raw)}}, m.Files...)
	for _, ref := range refs {
		out = append(out, w.copiesOf(ctx, m.BackupID, ref)...)
	}
	return append(out, w.indexToMend(ctx, m, raw)...)
}

// indexToMend does the same for the restore index. Only whoever reads all of it knows whether it is whole: no manifest has its
// hash. Where all copies are equal, it makes no difference.
func (w *verification) indexToMend(ctx context.Context, m *repository.Manifest, raw []byte) []mending {
	refs := make([]*repository.FileRef, len(w.repos))
	var differ bool
	var first *repository.FileRef
	for i, r := range w.repos {
		sum, size, err := hashReady(r, r.Path(m.BackupID, repository.RestoreIndexName))
		if err != nil {
			continue
		}
		refs[i] = &repository.FileRef{Path: repository.RestoreIndexName, SizeBytes: size, SHA256: sum}
		if first == nil {
			first = refs[i]
		}
		differ = differ || *refs[i] != *first
	}
	if !differ {
		return nil
	}
	var files []repository.File
	for _, r := range w.repos {
		var err error
		if files, err = r.ReadFiles(m); err == nil {
			break
		}
	}
	for i, r := range w.repos {
		if refs[i] != nil && files != nil && checkRestoreIndex(r, m, raw, files) == nil {
			return w.copiesOf(ctx, m.BackupID, *refs[i])
		}
	}
	return nil
}

// hashReady hashes a file of a copy, unless it is evicted and must not be downloaded.
func hashReady(r repository.Repo, path string) (repository.Hash, int64, error) {
	if err := r.AwaitReady(path); err != nil {
		return repository.Hash{}, 0, err
	}
	return repository.HashFile(path)
}

// copiesOf returns the file as one to mend if it is whole in a copy and not in another.
func (w *verification) copiesOf(ctx context.Context, id string, ref repository.FileRef) []mending {
	f := mending{name: id + "/" + ref.Path, size: ref.SizeBytes, sum: ref.SHA256}
	whole := false
	for i, r := range w.repos {
		if _, ok := w.listings[i].Backups[id][ref.Path]; !ok || ctx.Err() != nil {
			continue
		}
		switch sum, size, err := hashReady(r, r.Path(f.name)); {
		case err == nil && size == ref.SizeBytes && sum == ref.SHA256:
			if !whole {
				f.from, whole = r, true
			}
		case err == nil:
			f.to = append(f.to, r)
		}
	}
	if !whole || len(f.to) == 0 {
		return nil
	}
	return []mending{f}
}

func (w *verification) mendFile(f mending) error {
	for _, to := range f.to {
		p := &repository.Publisher{FS: w.e.fs, Mirror: f.from, Target: to, Staging: w.e.state.Staging()}
		err := p.Put(w.ctx, f.name, f.size, f.sum)
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			// In the backup's home the verification names it; elsewhere it is tried again the next time.
			w.e.note(fmt.Sprintf("%s is not what it was, and replacing it failed: %v", to.Path(f.name), err))
		default:
			w.res.Repaired = append(w.res.Repaired, to.Path(f.name))
		}
	}
	return nil
}

// checkedFolder is what checkFolder says of a backup's folder in the copy that it is verified in; unread: it is evicted. m is the
// whole manifest; nil: there is nothing to verify by it.
type checkedFolder struct {
	m        *repository.Manifest
	files    []repository.File
	problems []string
	unread   bool
}

func (w *verification) checkFolder(l folderLook) (c checkedFolder) {
	home := w.folderOf(l.m, w.home(l.m.BackupID))
	if home < 0 {
		return checkedFolder{unread: true}
	}
	m, raw, err := w.manifest(l.m.BackupID)
	if err == nil && repository.SumHash(raw) != l.sum {
		err = errors.New("it was changed while it was verified")
	}
	if errors.Is(err, errEvicted) {
		return checkedFolder{unread: true}
	}
	if err != nil {
		c.problems = []string{fmt.Sprintf("%s/%s: %v", l.m.BackupID, repository.ManifestName, err)}
		return c
	}
	c.m = m
	c.files, c.problems = checkFolder(w.repos[home], m, raw)
	return c
}
