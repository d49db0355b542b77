package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
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

// prepare makes the folder and those in it, refuses what does not belong there, and looks at the space. total is the size
// of everything.
func (x *export) prepare(expected map[string]bool, total int64, folders []string) error {
	have, err := x.strangers(expected, folders)
	if err != nil {
		return err
	}
	free, err := fsx.FreeBytes(existingParent(x.dir))
	if err != nil {
		return err
	}
	// 50 MB for the file that is written before it takes the place of another, a little for rounded sizes.
	if need := total - have + 50<<20 + int64(len(expected))*4096; need > free && total > have {
		return &Error{Op: "export", Path: x.dir, Code: CodeDiskFull, Err: fmt.Errorf("%d MB are needed there and %d MB are free", need/1e6, free/1e6),
			Hint: "free some space there, or choose another place"}
	}
	for _, name := range append([]string{"."}, folders...) {
		path := filepath.Join(x.dir, name)
		if err := x.e.fs.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		// What a killed export left: the folder holds nothing but our own files.
		if err := x.e.fs.RemoveTemps(path); err != nil {
			return err
		}
	}
	return x.e.fs.SyncDir(x.dir)
}

// strangers refuses a folder with files that are not of this export, and returns the bytes of those that are.
func (x *export) strangers(expected map[string]bool, folders []string) (have int64, err error) {
	var strange []string
	err = filepath.WalkDir(x.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == x.dir {
			return nil
		}
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(x.dir, path)
		switch {
		case volumeDust(d.Name()) && d.IsDir() && path != x.dir:
			return fs.SkipDir
		case d.IsDir() && (rel == "." || slices.Contains(folders, rel)), volumeDust(d.Name()):
			return nil
		case d.Type().IsRegular() && (expected[rel] || ownTemp(rel, expected)):
			fi, err := d.Info()
			if err == nil {
				have += fi.Size()
			}
			return err
		}
		strange = append(strange, rel)
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err == nil && len(strange) > 0 {
		err = &Error{Op: "export", Path: x.dir, Code: CodeUsage,
			Err:  fmt.Errorf("what lies there is not of such an export of %s: %q%s", x.m.BackupID, strange[0], andMore(len(strange)-1)),
			Hint: "name a folder that is empty, or that does not exist yet"}
	}
	return have, err
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// ownTemp reports whether a file is one that a killed export was writing: ".NAME.random.tmp" beside the file NAME, or a
// chunk's.
func ownTemp(rel string, expected map[string]bool) bool {
	dir, name := path.Split(rel)
	name, ok := strings.CutSuffix(name, fsx.TempSuffix)
	if !ok {
		return false
	}
	if rel == "publish"+fsx.TempSuffix || expected[dir+name] {
		return true
	}
	name, ok = strings.CutPrefix(name, ".")
	i := strings.LastIndexByte(name, '.')
	return ok && i > 0 && expected[dir+name[:i]]
}

// volumeDust reports whether a name is one that a system itself puts on a stick.
func volumeDust(name string) bool {
	switch name {
	case ".DS_Store", ".Spotlight-V100", ".fseventsd", ".Trashes", ".TemporaryItems", "System Volume Information", "lost+found":
		return true
	}
	return strings.HasPrefix(name, "._")
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

// exportReadme tells whoever finds the stick what it is.
func exportReadme(m *repository.Manifest) string {
	return fmt.Sprintf(`This folder holds one backup made by Maia Recovery: %s, made %s.
It needs nothing else: no OneDrive, no network, no program.

To bring everything back on a Mac, open Terminal, type "bash " with the space, drag the file restore_maia.sh from this
folder into the window, and press Return. It asks where things go, and checks every byte.

%s
Without the script: restore.index.gz in the folder of the backup is a plain list. "chunk" lines name files in the folder
chunks (gzip); "stream" and "x" lines say which bytes of the uncompressed chunks, one after the other, make a tar archive
or a database.
`, m.BackupID, m.CreatedAt.UTC().Format("2 January 2006 15:04 MST"), cmp.Or(vaultReadme(m), "Secrets are not in it: it was made without a vault.\n"))
}

func vaultReadme(m *repository.Manifest) string {
	if m.PasswordNumber == 0 {
		return ""
	}
	return fmt.Sprintf("Secrets are in credentials.vault.enc, which vault password %d opens. Everything else lies here unencrypted: keep the\nstick as you would keep the Mac.\n", m.PasswordNumber)
}
