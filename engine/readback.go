package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// readStreams reads back what was stored: every new chunk to its last byte, and every file that has a byte in one,
// extracted to nowhere, hashed, and scanned for captured values. Where a value is new, that is the whole backup. Of chunks of
// earlier backups, what such a file has there is taken out, and has to have the file's hash; their own hash is left to verify, and
// to the drill that follows, which reads OneDrive's copies.
func (b *backup) readStreams() error {
	b.e.phase(event.Verify, 0)
	numbers := b.toRead()
	if len(numbers) == 0 {
		return nil
	}
	groups, err := byStream(b.manifest, b.files, func(f *repository.File) bool { return f.Type != repository.TypeLarge })
	if err != nil {
		return err
	}
	read := map[int]bool{}
	for _, n := range numbers {
		read[n] = true
	}
	for i := range groups {
		loc := repository.NewLocator(groups[i].stream.Extents)
		groups[i].files = slices.DeleteFunc(groups[i].files, func(f *repository.File) bool {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			return err == nil && !touches(x, read)
		})
	}
	if b.seal.fresh {
		b.memory.InPlain, b.memory.Older = nil, nil
	}
	s := b.newScan()
	s.bytes(namesOnly, "", b.userNames())
	fresh := b.freshChunks()
	src := &repository.Source{Dirs: []string{b.mirror.Dir}, Partly: func(c repository.ChunkRef) bool { return !b.seal.fresh && !fresh[c.SHA256] }}
	bad, problems, err := b.e.checkStreams(b.ctx, src, b.manifest, groups, s.file, s.chunks(numbers)...)
	switch {
	case err != nil:
		return err
	case len(bad) > 0:
		return bad[0]
	case len(problems) > 0:
		return fmt.Errorf("%s: %w", joinProblems(problems), repository.ErrDamaged)
	}
	if b.seal.fresh {
		if err := s.earlier(); err != nil {
			return err
		}
	}
	for h, names := range s.older {
		b.memory.Older = append(b.memory.Older, state.OlderSecret{Chunk: h, Names: names})
	}
	slices.SortFunc(b.memory.Older, func(x, y state.OlderSecret) int { return bytes.Compare(x.Chunk[:], y.Chunk[:]) })
	return s.judge()
}

// toRead returns the chunks that are read back: the new ones, or all of them where a captured value is new.
func (b *backup) toRead() []int {
	fresh := b.freshChunks()
	var out []int
	for i, c := range b.manifest.Chunks {
		if b.seal.fresh || fresh[c.SHA256] {
			out = append(out, i)
		}
	}
	return out
}

// freshChunks returns the chunks that this backup stored.
func (b *backup) freshChunks() map[repository.Hash]bool {
	fresh := map[repository.Hash]bool{}
	for _, n := range b.cap.chunkOf {
		fresh[b.index.Chunk(n).SHA256] = true
	}
	return fresh
}

// scanFolder scans what goes into the backup's folder, and ends the run if a value stands in what this program writes.
func (b *backup) scanFolder() error {
	s := b.newScan()
	if err := s.folder(); err != nil {
		return err
	}
	if err := s.judge(); err != nil {
		return err
	}
	if len(b.own) > 0 {
		return &Error{Op: "back up", Code: CodeSecretLeak,
			Err: fmt.Errorf("captured secrets would stand in plain text in what this program writes: %s; nothing was published", strings.Join(b.own, "; "))}
	}
	return nil
}

// moveToVault remembers files that go into the vault from now on. What was made of them in this attempt was never
// published, and is trimmed from the mirror like any leftover.
func (b *backup) moveToVault(l *leakError) error {
	for _, at := range l.moved {
		name, path, _ := strings.Cut(at, "/")
		if !component.UnderRoot(name) {
			path = component.HomePath(name, path)
		}
		b.memory.Moved = append(b.memory.Moved, path)
		b.e.note(path + " holds the value of a captured secret and goes into the vault.")
	}
	slices.Sort(b.memory.Moved)
	b.memory.Moved = slices.Compact(b.memory.Moved)
	if err := b.e.state.SaveSecrets(b.memory); err != nil {
		return err
	}
	if err := b.e.fs.RemoveAll(b.mirror.Path(b.manifest.BackupID)); err != nil {
		return err
	}
	return b.trimMirror()
}
