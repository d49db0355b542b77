package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
)

// publishAll brings everything into OneDrive that is lacking there: the new backup, and what a kill or somebody's
// hand left out of earlier ones. What cannot be completed is named.
func (b *backup) publishAll(ctx context.Context) error {
	lacking := 0
	for _, m := range b.catalogue {
		for _, ref := range m.Chunks {
			if b.listing.Chunks[ref.SHA256] != ref.SizeBytes {
				lacking += int(ref.SizeBytes)
			}
		}
	}
	b.e.phase(event.Publish, int64(lacking))
	var done int64
	p := &repository.Publisher{
		FS: b.e.fs, Mirror: b.mirror, Target: b.target, Staging: b.e.state.Staging(),
		Progress: b.e.counter(event.Publish, int64(lacking), &done),
	}
	// The folder may have been replaced meanwhile: what is published must go where the listing was made.
	if d, err := b.e.descriptor(b.target); err != nil || d.RepositoryID != b.descriptor.RepositoryID {
		return &Error{Op: "publish", Path: b.target.Dir, Code: CodeRepositoryGone,
			Err: errors.Join(errors.New("the repository vanished or was replaced during the backup"), err)}
	}
	// Somebody's hand may have removed the folder; the repository itself is there.
	if err := b.e.fs.Mkdir(b.target.Path(repository.ChunksDir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("publish: %w", err)
	}
	var again []string
	// Also when this run fails half-way: what it brought in waits from now on.
	defer func() { b.recordPublished(again) }()
	for _, m := range b.catalogue {
		lacks := m.Lacks(b.listing)
		if len(lacks) == 0 {
			continue
		}
		again = append(again, lacks...)
		whole, raw, err := m, b.raw, error(nil)
		if m != b.manifest {
			whole, raw, err = b.mirror.CheckedManifest(m.BackupID)
		}
		if err == nil {
			_, err = p.Publish(ctx, whole, raw, b.listing)
		}
		switch {
		case err == nil:
		case m != b.manifest && (errors.Is(err, repository.ErrMissing) || errors.Is(err, repository.ErrDamaged)):
			b.lateWarning("published_file_lost", m.BackupID, fmt.Sprintf("it lacks files in OneDrive that this Mac no longer has: %v", err),
				"restore them from OneDrive's recycle bin, or give the backup up with `maia-dr prune --forget "+m.BackupID+"`")
		default:
			return fmt.Errorf("the backup is complete on this machine but not in OneDrive: %w", err)
		}
	}
	return b.publishTop(p, &again)
}

// publishTop puts the newest restore script and the README at the top of the repository: with the script there, the
// one command on the recovery sheet stays the same.
func (b *backup) publishTop(p *repository.Publisher, again *[]string) error {
	for name, body := range map[string][]byte{
		repository.ScriptName: b.e.opt.Script, repository.ReadmeName: []byte(repositoryReadme),
	} {
		// The mirror's copy tells what was published: OneDrive's is not read, it might have to be downloaded.
		have, err := os.ReadFile(b.mirror.Path(name))
		if size, ok := b.listing.Top[name]; ok && size == int64(len(body)) && err == nil && bytes.Equal(have, body) {
			continue
		}
		staged := "." + name
		if err := b.mirror.WriteFile(staged, body); err != nil {
			return err
		}
		if err := p.PutAs(b.ctx, staged, name, int64(len(body)), repository.SumHash(body)); err != nil {
			return err
		}
		b.listing.Top[name] = int64(len(body))
		*again = append(*again, name)
		if err := b.e.fs.Rename(b.mirror.Path(staged), b.mirror.Path(name)); err != nil {
			return err
		}
	}
	return nil
}

// lateWarning records a warning that arose after the manifest was committed: it is in the result and the status, not
// in the manifest.
func (b *backup) lateWarning(code, path, text, hint string) {
	w := repository.Warning{Code: code, Path: repository.Name(path), Text: text, Hint: hint}
	b.late = append(b.late, w)
	b.e.warn(w)
}

const repositoryReadme = `This folder holds backups made by Maia Recovery.

To bring everything back on a Mac that has nothing but this folder, open Terminal and run

    bash ~/Library/CloudStorage/OneDrive*/MaiaBackups/restore_maia.sh

It asks where things go, checks every byte, and needs nothing that a fresh Mac does not have.

What lies here: each folder full_DATE_TIME is one backup (times are UTC); the folder chunks holds the content, which
the backups share. Please do not rename, move or delete anything: backups refer to each other's chunks. Old backups
are removed by the program itself.

Without the program and the script: restore.index.gz in each backup is a plain list. "chunk" lines name files in the
folder chunks (gzip); "stream" and "x" lines say which bytes of the uncompressed chunks, one after the other, make a
tar archive or a database.
`
