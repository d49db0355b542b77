package engine_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maia-dr/engine"
	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/engine/vault"
)

// On Linux, as links have other modes elsewhere.

// TestFormatWriter: the first backup of the archive is restored and backed up again, with the clock and the randomness of then. Not a
// byte of manifest, file list, index, vault or unpacked chunk is another one, but for what a machine says of itself.
func TestFormatWriter(t *testing.T) {
	t.Parallel()
	const id = "full_20251013_030000"
	old := archived(t, "testdata/format-1")
	home := filepath.Join(t.TempDir(), "home")
	root := filepath.Join(home, "maia")
	mkdirAll(t, filepath.Join(home, "OneDrive"))
	restoreArchived(t, archiver(t, old, archiveTime, rand.NewChaCha8([32]byte{2})), id, root)
	personal := filepath.Join(root, engine.BesideDir, "home")
	for _, name := range []string{"Library", ".zshrc"} {
		if err := os.Rename(filepath.Join(personal, name), filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	rootTime, err := os.Stat(root)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(root, engine.BesideDir))
	if err := os.Chtimes(root, rootTime.ModTime(), rootTime.ModTime()); err != nil {
		t.Fatal(err)
	}
	if res, err := archiver(t, home, archiveTime, rand.NewChaCha8([32]byte{1})).Backup(t.Context(), engine.BackupOptions{}); err != nil || res.BackupID != id {
		t.Fatalf("%+v, %v", res, err)
	}
	was, is := archivedBackup(t, old, id), archivedBackup(t, home, id)
	is.asOn(was)
	for name, pair := range map[string][2][]byte{
		"manifest": {was.manifest(t), is.manifest(t)}, "file list": {was.list(t), is.list(t)}, "index": {was.lines(t), is.lines(t)}, "vault": {was.vault(t), is.vault(t)},
		repository.RepositoryName: {read(t, was.repo.Path(repository.RepositoryName)), read(t, is.repo.Path(repository.RepositoryName))},
		repository.WriterName(1):  {read(t, was.repo.Path(repository.WriterName(1))), read(t, is.repo.Path(repository.WriterName(1)))},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			at := 0
			for at < min(len(pair[0]), len(pair[1])) && pair[0][at] == pair[1][at] {
				at++
			}
			t.Errorf("the writer of format 1 writes another %s: from byte %d on %.200q, was %.200q", name, at, pair[1][at:], pair[0][at:])
		}
	}
	for _, name := range []string{repository.LaunchAgentsName, repository.ShellConfigsName} {
		if !bytes.Equal(gunzip(t, read(t, was.repo.Path(id, name))), gunzip(t, read(t, is.repo.Path(id, name)))) {
			t.Errorf("another %s", name)
		}
	}
	for i := range was.m.Chunks {
		if a, b := was.chunk(t, i), is.chunk(t, i); !bytes.Equal(a, b) {
			t.Errorf("chunk %d has %d bytes of content, and had %d, or others", i, len(b), len(a))
		}
	}
}

// oneBackup is a backup as it is written, decoded and as bytes.
type oneBackup struct {
	repo  repository.Repo
	m     *repository.Manifest
	files []repository.File
	index *repository.RestoreIndex
	// own are the chunks as this backup's writer compressed them.
	own []repository.ChunkRef
}

func archivedBackup(t *testing.T, home, id string) *oneBackup {
	t.Helper()
	b := &oneBackup{repo: repository.Repo{Dir: filepath.Join(home, "OneDrive", repository.DirName)}}
	m, raw, err := b.repo.ReadManifest(id)
	if err != nil {
		t.Fatal(err)
	}
	b.m = m
	if b.files, err = b.repo.ReadFiles(m); err != nil {
		t.Fatal(err)
	}
	index, err := b.repo.ReadSmall(id, repository.RestoreIndexName)
	if err == nil {
		b.index, err = repository.DecodeRestoreIndex(index)
	}
	if err != nil {
		t.Fatal(err)
	}
	// What is compared below is encoded anew: that has to be what was written.
	list := gunzip(t, read(t, b.repo.Path(id, repository.FilesName)))
	if !bytes.Equal(raw, b.manifest(t)) || !bytes.Equal(list, b.list(t)) || !bytes.Equal(gunzip(t, index), b.lines(t)) {
		t.Fatalf("%s is not what this program writes", b.repo.Dir)
	}
	b.own = slices.Clone(m.Chunks)
	return b
}

func (b *oneBackup) manifest(t *testing.T) []byte {
	t.Helper()
	raw, err := b.m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (b *oneBackup) list(t *testing.T) []byte {
	t.Helper()
	gz, err := repository.EncodeFiles(b.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return gunzip(t, gz)
}

func (b *oneBackup) lines(t *testing.T) []byte {
	t.Helper()
	gz, err := b.index.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return gunzip(t, gz)
}

// vault is what is sealed, and the salts.
func (b *oneBackup) vault(t *testing.T) []byte {
	t.Helper()
	sealed := read(t, b.repo.Path(b.m.BackupID, repository.VaultName))
	plain, err := vault.Open(password(t, archivePassword), vault.Iterations, sealed)
	if err != nil {
		t.Fatal(err)
	}
	mac, _, _ := bytes.Cut(read(t, b.repo.Path(b.m.BackupID, repository.MACName)), []byte("\nhmac"))
	return slices.Concat(sealed[:16], mac, plain)
}

func (b *oneBackup) chunk(t *testing.T, i int) []byte {
	t.Helper()
	return gunzip(t, read(t, b.repo.Path(repository.ChunksDir, repository.ChunkName(b.own[i].SHA256))))
}

// asOn replaces what depends on the machine and on the compressor: where the folders are, what the machine says of itself, and the
// hashes and sizes of what holds that or is compressed.
func (b *oneBackup) asOn(was *oneBackup) {
	m, w := b.m, was.m
	m.MaiaRoot, m.OneDrivePath, m.SystemMetadata = w.MaiaRoot, w.OneDrivePath, w.SystemMetadata
	m.Components[component.SystemMetadata] = w.Components[component.SystemMetadata]
	m.Stats.SourceBytes, m.Stats.StoredBytes = w.Stats.SourceBytes, w.Stats.StoredBytes
	if len(m.Chunks) == len(w.Chunks) {
		for i := range m.Chunks {
			m.Chunks[i].SHA256, m.Chunks[i].SizeBytes = w.Chunks[i].SHA256, w.Chunks[i].SizeBytes
		}
	}
	replace := func(to, from []repository.FileRef) {
		for i := range to {
			switch name := to[i].Path; {
			case strings.HasSuffix(name, ".gz"), name == repository.ManifestName, name == repository.SystemMetadataName:
				if n := slices.IndexFunc(from, func(f repository.FileRef) bool { return f.Path == name }); n >= 0 {
					to[i] = from[n]
				}
			}
		}
	}
	replace(m.Files, w.Files)
	for _, name := range []string{component.LaunchAgents, component.ShellConfigs} {
		if c, o := m.Components[name], w.Components[name]; c != nil && o != nil {
			c.SizeBytes, c.SHA256 = o.SizeBytes, o.SHA256
		}
	}
	x, o := b.index, was.index
	x.Root, x.Home, x.OldRoots, x.Prefix, x.Versions = o.Root, o.Home, o.OldRoots, o.Prefix, o.Versions
	x.Chunks = m.Chunks
	replace(x.Files, o.Files)
	for _, pair := range [][2][]repository.File{{b.files, was.files}, {x.Entries, o.Entries}} {
		for i := range pair[0] {
			if i < len(pair[1]) && pair[0][i].Component == component.SystemMetadata && pair[0][i].Path == pair[1][i].Path {
				pair[0][i] = pair[1][i]
			}
		}
	}
}
