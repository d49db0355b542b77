package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// ExportOptions say what to export, and where.
type ExportOptions struct {
	// Backup is as in Show.
	Backup string
	// Dir is made if it is missing, in a folder that is there. It must be empty, or what an export of the same backup and kind left there.
	Dir string
	// Archives writes ordinary archives and pieces of databases instead of a repository.
	Archives bool
}

// ExportResult is what an export came to.
type ExportResult struct {
	BackupID string `json:"backup_id"`
	Dir      string `json:"dir"`
	Archives bool   `json:"archives"`
	// Written are the files that were written, Kept those that were there already and whole.
	Written int   `json:"written_files"`
	Kept    int   `json:"kept_files"`
	Bytes   int64 `json:"bytes"`
	// Vault: there is one in it, still sealed.
	Vault    bool          `json:"vault"`
	Newer    []string      `json:"newer_incomplete,omitempty"`
	Duration time.Duration `json:"-"`
	// SourceBytes are those of the files in it.
	SourceBytes int64 `json:"-"`
}

// export is one run of Export.
type export struct {
	*view
	ctx   context.Context
	m     *repository.Manifest
	raw   []byte
	index []byte // restore.index.gz, checked to say what the manifest says
	mac   []byte // nil: no vault
	files []repository.File
	dir   string
	res   *ExportResult
	done  int64
	tell  func(int64)
}

// Export copies one backup to a folder of its own and reads the copy back. The folder is then a repository of format 1, with
// the script, that needs nothing else; or, with Archives, holds archives that any program opens. What an earlier, interrupted
// export of the same backup wrote is kept where it is whole. Nothing that was in the folder before is overwritten or removed:
// strangers are an error.
func (e *Engine) Export(ctx context.Context, o ExportOptions) (res *ExportResult, err error) {
	started := e.now()
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	dir, err := e.exportDir(o.Dir, v)
	if err != nil {
		return nil, err
	}
	x := &export{view: v, ctx: ctx, dir: dir, res: &ExportResult{Dir: dir, Archives: o.Archives}}
	if x.m, x.raw, x.res.Newer, err = v.resolve(o.Backup); err != nil {
		return nil, err
	}
	x.res.BackupID, x.res.SourceBytes = x.m.BackupID, x.m.Stats.SourceBytes
	if lacks := v.lacks(x.m); len(lacks) > 0 {
		return nil, &Error{Op: "export", Path: x.m.BackupID, Code: CodeIncomplete, Err: fmt.Errorf("it lacks %d of its files, %s among them", len(lacks), lacks[0])}
	}
	end, err := e.begin("export")
	if err != nil {
		return nil, err
	}
	history := &state.HistoryEntry{BackupID: x.m.BackupID, Result: repository.StatusCompleted}
	defer func() { end(history, err) }()
	if err = x.run(o.Archives); err != nil {
		return nil, explain("export", dir, err)
	}
	x.res.Duration = e.now().Sub(started)
	history.SourceBytes = x.res.SourceBytes
	return x.res, nil
}

// exportDir returns the folder's absolute path. It may lie in none of the places that backups are made of, or in.
func (e *Engine) exportDir(dir string, v *view) (string, error) {
	if dir == "" {
		return "", &Error{Op: "export", Code: CodeUsage, Err: errors.New("no folder is named")}
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(e.env.Cwd, dir)
	}
	dir = filepath.Clean(dir)
	places := []string{e.state.Path}
	for _, r := range v.repos {
		places = append(places, r.Dir)
	}
	if root, err := e.findRoot(); err == nil {
		places = append(places, root)
	}
	// The folder above must be there: that of a stick that is not plugged in would be made on the wrong disk.
	if ok, err := dirExists(filepath.Dir(dir)); !ok {
		return "", &Error{Op: "export", Path: dir, Code: CodeUsage, Err: errors.Join(errors.New("the folder above it does not exist"), err),
			Hint: "see that the stick is there, or make that folder"}
	}
	real := realPath(dir)
	for _, p := range places {
		if within(real, realPath(p)) {
			return "", &Error{Op: "export", Path: dir, Code: CodeUsage, Err: fmt.Errorf("it lies in %s", p), Hint: "name a folder elsewhere, on a stick for one"}
		}
	}
	return real, nil
}

func (x *export) run(archives bool) error {
	if err := x.readLists(); err != nil {
		return err
	}
	if archives {
		return x.archives()
	}
	return x.repository()
}

// readLists reads the file list, and an index that agrees with it and the manifest.
func (x *export) readLists() error {
	var err error
	if x.files, err = x.view.files(x.m); err != nil {
		return err
	}
	err = repository.ErrMissing
	for _, r := range slices.Backward(x.repos) {
		if err = checkRestoreIndex(r, x.m, x.raw, x.files); err != nil {
			continue
		}
		if x.index, err = r.ReadSmall(x.m.BackupID, repository.RestoreIndexName); err != nil {
			continue
		}
		if x.m.PasswordNumber > 0 {
			x.mac, err = r.ReadSmall(x.m.BackupID, repository.MACName)
			x.res.Vault = true
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("read %s of %s: %w", repository.RestoreIndexName, x.m.BackupID, err)
}

// small is a file that is written from memory.
type small struct {
	name string // below the export's folder, with slashes
	body []byte
}

// repository makes the folder a repository of this one backup, its manifest last.
func (x *export) repository() error {
	descriptor, writer, err := x.origin()
	if err != nil {
		return err
	}
	lists, err := x.smallFiles()
	if err != nil {
		return err
	}
	top := []small{{repository.ReadmeName, []byte(exportReadme(x.m))}, {repository.ScriptName, x.e.opt.Script}}
	expected := map[string]bool{repository.RepositoryName: true}
	if writer != nil {
		expected[repository.WriterName(writer.Number)] = true
	}
	total := int64(0)
	for _, s := range append(slices.Clone(lists), top...) {
		expected[s.name] = true
		total += int64(len(s.body))
	}
	for _, c := range x.m.Chunks {
		expected[repository.ChunksDir+"/"+repository.ChunkName(c.SHA256)] = true
		total += c.SizeBytes
	}
	if err := x.prepare(expected, total, []string{repository.ChunksDir, x.m.BackupID}); err != nil {
		return err
	}
	target := repository.Repo{Dir: x.dir, FS: x.e.fs}
	if err := x.describe(target, descriptor, writer); err != nil {
		return err
	}
	x.e.phase(event.Export, total)
	x.tell = x.e.counter(event.Export, total, &x.done)
	for _, c := range x.m.Chunks {
		if err := x.chunk(target, c); err != nil {
			return err
		}
	}
	// The script and the README first: the manifest commits all of it.
	for _, s := range append(top, lists...) {
		if err := x.putSmall(s); err != nil {
			return err
		}
	}
	x.res.Bytes = total
	return x.checkRepository(target)
}

// origin returns what the repository that is exported from says of itself.
func (x *export) origin() (*repository.Descriptor, *repository.Writer, error) {
	var d *repository.Descriptor
	var err error
	for _, r := range x.repos {
		if d, err = r.Descriptor(); err != nil {
			continue
		}
		w, werr := r.Writer()
		if werr == nil && w == nil {
			continue // the mirror has none
		}
		return d, w, werr
	}
	return d, nil, err
}

// smallFiles are the files of the backup's folder, the manifest last.
func (x *export) smallFiles() ([]small, error) {
	var out []small
	for _, f := range x.m.Files {
		b, err := x.readFile(x.m, f.Path)
		if err != nil {
			return nil, err
		}
		out = append(out, small{x.m.BackupID + "/" + f.Path, b})
	}
	out = append(out, small{x.m.BackupID + "/" + repository.RestoreIndexName, x.index})
	if x.mac != nil {
		out = append(out, small{x.m.BackupID + "/" + repository.MACName, x.mac})
	}
	return append(out, small{x.m.BackupID + "/" + repository.ManifestName, x.raw}), nil
}

// describe writes repository.json and the writer, or sees that they are those of the same repository.
func (x *export) describe(target repository.Repo, d *repository.Descriptor, w *repository.Writer) error {
	there, err := target.Descriptor()
	switch {
	case errors.Is(err, repository.ErrNotRepository):
		if err := target.WriteJSON(repository.RepositoryName, d); err != nil {
			return err
		}
	case err != nil:
		return err
	case there.RepositoryID != d.RepositoryID:
		return &Error{Op: "export", Path: x.dir, Code: CodeUsage, Err: errors.New("another repository lies there"), Hint: "name a folder that is empty"}
	}
	if w == nil {
		return nil
	}
	return target.WriteJSON(repository.WriterName(w.Number), w)
}

// whole reports whether a file is there already with its content.
func (x *export) whole(name string, size int64, sum repository.Hash) bool {
	path := filepath.Join(x.dir, name)
	if fi, err := os.Lstat(path); err != nil || !fi.Mode().IsRegular() || fi.Size() != size {
		return false
	}
	got, _, err := repository.HashFile(path)
	return err == nil && got == sum
}

func (x *export) putSmall(s small) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	if x.whole(s.name, int64(len(s.body)), repository.SumHash(s.body)) {
		x.res.Kept++
	} else {
		if err := (repository.Repo{Dir: x.dir, FS: x.e.fs}).WriteFile(s.name, s.body); err != nil {
			return err
		}
		x.res.Written++
	}
	x.tell(int64(len(s.body)))
	return nil
}

// chunk copies a chunk from the first copy in which it is whole.
func (x *export) chunk(target repository.Repo, c repository.ChunkRef) error {
	name := filepath.Join(repository.ChunksDir, repository.ChunkName(c.SHA256))
	if x.whole(name, c.SizeBytes, c.SHA256) {
		x.res.Kept++
		x.tell(c.SizeBytes)
		return nil
	}
	src := x.source()
	dirs := src.Dirs
	if src.Choose != nil {
		dirs = src.Choose(c)
	}
	var errs []error
	for _, dir := range dirs {
		p := &repository.Publisher{FS: x.e.fs, Mirror: repository.Repo{Dir: dir}, Target: target, Staging: x.dir, Progress: x.tell}
		err := x.fetch.ready(x.ctx, filepath.Join(dir, name))
		if err == nil {
			err = p.Put(x.ctx, name, c.SizeBytes, c.SHA256)
		}
		if err == nil {
			x.res.Written++
			return nil
		}
		if x.ctx.Err() != nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) {
			return err // another copy of the chunk does not help
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkRepository reads everything back: the copy is what the backup is, and complete without any other.
func (x *export) checkRepository(target repository.Repo) error {
	listing, err := target.List()
	if err != nil {
		return err
	}
	m, raw, err := target.CheckedManifest(x.m.BackupID)
	if err != nil {
		return fmt.Errorf("read the copy back: %w", err)
	}
	if lacks := m.Lacks(listing); len(lacks) > 0 {
		return fmt.Errorf("read the copy back: it lacks %s: %w", lacks[0], repository.ErrDamaged)
	}
	var total int64
	for _, c := range m.Chunks {
		total += c.SizeBytes
	}
	x.e.phase(event.Verify, total)
	var done int64
	tell := x.e.counter(event.Verify, total, &done)
	for _, c := range m.Chunks {
		if err := repository.CheckChunk(x.ctx, target.Dir, c, true); err != nil {
			return fmt.Errorf("read the copy back: %s: %w", repository.ChunkName(c.SHA256), err)
		}
		tell(c.SizeBytes)
	}
	if _, problems := checkFolder(target, m, raw); len(problems) > 0 {
		return fmt.Errorf("read the copy back: %s: %w", problems[0], repository.ErrDamaged)
	}
	return nil
}
