package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"maia-dr/engine/component"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// stageName is the folder in an area where files wait until they are verified. A killed restore leaves it; the next one
// begins it anew.
const stageName = ".maia-restore.partial"

// agentsDir is where a home has its agents.
const agentsDir = "Library/LaunchAgents"

// area is a folder that a restore writes to: the target, or the home. Whatever is written lies below root, and not
// behind a link; what was in its way lies below aside, at the same place.
type area struct {
	root, aside, stage string
	personal           bool // it is the home
	// volume is what the area lies on, while a restore runs.
	volume *fsx.Volume
}

func (a *area) path(rel string) string { return filepath.Join(a.root, filepath.FromSlash(rel)) }

// shown is what the user is told of where a file goes: relative to the target, or the whole path in the home.
func (p *placement) shown() string {
	if p.area.personal {
		return p.dest
	}
	return p.rel
}

// findAreas decides where files go. Personal files go to the home only from an authenticated backup: nothing that runs
// is activated from another one.
func (r *restore) findAreas() error {
	r.beside = r.freeName(BesideDir, inStream)
	r.plan.besideDir = filepath.Join(r.opt.To, r.beside)
	r.target = &area{root: r.opt.To, aside: r.plan.Aside, stage: filepath.Join(r.opt.To, r.freeName(stageName, inStream))}
	maps, err := cleanMaps(r.opt.Maps)
	if err != nil {
		return err
	}
	r.opt.Maps = maps
	if r.opt.TargetHome == "" {
		return nil
	}
	home, err := filepath.Abs(r.opt.TargetHome)
	if err != nil {
		return err
	}
	home = realPath(home)
	if within(home, r.opt.To) {
		return &Error{Op: "restore", Path: home, Code: CodeUsage, Err: errors.New("the home must not lie in the Maia root"),
			Hint: "choose another place with --target-home or --to"}
	}
	for _, own := range append([]string{r.e.state.Path}, r.source().Dirs...) {
		if r.rehearsal == nil && within(home, realPath(own)) {
			return &Error{Op: "restore", Path: home, Code: CodeUsage, Err: fmt.Errorf("it lies in %s, which the backups are made with", own),
				Hint: "choose another place with --target-home"}
		}
	}
	switch {
	case !r.plan.Authenticated:
		r.plan.TargetHomeUnused = "nothing proves who made the backup, so agents and shell files are laid beside as they are"
		return nil
	case r.opt.BesideOriginal:
		r.plan.TargetHomeUnused = "each file is restored next to its original"
		return nil
	}
	personal := func(name string) bool { return archiveOf(name) != "" }
	r.home = &area{
		root: home, personal: true, aside: filepath.Join(r.plan.Aside, r.freeName("home", inStream)), stage: filepath.Join(home, r.freeName(stageName, personal)),
	}
	r.plan.TargetHome = home
	return nil
}

// cleanMaps returns the user's pairs without slashes at their ends.
func cleanMaps(maps [][2]string) (out [][2]string, err error) {
	for _, m := range maps {
		for _, side := range m {
			if !filepath.IsAbs(side) || strings.Trim(side, "/") == "" {
				return nil, &Error{Op: "restore", Code: CodeUsage, Err: fmt.Errorf("%q cannot be mapped: it is no absolute path", side)}
			}
		}
		out = append(out, [2]string{strings.TrimRight(m[0], "/"), strings.TrimRight(m[1], "/")})
	}
	return out, nil
}

func (r *restore) areas() []*area {
	if r.home == nil {
		return []*area{r.target}
	}
	return []*area{r.target, r.home}
}

// realPath resolves the links in the part of a path that exists.
func realPath(path string) string {
	parent := existingParent(path)
	real, err := filepath.EvalSymlinks(parent)
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(parent, path)
	if err != nil {
		return path
	}
	return filepath.Join(real, rel)
}

// open makes the area's root, keeps other restores away from it, and begins its staging folder anew.
func (r *restore) open(a *area) (done func() error, err error) {
	fsys := r.e.fs
	if err := fsys.MkdirAll(a.root, 0o755); err != nil {
		return nil, err
	}
	unlock, err := r.lockTarget(a.root)
	if err != nil {
		return nil, err
	}
	if err := fsys.RemoveAll(a.stage); err != nil {
		return nil, errors.Join(err, unlock())
	}
	if err := fsys.Mkdir(a.stage, 0o700); err != nil {
		return nil, errors.Join(err, unlock())
	}
	if a.volume, err = fsys.OpenVolume(a.root); err != nil {
		return nil, errors.Join(err, fsys.RemoveAll(a.stage), unlock())
	}
	return func() error { return errors.Join(a.volume.Close(), fsys.RemoveAll(a.stage), unlock()) }, nil
}

// freeName returns name, with a number if one of those components has something of that name at its top itself.
func (r *restore) freeName(name string, of func(component string) bool) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(r.files, func(f repository.File) bool {
			first, _, _ := strings.Cut(string(f.Path), "/")
			return of(f.Component) && first == name
		})
	}
	free := name
	for n := 2; taken(free); n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}

// below returns where a file goes: an area, and the path in it. Personal files without a home are laid beside.
func (r *restore) below(f *repository.File) (*area, string) {
	personal := ""
	switch f.Component {
	case component.Code, component.DataSmall, component.DataLarge:
		return r.target, string(f.Path)
	case component.LaunchAgents:
		personal = agentsDir + "/" + string(f.Path)
	case component.ShellConfigs:
		personal = string(f.Path)
	default:
		return r.target, r.beside + "/packages/" + string(f.Path)
	}
	if r.home != nil {
		return r.home, personal
	}
	return r.target, r.beside + "/home/" + personal
}

// place is below, but for a file that is restored beside its original.
func (r *restore) place(f *repository.File) (*area, string) {
	a, path := r.below(f)
	if !r.opt.BesideOriginal {
		return a, path
	}
	dir, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		dir, name = path[:i+1], path[i+1:]
	}
	ext := filepath.Ext(name)
	if ext == name {
		ext = ""
	}
	return a, dir + strings.TrimSuffix(name, ext) + ".restored-" + strings.TrimPrefix(r.m.BackupID, "full_") + ext
}

// realParents reports whether everything above a place in the area is a folder, and no link to one.
func (a *area) realParents(rel string) (bool, error) {
	for i, c := range rel {
		if c != '/' {
			continue
		}
		fi, err := os.Lstat(a.path(rel[:i]))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil || !fi.IsDir() {
			return false, err
		}
	}
	return true, nil
}

// existingParent returns the nearest folder above a path that is there.
func existingParent(path string) string {
	for {
		if ok, err := dirExists(path); ok || err != nil {
			return path
		}
		path = filepath.Dir(path)
	}
}

// makeParents makes the folders above a file. Whatever is no folder there, a link above all, is moved aside: nothing
// is ever written through it.
func (r *restore) makeParents(a *area, rel string) error {
	for i, c := range rel {
		if c != '/' {
			continue
		}
		if err := r.makeDir(a, rel[:i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *restore) makeDir(a *area, rel string) error {
	fi, err := os.Lstat(a.path(rel))
	if err == nil && fi.IsDir() {
		return nil
	}
	if err := r.clear(a, rel); err != nil {
		return err
	}
	return r.e.fs.Mkdir(a.path(rel), 0o700)
}

// clear moves what is at a place into the folder for things in the way.
func (r *restore) clear(a *area, rel string) error {
	path := a.path(rel)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	aside := filepath.Join(a.aside, filepath.FromSlash(rel))
	if err := r.e.fs.MkdirAll(filepath.Dir(aside), 0o700); err != nil {
		return err
	}
	for n := 1; ; n++ {
		// Two things of one name can only meet here on a disk that does not tell upper case from lower.
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.%d", filepath.Join(a.aside, filepath.FromSlash(rel)), n)
	}
	r.res.MovedAside = r.plan.Aside
	err := r.e.fs.Rename(path, aside)
	if a == r.home && errors.Is(err, unix.EXDEV) {
		return r.moveAcross(path, aside)
	}
	return err
}

// moveAcross moves a file or a link of the home to another disk: the folder for things in the way lies beside the
// target, which may be on one. The original goes last.
func (r *restore) moveAcross(path, aside string) error {
	fsys := r.e.fs
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		if err := fsys.Symlink(to, aside); err != nil {
			return err
		}
	case fi.Mode().IsRegular():
		if _, err := fsys.Copy(path, aside, 0o600); err != nil {
			return err
		}
		if err := errors.Join(fsys.Chmod(aside, fi.Mode().Perm()), fsys.Chtimes(aside, fi.ModTime().Truncate(time.Microsecond)), fsys.Sync(aside)); err != nil {
			return err
		}
	default:
		return &Error{Op: "move aside", Path: path, Code: CodeFailed, Err: errors.New("it is no file, and the folder for what is in the way is on another disk"),
			Hint: "move it away and run the command again"}
	}
	return fsys.Remove(path)
}
