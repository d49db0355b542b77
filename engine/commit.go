package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
)

// captureSmall makes the files of the backup's folder and completes the manifest.
func (b *backup) captureSmall() error {
	m := b.manifest
	for _, a := range []struct{ component, file string }{
		{component.LaunchAgents, repository.LaunchAgentsName}, {component.ShellConfigs, repository.ShellConfigsName},
	} {
		body, files, err := b.archive(a.component)
		if err != nil {
			return fmt.Errorf("archive %s: %w", a.component, err)
		}
		sum := repository.SumHash(body)
		c := &repository.Component{Path: a.file, SizeBytes: int64(len(body)), SHA256: &sum, Count: len(files)}
		for _, f := range files {
			c.Files = append(c.Files, f.Path)
			c.SourceBytes += f.SizeBytes
		}
		m.Components[a.component] = c
		b.small[a.file] = body
		b.files = append(b.files, files...)
	}
	if err := b.addDetails(); err != nil {
		return err
	}
	b.small[repository.ScriptName] = b.e.opt.Script
	list, err := repository.EncodeFiles(b.files)
	if err != nil {
		return err
	}
	b.small[repository.FilesName] = list
	b.account()
	for name, body := range b.small {
		m.Files = append(m.Files, repository.FileRef{Path: name, SizeBytes: int64(len(body)), SHA256: repository.SumHash(body)})
		m.Stats.StoredBytes += int64(len(body))
	}
	slices.SortFunc(m.Files, func(x, y repository.FileRef) int { return strings.Compare(x.Path, y.Path) })
	b.raw, err = m.Encode()
	return err
}

// commit writes the backup's folder in the mirror, reads everything back, and renames the manifest into place.
func (b *backup) commit() error {
	m := b.manifest
	dir := b.mirror.Path(m.BackupID)
	if err := b.e.fs.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := b.mirror.WriteFile(m.BackupID+"/"+f.Path, b.small[f.Path]); err != nil {
			return err
		}
	}
	home, roots := homeAndRoots(m)
	index, err := repository.NewRestoreIndex(m, b.raw, b.files, home, roots).Encode()
	if err != nil {
		return err
	}
	b.storedBytes = m.Stats.StoredBytes + int64(len(index)) + int64(len(b.raw))
	if err := b.mirror.WriteFile(m.BackupID+"/"+repository.RestoreIndexName, index); err != nil {
		return err
	}
	if err := b.readBack(); err != nil {
		return fmt.Errorf("check what was written: %w", err)
	}
	if back, err := repository.DecodeManifest(b.raw); err != nil || back.BackupID != m.BackupID {
		return fmt.Errorf("the manifest that was made cannot be read: %w", errors.Join(err, repository.ErrDamaged))
	}
	if err := b.chunksPresent(); err != nil {
		return err
	}
	if err := b.mirror.WriteFile(m.BackupID+"/"+repository.ManifestName, b.raw); err != nil {
		return err
	}
	if err := b.e.fs.SyncDir(b.mirror.Dir); err != nil {
		return err
	}
	b.catalogue = append(b.catalogue, catalogued{manifest: m, raw: b.raw})
	b.saveCaches()
	return nil
}

// readBack verifies the new backup in the mirror: every file of its folder, every new chunk to its last byte, and
// every file that has a byte in a new chunk, extracted to nowhere. Chunks of earlier backups are left to verify and
// the drill.
func (b *backup) readBack() error {
	m := b.manifest
	b.e.phase(event.Verify, 0)
	if _, problems := checkFolder(b.mirror, m, b.raw); len(problems) > 0 {
		return fmt.Errorf("%s: %w", problems[0], repository.ErrDamaged)
	}
	fresh := map[repository.Hash]bool{}
	for _, n := range b.cap.chunkOf {
		fresh[b.index.Chunk(n).SHA256] = true
	}
	news := map[int]bool{}
	for i, c := range m.Chunks {
		if fresh[c.SHA256] {
			news[i] = true
		}
	}
	if len(news) == 0 {
		return nil
	}
	groups, err := byStream(m, b.files, func(f *repository.File) bool { return f.Type != repository.TypeLarge })
	if err != nil {
		return err
	}
	for i := range groups {
		loc := repository.NewLocator(groups[i].stream.Extents)
		groups[i].files = slices.DeleteFunc(groups[i].files, func(f *repository.File) bool {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			return err == nil && !touches(x, news)
		})
	}
	src := &repository.Source{Dirs: []string{b.mirror.Dir}}
	bad, problems, err := b.e.checkStreams(b.ctx, src, m, groups, false)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		return bad[0]
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s: %w", joinProblems(problems), repository.ErrDamaged)
	}
	for i := range news {
		if err := repository.CheckChunk(b.ctx, b.mirror.Dir, m.Chunks[i], true); err != nil {
			return &repository.ChunkError{Chunk: m.Chunks[i], Err: err}
		}
	}
	return nil
}

var errChunkGone = errors.New("a chunk the backup refers to is gone from the mirror")

// chunksPresent looks once more, just before the commit, at every chunk the backup refers to.
func (b *backup) chunksPresent() error {
	for _, c := range b.manifest.Chunks {
		fi, err := os.Lstat(b.mirror.Path(repository.ChunksDir, repository.ChunkName(c.SHA256)))
		if err != nil || fi.Size() != c.SizeBytes {
			return fmt.Errorf("%s: %w", repository.ChunkName(c.SHA256), errors.Join(errChunkGone, err))
		}
	}
	return nil
}

// counter returns a function that adds to *done from any goroutine and reports progress.
func (e *Engine) counter(p event.Phase, total int64, done *int64) func(int64) {
	var mu sync.Mutex
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		*done += n
		e.progress(p, min(*done, total), total)
	}
}
