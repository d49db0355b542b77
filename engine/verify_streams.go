package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
)

// streams checks the files and databases whose chunks are whole; those of bad chunks are damaged, and named, those of
// chunks that were not read are counted.
func (w *verification) streams(m *repository.Manifest, files []repository.File) (out []string, notRead int, err error) {
	groups, err := byStream(m, files, nil)
	if err != nil {
		return []string{err.Error()}, 0, nil //nolint:nilerr // it is one of the problems
	}
	bad, unread := map[int]bool{}, map[int]bool{}
	for i, c := range m.Chunks {
		bad[i] = w.bad[c.SHA256] != nil
		unread[i] = w.unread[c.SHA256] != nil
	}
	remote := w.home(m.BackupID) == 0 && w.remote
	keys := map[repository.Name]string{}
	for i := range groups {
		loc := repository.NewLocator(groups[i].stream.Extents)
		groups[i].files = slices.DeleteFunc(groups[i].files, func(f *repository.File) bool {
			x, err := loc.Slice(f.Offset, f.SizeBytes)
			switch {
			case err == nil && !touches(x, bad) && !touches(x, unread):
				key := fileKey(m, f, x, remote)
				keys[f.Path] = key
				return w.whole[key]
			case err == nil && !touches(x, bad):
				notRead++
				return true
			}
			out = append(out, fmt.Sprintf("%s: lies in a damaged chunk", f.Path))
			return true
		})
	}
	w.e.phase(event.Verify, 0)
	src := w.source()
	if remote {
		// As another machine would have it, but for what is evicted.
		all := src.Choose
		src.Choose = func(ref repository.ChunkRef) []string { return all(ref)[:1] }
	}
	var chunkErrs []*repository.ChunkError
	var problems []fileProblem
	if w.plain != nil {
		chunkErrs, problems, err = w.plain.compare(w.ctx, w.e, src, m, groups, remote)
	} else {
		chunkErrs, problems, err = w.e.checkStreams(w.ctx, src, m, groups, nil)
	}
	if err != nil {
		if errors.Is(err, repository.ErrDamaged) {
			return append(out, err.Error()), notRead, nil
		}
		return nil, notRead, err
	}
	for _, c := range chunkErrs {
		out = append(out, c.Error())
	}
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%s: %s", p.Path, p.Reason))
		delete(keys, p.Path)
	}
	if len(chunkErrs) == 0 {
		for _, key := range keys {
			w.whole[key] = true
		}
	}
	return out, notRead, nil
}

// fileKey stands for a file's bytes: the pieces of chunks they are made of, whose copy they are read in, and what their hash
// has to be.
func fileKey(m *repository.Manifest, f *repository.File, x repository.Extents, remote bool) string {
	sum := sha256.New()
	fmt.Fprintln(sum, remote, f.SHA256, f.SizeBytes)
	for _, e := range x {
		c := m.Chunks[e.Chunk].SHA256
		sum.Write(c[:])
		_ = binary.Write(sum, binary.LittleEndian, [2]int64{e.Offset, e.Length}) // a hash takes everything
	}
	return string(sum.Sum(nil))
}
