package engine_test

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/gzip"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/stream"
	"maia-dr/engine/vault"
)

// consistent writes everything anew that says something of something else: file list, manifest, index and MAC. Whoever
// compares hashes finds nothing wrong.
func (f *forge) consistent(keys *vault.Keys) {
	f.t.Helper()
	list, err := repository.EncodeFiles(f.files, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(repository.FilesName, list)
	f.sealed(keys, func(*repository.RestoreIndex) {})
}

// sealed writes manifest, index and MAC anew. change spoils the index.
func (f *forge) sealed(keys *vault.Keys, change func(*repository.RestoreIndex)) {
	f.t.Helper()
	for _, c := range f.m.Components {
		for _, ref := range f.m.Files {
			if c.Path != "" && c.Path == ref.Path {
				c.SizeBytes, c.SHA256 = ref.SizeBytes, &ref.SHA256
			}
		}
	}
	f.saveManifest()
	dir := filepath.Join(f.repo(), f.m.BackupID)
	old, err := repository.DecodeRestoreIndex(read(f.t, filepath.Join(dir, repository.RestoreIndexName)))
	if err != nil {
		f.t.Fatal(err)
	}
	x := repository.NewRestoreIndex(f.m, read(f.t, filepath.Join(dir, repository.ManifestName)), f.files,
		repository.Origin{Home: old.Home, OldRoots: old.OldRoots, Prefix: old.Prefix, Git: old.Git, Versions: old.Versions, Pythons: old.Pythons, Environments: old.Environments})
	change(x)
	index, err := x.Encode(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	write(f.t, filepath.Join(dir, repository.RestoreIndexName), index)
	write(f.t, filepath.Join(dir, repository.MACName), keys.MAC(index))
}

// content returns the bytes of a stream.
func (f *forge) content(x repository.Extents) []byte {
	f.t.Helper()
	raw := map[int][]byte{}
	var out []byte
	for _, e := range x {
		if raw[e.Chunk] == nil {
			raw[e.Chunk] = gunzip(f.t, read(f.t, filepath.Join(f.repo(), repository.ChunksDir, repository.ChunkName(f.m.Chunks[e.Chunk].SHA256))))
		}
		out = append(out, raw[e.Chunk][e.Offset:e.Offset+e.Length]...)
	}
	return out
}

// store makes a chunk of its own of a stream.
func (f *forge) store(raw []byte) repository.Extents {
	f.t.Helper()
	f.m.Chunks = append(f.m.Chunks, repository.ChunkRef{RawBytes: int64(len(raw))})
	f.chunk(len(f.m.Chunks)-1, gz(f.t, raw))
	return repository.Extents{{Chunk: len(f.m.Chunks) - 1, Length: int64(len(raw))}}
}

// code replaces the tar of the code.
func (f *forge) code(change func(raw []byte) []byte) {
	f.t.Helper()
	f.tar(component.Code, change)
}

// tar replaces the tar of a component.
func (f *forge) tar(name string, change func(raw []byte) []byte) {
	f.t.Helper()
	c := f.m.Components[name]
	c.Extents = f.store(change(f.content(c.Extents)))
	c.SizeBytes = c.Extents.Size()
}

// large replaces the database that is a stream of its own, its hashes and sizes too.
func (f *forge) large(change func(raw []byte) []byte) {
	f.t.Helper()
	db := &f.m.Components[component.DataLarge].Databases[0]
	raw := change(f.content(db.Extents))
	db.Extents = f.store(raw)
	db.Chunks = db.Extents.Chunks()
	db.OriginalSize, db.SHA256 = int64(len(raw)), repository.SumHash(raw)
	file := f.find(string(db.Path))
	f.m.Stats.SourceBytes += db.OriginalSize - file.SizeBytes
	file.SizeBytes, file.SHA256 = db.OriginalSize, &db.SHA256
}

// agents makes the archive of the agents anew: edit changes an entry and its content, and its hash follows; false takes
// it out of archive and list. inTar, which may be nil, changes only what the archive says.
func (f *forge) agents(edit func(file *repository.File, body []byte) ([]byte, bool), inTar func(*stream.Entry)) {
	f.t.Helper()
	old := tar.NewReader(bytes.NewReader(gunzip(f.t, read(f.t, filepath.Join(f.repo(), f.m.BackupID, repository.LaunchAgentsName)))))
	var out bytes.Buffer
	var files []repository.File
	for _, file := range f.files {
		if file.Component != component.LaunchAgents {
			files = append(files, file)
			continue
		}
		h, err := old.Next()
		if err != nil || h.Name != string(file.Path) {
			f.t.Fatalf("the archive has %v in the place of %s: %v", h, file.Path, err)
		}
		body, err := io.ReadAll(old)
		if err != nil {
			f.t.Fatal(err)
		}
		size := file.SizeBytes
		body, keep := edit(&file, body)
		if !keep {
			f.m.Stats.SourceFiles--
			f.m.Stats.SourceBytes -= size
			continue
		}
		sum := repository.SumHash(body)
		file.SizeBytes, file.SHA256 = int64(len(body)), &sum
		f.m.Stats.SourceBytes += file.SizeBytes - size
		entry := stream.Entry{Type: stream.File, Path: string(file.Path), Mode: int64(file.Mode), Size: file.SizeBytes, ModTimeNS: file.ModTimeNS}
		if inTar != nil {
			inTar(&entry)
		}
		header, err := stream.Header(entry)
		if err != nil {
			f.t.Fatal(err)
		}
		out.Write(header)
		file.Offset = int64(out.Len())
		out.Write(append(body, make([]byte, stream.Padding(file.SizeBytes))...))
		files = append(files, file)
	}
	out.Write(stream.Trailer)
	f.files = files
	f.put(repository.LaunchAgentsName, gz(f.t, out.Bytes()))
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
