package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// captureSmall makes the files of the backup's folder and completes the manifest.
func (b *backup) captureSmall() error {
	m := b.manifest
	for _, a := range []struct{ component, file string }{
		{component.LaunchAgents, repository.LaunchAgentsName}, {component.ShellConfigs, repository.ShellConfigsName},
	} {
		made := <-b.archives[a.component]
		if made.err != nil {
			return fmt.Errorf("archive %s: %w", a.component, made.err)
		}
		body, files := made.body, made.files
		maps.Copy(b.archived, made.contents)
		for _, g := range made.gone {
			_ = b.cap.gone(g.entry, g.reason)
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
	if err := b.sealVault(); err != nil {
		return err
	}
	b.small[repository.ScriptName] = b.e.opt.Script
	list, err := repository.EncodeFiles(b.files, b.lastSmall(repository.FilesName))
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
	if b.raw, err = m.Encode(); err != nil {
		return err
	}
	// A leak is told before all else.
	scanned := make(chan error, 1)
	go func() { scanned <- b.scanFolder() }()
	index, err := repository.NewRestoreIndex(m, b.raw, b.files, originOf(m)).Encode(b.lastSmall(repository.RestoreIndexName))
	b.restoreIndex = index
	return cmp.Or(<-scanned, err)
}

// lastSmall returns a file of the last backup's folder; nothing, if it cannot be read.
func (b *backup) lastSmall(name string) []byte {
	last := b.last()
	if last == nil {
		return nil
	}
	body, err := b.mirror.ReadSmall(last.BackupID, name)
	if err != nil {
		return nil
	}
	return body
}

// commit writes the backup's folder in the mirror, reads everything back, and renames the manifest into place.
func (b *backup) commit() error {
	m := b.manifest
	dir := b.mirror.Path(m.BackupID)
	if err := b.e.fs.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := maps.Clone(b.small)
	files[repository.RestoreIndexName] = b.restoreIndex
	if b.seal.keys != nil {
		files[repository.MACName] = b.seal.keys.MAC(b.restoreIndex)
	}
	b.storedBytes = m.Stats.StoredBytes + int64(len(b.restoreIndex)) + int64(len(b.raw)) + int64(len(files[repository.MACName]))
	// What the files say is checked while the disk takes them.
	checked := make(chan error, 1)
	go func() { checked <- b.checkSmall() }()
	if err := errors.Join(b.mirror.WriteFiles(m.BackupID, files), <-checked); err != nil {
		return err
	}
	if err := b.readBack(files); err != nil {
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
	b.catalogue = append(b.catalogue, m)
	b.saveCaches()
	b.saveMemory()
	return nil
}

// saveMemory remembers what the scan found, now that there is a backup it is true of.
func (b *backup) saveMemory() {
	b.memory.Files = b.seal.seen
	sums := map[string]repository.Hash{}
	for i := range b.files {
		if f := &b.files[i]; f.HasContent() && component.UnderRoot(f.Component) {
			sums[string(f.Path)] = *f.SHA256
		}
	}
	maps.DeleteFunc(b.memory.Likely, func(path string, l state.LikelySecret) bool { return sums[path] != l.SHA256 })
	if err := b.e.state.SaveSecrets(b.memory); err != nil {
		// The next run scans everything once more.
		b.e.log.Warn().Err(err).Msg("save what the scan found")
	}
	b.e.statusMu.Lock()
	defer b.e.statusMu.Unlock()
	b.e.status.Problems = findings(b.memory, b.seal.words)
}

// findings are what the scan found and the user should see to; no backup is worse for them.
func findings(m *state.Secrets, words []string) []state.Problem {
	var out []state.Problem
	if len(words) > 0 {
		out = append(out, state.Problem{Code: FindingWord, Text: fmt.Sprintf("too simple to be safe, and to be searched for in the backup: %s", strings.Join(words, ", ")),
			Hint: "change these secrets where they are used"})
	}
	for _, path := range slices.Sorted(maps.Keys(m.Likely)) {
		out = append(out, state.Problem{Code: FindingLikely, Text: fmt.Sprintf("%s looks as if it holds a secret (%s), and is backed up in plain text", path, strings.Join(m.Likely[path].Names, ", ")),
			Hint: "move the secret into production_api_credentials.py or an .env file, or name the file in secrets.files"})
	}
	for _, o := range m.Older {
		out = append(out, state.Problem{Code: FindingOlder, Text: fmt.Sprintf("earlier backups hold the value of %s in plain text (chunks/%s)", strings.Join(o.Names, ", "), repository.ChunkName(o.Chunk)),
			Hint: "change that secret where it is used: OneDrive has had its value"})
	}
	return out
}

// checkSmall decodes what was made for the backup's folder and compares it with the manifest. What lies in chunks has been read back
// before.
func (b *backup) checkSmall() error {
	if _, problems := checkContents(b.manifest, b.raw, b.small, func() decodedIndex { return decodeIndex(b.restoreIndex) }); len(problems) > 0 {
		return fmt.Errorf("check what was made: %s: %w", problems[0], repository.ErrDamaged)
	}
	return nil
}

// readBack compares every file of the new backup's folder, as the mirror has it, with what was checked.
func (b *backup) readBack(files map[string][]byte) error {
	b.e.phase(event.Verify, 0)
	for _, f := range b.manifest.Files {
		if _, err := b.mirror.ReadFile(b.manifest, f.Path); err != nil { // compares hashes
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	for _, name := range []string{repository.RestoreIndexName, repository.MACName} {
		body, made := files[name]
		if !made {
			continue
		}
		back, err := b.mirror.ReadSmall(b.manifest.BackupID, name)
		if err == nil && !bytes.Equal(back, body) {
			err = fmt.Errorf("it is not what was written: %w", repository.ErrDamaged)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
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
