package engine

import (
	"errors"
	"fmt"
	"sync"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// copies counts stored bytes by where they were read from, each chunk once. Safe for concurrent use.
type copies struct {
	mu   sync.Mutex
	seen map[repository.Hash]bool
}

func (c *copies) note(res *DrillResult, ref repository.ChunkRef, cloud, evicted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[ref.SHA256] {
		return
	}
	if c.seen == nil {
		c.seen = map[repository.Hash]bool{}
	}
	c.seen[ref.SHA256] = true
	switch {
	case !cloud:
		res.MirrorBytes += ref.SizeBytes
		return
	case evicted:
		res.DownloadedBytes += ref.SizeBytes
	}
	res.OneDriveBytes += ref.SizeBytes
}

// open chooses the backup and reads its manifest where a new machine would.
func (d *rehearsal) open() error {
	v, err := d.e.viewOf(&fetcher{e: d.e, forbid: !d.opt.Download})
	if err != nil {
		return err
	}
	if !v.remote {
		return &Error{Op: "drill", Path: d.e.target(v.folder).Dir, Code: CodeNoRepository, Err: repository.ErrNotRepository}
	}
	d.all = v
	id := ""
	if ids := v.ids(); d.opt.Backup != "" && d.opt.Backup != "latest" {
		m, _, _, err := v.resolve(d.opt.Backup)
		if err != nil {
			return err
		}
		id = m.BackupID
	} else if len(ids) > 0 {
		id = ids[0]
	} else {
		return &Error{Op: "drill", Code: CodeNoBackup, Err: errors.New("there is no backup yet")}
	}
	d.res.BackupID = id
	switch _, there := v.listings[0].Backups[id][repository.ManifestName]; {
	case !there:
		d.problem("%s is not in OneDrive with its manifest: no other machine could restore it", id)
		d.folder = len(v.repos) - 1
	case !d.opt.Download && d.folderEvicted(id):
		if len(v.repos) < 2 || v.listings[1].Backups[id] == nil {
			return &Error{Op: "drill", Code: CodeFailed, Err: fmt.Errorf("OneDrive has evicted the folder of %s, and this machine has no copy of it", id),
				Hint: "let it be downloaded with --download"}
		}
		d.folder = 1
	}
	repo := v.repos[d.folder]
	if d.m, d.raw, err = repo.ReadManifest(id); err != nil {
		return fmt.Errorf("%s/%s: %w", id, repository.ManifestName, err)
	}
	if _, _, err := repo.CheckedManifest(id); err != nil {
		d.problem("%s: %v", id, err)
	}
	return d.reachable()
}

// reachable refuses a backup of which something is evicted that is in no other copy.
func (d *rehearsal) reachable() error {
	n := 0
	for _, c := range d.m.Chunks {
		if _, ok := d.mirrored(c.SHA256); !d.opt.Download && !ok && d.evicted(d.all.repos[0].Path(repository.ChunksDir, repository.ChunkName(c.SHA256))) {
			n++
		}
	}
	if n > 0 {
		return &Error{Op: "drill", Code: CodeFailed, Err: fmt.Errorf("OneDrive has evicted %d of its chunks, and this machine has no copy of them", n),
			Hint: "let them be downloaded with --download"}
	}
	for _, name := range d.m.Lacks(d.all.listings[0]) {
		d.problem("%s is missing in OneDrive, or is not of its size", name)
	}
	return nil
}

func (d *rehearsal) mirrored(h repository.Hash) (dir string, ok bool) {
	for i, l := range d.all.listings[1:] {
		if _, ok := l.Chunks[h]; ok {
			return d.all.repos[i+1].Dir, true
		}
	}
	return "", false
}

func (d *rehearsal) evicted(path string) bool {
	if d.e.opt.Evicted != nil {
		return d.e.opt.Evicted(path)
	}
	return fsx.Dataless(path)
}

func (d *rehearsal) folderEvicted(id string) bool {
	for name := range d.all.listings[0].Backups[id] {
		if d.evicted(d.all.repos[0].Path(id, name)) {
			return true
		}
	}
	return false
}

// view is what the restore sees: the backup's folder in one copy, and chunks from OneDrive wherever they are there. A
// damaged one is not replaced from the mirror, which a new machine does not have.
func (d *rehearsal) view() *view {
	v := *d.all
	v.repos, v.listings = v.repos[d.folder:d.folder+1], v.listings[d.folder:d.folder+1]
	v.chunks = &repository.Source{Choose: d.copyOf}
	return &v
}

// copyOf chooses the copy of a chunk.
func (d *rehearsal) copyOf(ref repository.ChunkRef) []string {
	cloud := d.all.repos[0]
	path := cloud.Path(repository.ChunksDir, repository.ChunkName(ref.SHA256))
	_, there := d.all.listings[0].Chunks[ref.SHA256]
	evicted := there && d.evicted(path)
	if dir, ok := d.mirrored(ref.SHA256); ok && (!there || evicted && !d.opt.Download) {
		d.read.note(d.res, ref, false, false)
		return []string{dir}
	}
	d.read.note(d.res, ref, true, evicted)
	return []string{cloud.Dir}
}
