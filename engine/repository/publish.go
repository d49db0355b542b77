package repository

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"maia-dr/engine/fsx"
)

// Publisher brings files of the mirror into the repository in OneDrive. It only adds: what is there with the recorded
// size stays untouched, and nothing is ever removed.
type Publisher struct {
	FS             *fsx.FS
	Mirror, Target Repo
	// Staging is a folder outside OneDrive, on its volume where possible; it must exist.
	Staging string
	// Progress, if set, is told the bytes of each file as it arrives.
	Progress func(n int64)
}

// StagedNames are what a Publisher calls files in its staging folder.
var StagedNames = []string{"publish" + fsx.TempSuffix, "publish-2" + fsx.TempSuffix}

// Publish brings in what the target lacks of a backup: chunks first, the folder's files, the manifest last. listing is
// the target's; what arrives is entered in it. It returns how many files it published, and an error that is
// ErrMissing if the mirror does not have something: then the manifest is not published.
func (p *Publisher) Publish(ctx context.Context, m *Manifest, manifest []byte, listing *Listing) (int, error) {
	published, err := p.publishChunks(ctx, m.Chunks, listing)
	if err != nil {
		return published, err
	}
	// Also when all were there already: a run that was killed may have renamed them without syncing their names.
	if err := p.FS.SyncDir(p.Target.Path(ChunksDir)); err != nil {
		return published, fmt.Errorf("publish: %w", err)
	}
	n, err := p.publishFolder(ctx, m, manifest, listing)
	return published + n, err
}

// publishChunks brings in what is lacking of chunks, two at a time: while one is compared and synced, another is copied.
func (p *Publisher) publishChunks(ctx context.Context, chunks []ChunkRef, listing *Listing) (int, error) {
	var lacking []ChunkRef
	for _, c := range chunks {
		if size, ok := listing.Chunks[c.SHA256]; !ok || size != c.SizeBytes {
			lacking = append(lacking, c)
		}
	}
	free := make(chan string, len(StagedNames))
	for _, name := range StagedNames {
		free <- name
	}
	var mu sync.Mutex
	published := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(len(StagedNames))
	for _, c := range lacking {
		g.Go(func() error {
			name := <-free
			defer func() { free <- name }()
			rel := filepath.Join(ChunksDir, ChunkName(c.SHA256))
			if err := p.put(ctx, rel, rel, name, c.SizeBytes, c.SHA256); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			listing.Chunks[c.SHA256] = c.SizeBytes
			published++
			return nil
		})
	}
	err := g.Wait()
	return published, err
}

func (p *Publisher) publishFolder(ctx context.Context, m *Manifest, manifest []byte, listing *Listing) (int, error) {
	dir := p.Target.Path(m.BackupID)
	have := listing.Backups[m.BackupID]
	if have == nil {
		if err := p.FS.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, fmt.Errorf("publish: %w", err)
		}
		if err := p.FS.SyncDir(p.Target.Dir); err != nil {
			return 0, fmt.Errorf("publish: %w", err)
		}
		have = map[string]int64{}
		listing.Backups[m.BackupID] = have
	}
	refs := append([]FileRef(nil), m.Files...)
	for _, name := range []string{RestoreIndexName, MACName} {
		ref, err := p.mirrorRef(m.BackupID, name)
		if errors.Is(err, ErrMissing) && name == MACName {
			continue
		}
		if err != nil {
			return 0, err
		}
		refs = append(refs, ref)
	}
	refs = append(refs, FileRef{Path: ManifestName, SizeBytes: int64(len(manifest)), SHA256: SumHash(manifest)})
	published := 0
	for _, f := range refs {
		if size, ok := have[f.Path]; ok && size == f.SizeBytes {
			continue
		}
		if f.Path == ManifestName && published > 0 {
			if err := p.FS.SyncDir(dir); err != nil {
				return published, fmt.Errorf("publish: %w", err)
			}
		}
		rel := filepath.Join(m.BackupID, f.Path)
		if err := p.put(ctx, rel, rel, StagedNames[0], f.SizeBytes, f.SHA256); err != nil {
			return published, err
		}
		have[f.Path] = f.SizeBytes
		published++
	}
	if published == 0 {
		return 0, nil
	}
	if err := p.FS.SyncDir(dir); err != nil {
		return published, fmt.Errorf("publish: %w", err)
	}
	return published, nil
}

// mirrorRef describes a file whose hash the manifest cannot know.
func (p *Publisher) mirrorRef(id, name string) (FileRef, error) {
	b, err := readSmall(p.Mirror.Path(id, name), maxSmallFile)
	if err != nil {
		return FileRef{}, err
	}
	return FileRef{Path: name, SizeBytes: int64(len(b)), SHA256: SumHash(b)}, nil
}

// Put publishes one file by its name relative to the repository, whether or not the target has one of that name.
func (p *Publisher) Put(ctx context.Context, rel string, size int64, sum Hash) error {
	return p.PutAs(ctx, rel, rel, size, sum)
}

// PutAs is Put for a file that has another name in the mirror.
func (p *Publisher) PutAs(ctx context.Context, mirrorRel, rel string, size int64, sum Hash) error {
	if err := p.put(ctx, mirrorRel, rel, StagedNames[0], size, sum); err != nil {
		return err
	}
	return p.FS.SyncDir(filepath.Dir(p.Target.Path(rel)))
}

// put publishes a file by way of a name in the staging folder.
func (p *Publisher) put(ctx context.Context, mirrorRel, rel, staged string, size int64, sum Hash) error {
	src, dst := p.Mirror.Path(mirrorRel), p.Target.Path(rel)
	err := p.stage(ctx, src, filepath.Join(p.Staging, staged), dst, size, sum)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, fs.ErrPermission) {
		// OneDrive lies on another volume, or its provider refuses what is renamed in from outside: the temporary name has
		// to be inside; the client does not upload it.
		err = p.stage(ctx, src, dst+fsx.TempSuffix, dst, size, sum)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", rel, err)
	}
	if p.Progress != nil {
		p.Progress(size)
	}
	return nil
}

// stage copies src to temp, compares its hash there, syncs it and renames it to dst.
func (p *Publisher) stage(ctx context.Context, src, temp, dst string, size int64, sum Hash) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.FS.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer func() {
		if err != nil {
			p.FS.Discard(temp)
		}
	}()
	if _, err := p.FS.Copy(src, temp, 0o600); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			if _, serr := os.Lstat(src); errors.Is(serr, fs.ErrNotExist) {
				return ErrMissing
			}
		}
		return err
	}
	// It is hashed while the disk takes it.
	synced := make(chan error, 1)
	go func() { synced <- p.FS.Sync(temp) }()
	got, n, err := HashFile(temp)
	if err == nil && (n != size || got != sum) {
		err = fmt.Errorf("the local copy is not what it was: %w", ErrDamaged)
	}
	if err := cmp.Or(err, <-synced); err != nil {
		return err
	}
	return p.FS.Rename(temp, dst)
}

// HashFile returns a file's SHA-256 and length.
func HashFile(path string) (Hash, int64, error) {
	file, err := fsx.OpenRegular(path)
	if err != nil {
		return Hash{}, 0, err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := fsx.CopyBuffered(sum, file)
	if err != nil {
		return Hash{}, 0, err
	}
	return Hash(sum.Sum(nil)), n, nil
}
