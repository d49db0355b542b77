package engine

import (
	"errors"
	"fmt"
	"slices"

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

// manifest returns the manifest that a backup is verified by, after mending its folder in every copy. Where no copy
// has one that agrees with its restore index, the one in the backup's home is taken as it is: its problems are named.
func (w *verification) manifest(id string) (*repository.Manifest, []byte, error) {
	for _, r := range w.repos {
		m, raw, err := r.CheckedManifest(id)
		if err != nil {
			continue
		}
		if err := w.mendFolder(m, raw); err != nil {
			return nil, nil, err
		}
		break
	}
	m, raw, err := w.repos[w.home(id)].ReadManifest(id)
	if errors.Is(err, errEvicted) && len(w.repos) > 1 && w.listings[1].Backups[id] != nil {
		return w.repos[1].ReadManifest(id)
	}
	return m, raw, err
}

// mendFolder replaces each file of a backup's folder that is not what it was by its twin in another copy. What no copy
// has whole is left for the verification to name, and what is missing for the next backup to publish.
func (w *verification) mendFolder(m *repository.Manifest, raw []byte) error {
	refs := append([]repository.FileRef{{Path: repository.ManifestName, SizeBytes: int64(len(raw)), SHA256: repository.SumHash(raw)}}, m.Files...)
	for _, ref := range refs {
		if err := w.mendFile(m.BackupID, ref); err != nil {
			return err
		}
	}
	// Only whoever reads all of it knows whether an index is whole: no manifest has its hash.
	for _, r := range w.repos {
		files, err := r.ReadFiles(m)
		if err != nil || checkRestoreIndex(r, m, raw, files) != nil {
			continue
		}
		sum, size, err := hashReady(r, r.Path(m.BackupID, repository.RestoreIndexName))
		if err != nil {
			continue
		}
		return w.mendFile(m.BackupID, repository.FileRef{Path: repository.RestoreIndexName, SizeBytes: size, SHA256: sum})
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

func (w *verification) mendFile(id string, ref repository.FileRef) error {
	name := id + "/" + ref.Path
	var good, bad []repository.Repo
	for i, r := range w.repos {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if _, ok := w.listings[i].Backups[id][ref.Path]; !ok {
			continue
		}
		switch sum, size, err := hashReady(r, r.Path(name)); {
		case err == nil && size == ref.SizeBytes && sum == ref.SHA256:
			good = append(good, r)
		case err == nil:
			bad = append(bad, r)
		}
	}
	if len(good) == 0 {
		return nil
	}
	for _, to := range bad {
		p := &repository.Publisher{FS: w.e.fs, Mirror: good[0], Target: to, Staging: w.e.state.Staging()}
		err := p.Put(w.ctx, name, ref.SizeBytes, ref.SHA256)
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			// In the backup's home the verification names it; elsewhere it is tried again the next time.
			w.e.note(fmt.Sprintf("%s is not what it was, and replacing it failed: %v", to.Path(name), err))
		default:
			w.res.Repaired = append(w.res.Repaired, to.Path(name))
		}
	}
	return nil
}
