package repository

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/stream"
	"maia-dr/packaging/ci/faults/matrix"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is the backup that FORMAT.md walks through: a Maia of one file and one database of three pages, of which
// the first and the last are the same.
type example struct {
	chunk    []byte // the .gz file
	tar, db  []byte
	manifest *Manifest
	raw      []byte // the manifest's bytes
	files    []File
	small    map[string][]byte // the folder's files but manifest and index
	index    *RestoreIndex
}

// storedGzip is gzip without compression, so that hashes depend on no version of a compressor.
func storedGzip(p []byte) []byte {
	if len(p) > 65535 {
		panic("one stored block holds no more")
	}
	b := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(p)))
	b = binary.LittleEndian.AppendUint16(b, ^uint16(len(p)))
	b = append(b, p...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(p))
	return binary.LittleEndian.AppendUint32(b, uint32(len(p)))
}

const exampleID = "full_20251013_030000"

func newExample(t testing.TB) *example {
	t.Helper()
	x := new(example)
	text := []byte("# Maia\n")
	created := time.Date(2025, 10, 13, 3, 0, 0, 0, time.UTC)
	mtime := created.Add(-time.Hour)
	header := func(e stream.Entry) []byte {
		h, err := stream.Header(e)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	x.tar = header(stream.Entry{Type: stream.File, Path: "CLAUDE.md", Mode: 0o644, Size: int64(len(text)), ModTimeNS: mtime.UnixNano()})
	offset := int64(len(x.tar))
	x.tar = append(x.tar, text...)
	x.tar = append(x.tar, make([]byte, stream.Padding(int64(len(text))))...)
	x.tar = append(x.tar, header(stream.Entry{Type: stream.Dir, Path: "claude", Mode: 0o755, ModTimeNS: mtime.UnixNano()})...)
	x.tar = append(x.tar, header(stream.Entry{Type: stream.Symlink, Path: "claude/up", Link: "../CLAUDE.md", Mode: 0o777, ModTimeNS: mtime.UnixNano()})...)
	x.tar = append(x.tar, stream.Trailer...)
	page := bytes.Repeat([]byte("page one"), 512)
	x.db = append(append(bytes.Clone(page), bytes.Repeat([]byte("page two"), 512)...), page...)
	content := append(bytes.Clone(x.tar), x.db[:8192]...)
	x.chunk = storedGzip(content)
	tarLen := int64(len(x.tar))
	textSum, dbSum := SumHash(text), SumHash(x.db)
	database := Database{
		Database: "tickets.db", Path: "claude/data/tickets.db", OriginalSize: int64(len(x.db)), SHA256: dbSum, Mode: 0o600, ModTime: mtime.Unix(),
		Extents: Extents{{0, tarLen, 8192}, {0, tarLen, 4096}},
		Facts:   DatabaseFacts{PageSize: 4096, Pages: 3, JournalMode: "wal", Encoding: "UTF-8", Way: "wal", Check: "quick_check", CheckResult: "ok"},
	}
	x.files = []File{
		{Component: "maia_code", Path: "CLAUDE.md", Type: TypeFile, SizeBytes: int64(len(text)), Mode: 0o644, ModTimeNS: mtime.UnixNano(), SHA256: &textSum, Offset: offset},
		{Component: "maia_code", Path: "claude", Type: TypeDir, Mode: 0o755, ModTimeNS: mtime.UnixNano()},
		{Component: "maia_code", Path: "claude/up", Type: TypeSymlink, Mode: 0o777, ModTimeNS: mtime.UnixNano(), Link: "../CLAUDE.md"},
		{Component: "maia_data_large", Path: database.Path, Type: TypeLarge, SizeBytes: int64(len(x.db)), Mode: 0o600, ModTimeNS: mtime.UnixNano(), SHA256: &dbSum},
	}
	x.small = map[string][]byte{
		FilesName:          storedGzip(fileLines(t, x.files)),
		SystemMetadataName: []byte(`{"hostname":"macbook"}` + "\n"),
	}
	metaSum := SumHash(x.small[SystemMetadataName])
	x.manifest = &Manifest{
		Format: Format, BackupID: exampleID, BackupType: "full", Status: StatusCompleted, CreatedAt: created,
		ProgramVersion: "0.1.0", RepositoryID: "0123456789abcdef0123456789abcdef", Writer: 1,
		MaiaRoot: "/Users/me/maia", OneDrivePath: "/Users/me/OneDrive", SystemMetadata: json.RawMessage(`{"hostname": "macbook"}`),
		Components: map[string]*Component{
			"maia_code":       {Stream: "tar", Extents: Extents{{0, 0, tarLen}}, SizeBytes: tarLen, Count: 3, SourceBytes: int64(len(text))},
			"maia_data_large": {SizeBytes: int64(len(x.db)), Count: 1, SourceBytes: int64(len(x.db)), Databases: []Database{database}},
			"system_metadata": {Path: SystemMetadataName, SizeBytes: int64(len(x.small[SystemMetadataName])), SHA256: &metaSum, Count: 1},
		},
		Coverage: Coverage{
			Captured: Count{2, int64(len(text) + len(x.db))}, Excluded: map[string]Count{"sqlite-sidecar": {1, 32768}},
			LeftOut: []LeftOut{{"claude/socket", "a socket"}}, Total: 4,
		},
		Files:               []FileRef{fileRef(FilesName, x.small[FilesName]), fileRef(SystemMetadataName, x.small[SystemMetadataName])},
		Chunks:              []ChunkRef{{SumHash(x.chunk), int64(len(x.chunk)), int64(len(content))}},
		RestorationMetadata: RestorationMetadata{RequiresUserInput: []string{"maia_location"}},
		Warnings:            []Warning{},
		Stats:               Stats{SourceFiles: 2, SourceBytes: int64(len(text) + len(x.db)), StoredBytes: int64(len(x.chunk)), NewChunks: 1, Databases: 1},
	}
	x.encode(t)
	return x
}

// encode makes the manifest's bytes and the index anew, after a change.
func (x *example) encode(t testing.TB) {
	t.Helper()
	raw, err := x.manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	x.raw = raw
	x.index = NewRestoreIndex(x.manifest, raw, x.files, Origin{Home: "/Users/me", OldRoots: []string{"/Users/old name/maia"}})
}

func fileRef(name string, b []byte) FileRef { return FileRef{name, int64(len(b)), SumHash(b)} }

// fileLines returns files.jsonl, not compressed.
func fileLines(t testing.TB, files []File) []byte {
	t.Helper()
	b, err := EncodeFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := decompress(b, maxSmallFile)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (x *example) lines(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := x.index.writeLines(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write makes dir a repository that holds the backup.
func (x *example) write(t testing.TB, dir string) Repo {
	t.Helper()
	r := Repo{Dir: dir}
	if err := r.Init(Descriptor{Format: Format, RepositoryID: x.manifest.RepositoryID, Encryption: "none", CreatedAt: x.manifest.CreatedAt}); err != nil {
		t.Fatal(err)
	}
	for _, c := range x.manifest.Chunks {
		put(t, r.Path(ChunksDir, ChunkName(c.SHA256)), x.chunk)
	}
	if err := os.Mkdir(r.Path(x.manifest.BackupID), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range x.small {
		put(t, r.Path(x.manifest.BackupID, name), b)
	}
	index, err := x.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r.Path(x.manifest.BackupID, RestoreIndexName), index)
	put(t, r.Path(x.manifest.BackupID, ManifestName), x.raw)
	return r
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		put(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the format was meant to change, see FORMAT.md and run with -update. Got:\n%s", path, got)
	}
}

func TestGolden(t *testing.T) {
	x := newExample(t)
	golden(t, "example.manifest.json", x.raw)
	golden(t, "example.files.jsonl", fileLines(t, x.files))
	golden(t, "example.index.txt", x.lines(t))
}

// The specification shows the example as it is.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	x := newExample(t)
	for _, part := range []string{indent(x.lines(t)), indent(fileLines(t, x.files)), "0 0 3072", ChunkName(x.manifest.Chunks[0].SHA256)} {
		if !strings.Contains(string(doc), part) {
			t.Errorf("FORMAT.md does not show\n%s", part)
		}
	}
}

func indent(b []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		out.WriteString("    " + line)
	}
	return out.String()
}

// archived is a repository as the first release wrote it. It is read for ever and never written anew.
const archived = "testdata/repository-1"

func TestArchivedRepository(t *testing.T) {
	matrix.Count(t, 1, "32")
	if _, err := os.Stat(archived); *update && err != nil {
		newExample(t).write(t, archived)
	}
	r := Repo{Dir: archived}
	d, err := r.Descriptor()
	if err != nil || d.Format != 1 {
		t.Fatal(d, err)
	}
	l, err := r.List()
	if err != nil || len(l.Foreign) > 0 {
		t.Fatal(l, err)
	}
	m, raw, err := r.ReadManifest(exampleID)
	if err != nil {
		t.Fatal(err)
	}
	if lacks := m.Lacks(l); lacks != nil {
		t.Error(lacks)
	}
	files, err := r.ReadFiles(m)
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	b, err := os.ReadFile(r.Path(exampleID, RestoreIndexName))
	if err != nil {
		t.Fatal(err)
	}
	index, err := DecodeRestoreIndex(b)
	if err != nil || !index.Equal(NewRestoreIndex(m, raw, files, Origin{Home: index.Home, OldRoots: index.OldRoots, Prefix: index.Prefix, Git: index.Git, Versions: index.Versions, Pythons: index.Pythons, Environments: index.Environments})) {
		t.Errorf("the index and the manifest differ: %v", err)
	}
	x := newExample(t)
	for i, want := range [][]byte{x.tar, x.db} {
		got := make(memory, m.Streams()[i].Extents.Size())
		bad, err := (&Source{Dirs: []string{archived}}).Copy(t.Context(), m.Chunks, Pieces(m.Streams()[i].Extents, got, 0), true, nil)
		if err != nil || bad != nil || !bytes.Equal(got, want) {
			t.Errorf("stream %d: %v %v", i, bad, err)
		}
	}
}
