package component

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// walker makes one inventory; used by one goroutine.
type walker struct {
	ctx      context.Context
	o        *Options
	sys      system
	inv      *Inventory
	patterns []pattern
	own      map[FileID]bool
	tallies  map[string]*tally
	// secretIDs are personal files with secrets: they stay secret where they lie under the root as well.
	secretIDs map[FileID]*SecretFile
	// inPlace are virtual environments that have somebody's work in them.
	inPlace  []string
	realRoot string
}

// looks is how often something is looked at again that changes what it is meanwhile.
const looks = 3

// root walks the Maia root. A root that cannot be listed is an error, never an empty one.
func (w *walker) root() error {
	names, err := w.sys.list(w.o.Root, true)
	if err != nil {
		return err
	}
	if w.realRoot, err = filepath.EvalSymlinks(w.o.Root); err != nil {
		return err
	}
	if slices.Contains(names, "pyvenv.cfg") && w.venv("") {
		w.inPlace = append(w.inPlace, "")
	}
	return w.children("", names)
}

func join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

func (w *walker) abs(rel string) string {
	// Not filepath.Join: a name is taken as it is.
	if strings.HasSuffix(w.o.Root, "/") {
		return w.o.Root + rel
	}
	return w.o.Root + "/" + rel
}

// children walks what is in a folder. names is sorted, so a database comes before its sidecars.
func (w *walker) children(rel string, names []string) error {
	databases := map[string]bool{}
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.child(join(rel, name), name, databases); err != nil {
			return err
		}
	}
	return nil
}

// child finds the one place of something. What changes while it is looked at is looked at again.
func (w *walker) child(rel, name string, databases map[string]bool) error {
	for range looks {
		fi, err := w.sys.lstat(w.abs(rel))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			w.seenLeftOut(rel, Reason(err), true)
			return nil
		case fi.IsDir():
			err = w.folder(rel, fi)
		default:
			err = w.file(rel, name, fi, databases)
		}
		if errors.Is(err, errOther) {
			continue
		}
		return err
	}
	w.seenLeftOut(rel, "it kept changing what it is while it was looked at", true)
	return nil
}

// folder walks a folder, unless a rule excludes it. errOther: it is something else by now.
func (w *walker) folder(rel string, fi fs.FileInfo) error {
	rule := ""
	switch {
	case w.own[StatOf(fi).ID()]:
		rule = RuleOwn
	case w.inPlaceSite(rel):
		rule = RuleVenv
	default:
		rule = folderRule(rel, w.o.KeepGitHistory, w.inv.Maia)
	}
	if path.Base(rel) == ".git" && rule != RuleOwn {
		w.repository(rel)
	}
	if rule == "" {
		rule = w.configRule(rel, true)
	}
	if rule != "" {
		return w.excludeFolder(rule, rel)
	}
	names, err := w.sys.list(w.abs(rel), false)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return errOther
	case err != nil:
		w.leftOut(Code, rel, "the folder cannot be listed: "+Reason(err), true, true)
		if len(names) == 0 {
			return nil
		}
	}
	if slices.Contains(names, "pyvenv.cfg") && w.venv(rel) {
		if !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(venvParts, n) }) {
			return w.excludeFolder(RuleVenv, rel)
		}
		w.inPlace = append(w.inPlace, rel)
	}
	w.entry(Code, rel, Dir, fi, "")
	return w.children(rel, names)
}

// file finds the place of what is no folder. errOther: it is something else by now.
func (w *walker) file(rel, name string, fi fs.FileInfo, databases map[string]bool) error {
	st := StatOf(fi)
	regular := fi.Mode().IsRegular()
	if w.own[st.ID()] {
		w.exclude(RuleOwn, rel, fi)
		return nil
	}
	if name == ".git" && regular {
		w.repository(rel)
		// In a linked worktree it says where the folder is. Without that it would only keep a restore from making one.
		if rel == ".git" && !w.o.KeepGitHistory && w.linksRepository(rel, st) {
			w.exclude(RuleGit, rel, fi)
			return nil
		}
	}
	if regular && w.inv.Maia {
		if rule := fileRule(name); rule != "" {
			w.exclude(rule, rel, fi)
			return nil
		}
	}
	if rule := w.configRule(rel, false); rule != "" {
		w.exclude(rule, rel, fi)
		return nil
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return w.symlink(rel, fi)
	case !regular:
		w.seenLeftOut(rel, special(fi.Mode()), false)
		return nil
	case w.sys.dataless(fi):
		w.seenLeftOut(rel, "its content is in the cloud only and was not downloaded", true)
		return nil
	}
	if s := w.secretUnderRoot(rel, name, fi); s != nil {
		w.inv.seen++
		w.inv.Secrets = append(w.inv.Secrets, *s)
		return nil
	}
	return w.content(rel, name, fi, databases)
}

// linksRepository reports whether a file says where a repository lies (gitrepository-layout(5)).
func (w *walker) linksRepository(rel string, st Stat) bool {
	head, err := w.sys.head(w.abs(rel), st.ID())
	return err == nil && bytes.HasPrefix(head, []byte("gitdir: "))
}

// content looks into a regular file, or asks who did before.
func (w *walker) content(rel, name string, fi fs.FileInfo, databases map[string]bool) error {
	st := StatOf(fi)
	source := w.abs(rel)
	sidecar := databases[sidecarOf(name)]
	kind, known := File, false
	if w.o.Known != nil && !sidecar {
		kind, known = w.o.Known(source, st)
		known = known && (kind == File || kind == Database)
	}
	if !known {
		head, err := w.sys.head(source, st.ID())
		switch {
		case errors.Is(err, errOther):
			return errOther
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil && !sidecar:
			w.seenLeftOut(rel, Reason(err), true)
			return nil
		case sidecar && (err != nil || isSidecar(name, head)):
			w.sidecar(rel, fi)
			return nil //nolint:nilerr // one that cannot be read beside its database is a sidecar
		}
		kind = File
		if string(head) == sqliteHeader {
			kind = Database
		}
	}
	if kind == Database {
		databases[name] = true
	}
	w.inv.seen++
	w.entry(w.componentOf(rel, kind, st.Size), rel, kind, fi, "")
	return nil
}

// sidecar excludes what lies beside a database, and remembers it: a database that cannot be snapshotted needs it.
func (w *walker) sidecar(rel string, fi fs.FileInfo) {
	w.exclude(RuleSidecar, rel, fi)
	if w.inv.Sidecars == nil {
		w.inv.Sidecars = map[string][]Entry{}
	}
	database := sidecarOf(rel)
	w.inv.Sidecars[database] = append(w.inv.Sidecars[database], Entry{
		Component: w.componentOf(rel, File, 0), Path: rel, Source: w.abs(rel), Kind: File, Mode: modeOf(fi), Stat: StatOf(fi),
	})
}

// isSidecar tells SQLite's files from somebody's that are only called so. Journals that were ended are empty or begin
// with zeros, and so does one whose header is not yet written.
func isSidecar(name string, head []byte) bool {
	if n := min(len(head), 4); bytes.Equal(head[:n], make([]byte, n)) {
		return true
	}
	for suffix, magics := range sidecarMagics {
		if strings.HasSuffix(name, suffix) {
			return slices.ContainsFunc(magics, func(m string) bool { return strings.HasPrefix(string(head), m) })
		}
	}
	return false
}

// sidecarMagics is how each sidecar begins: a WAL in either byte order of its checksums, the number of the version of
// the shared memory in either byte order of the machine, a journal.
var sidecarMagics = map[string][]string{
	"-wal":     {"\x37\x7f\x06\x82", "\x37\x7f\x06\x83"},
	"-shm":     {"\x18\xe2\x2d\x00", "\x00\x2d\xe2\x18"},
	"-journal": {"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"},
}

func (w *walker) componentOf(rel string, kind Kind, size int64) string {
	switch {
	case kind == Database && size >= w.o.LargeDatabase:
		return DataLarge
	case w.inv.Maia && strings.HasPrefix(rel, dataDir+"/"):
		return DataSmall
	}
	return Code
}

func (w *walker) symlink(rel string, fi fs.FileInfo) error {
	target, err := os.Readlink(w.abs(rel))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		if now, lerr := w.sys.lstat(w.abs(rel)); lerr == nil && now.Mode()&fs.ModeSymlink == 0 {
			return errOther
		}
		w.seenLeftOut(rel, Reason(err), true)
		return nil
	}
	w.inv.seen++
	w.entry(w.componentOf(rel, Symlink, 0), rel, Symlink, fi, target)
	if to, err := os.Stat(w.abs(rel)); err == nil && to.IsDir() {
		real, err := filepath.EvalSymlinks(w.abs(rel))
		if err == nil && real != w.realRoot && !strings.HasPrefix(real, strings.TrimSuffix(w.realRoot, "/")+"/") {
			w.inv.Outside = append(w.inv.Outside, LeftOut{
				Component: Code, Path: rel, Missing: true, Dir: true,
				Reason: "it is a link to " + real + ", a folder outside the Maia root: what is in there is not captured",
			})
		}
	}
	return nil
}

func (w *walker) entry(component, rel string, kind Kind, fi fs.FileInfo, link string) {
	w.inv.Entries = append(w.inv.Entries, Entry{
		Component: component, Path: rel, Source: w.abs(rel), Kind: kind, Mode: modeOf(fi), Stat: StatOf(fi), Link: link,
	})
}

func (w *walker) leftOut(component, rel, reason string, missing, dir bool) {
	w.inv.LeftOut = append(w.inv.LeftOut, LeftOut{Component: component, Path: rel, Reason: reason, Missing: missing, Dir: dir})
}

// seenLeftOut leaves out something under the root that is no folder.
func (w *walker) seenLeftOut(rel, reason string, missing bool) {
	w.inv.seen++
	w.leftOut(w.componentOf(rel, File, 0), rel, reason, missing, false)
}

// special says what something is that is neither file, folder nor link.
func special(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "it is a socket, which has no content"
	case m&fs.ModeNamedPipe != 0:
		return "it is a FIFO, which has no content"
	case m&fs.ModeDevice != 0:
		return "it is a device"
	}
	return "it is neither file, folder nor link"
}

func (w *walker) repository(dotGit string) {
	w.inv.Repositories = append(w.inv.Repositories, path.Dir(dotGit))
}

func (w *walker) tally(rule string) *tally {
	t := w.tallies[rule]
	if t == nil {
		t = new(tally)
		w.tallies[rule] = t
	}
	return t
}

// exclude counts one file.
func (w *walker) exclude(rule, rel string, fi fs.FileInfo) {
	t := w.tally(rule)
	w.inv.seen++
	t.files++
	size := int64(0)
	if fi.Mode().IsRegular() {
		size = fi.Size()
	}
	t.bytes += size
	t.example(rel, size)
}

// excludeFolder counts what is in a folder that is excluded.
func (w *walker) excludeFolder(rule, rel string) error {
	t := w.tally(rule)
	before := t.bytes
	if err := w.countFolder(t, rel); err != nil {
		return err
	}
	t.example(rel+"/", t.bytes-before)
	return nil
}

func (w *walker) countFolder(t *tally, rel string) error {
	names, err := w.sys.list(w.abs(rel), false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.uncounted++
	}
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		child := join(rel, name)
		fi, err := w.sys.lstat(w.abs(child))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			w.inv.seen++
			t.files++
		case fi.IsDir():
			if err := w.countFolder(t, child); err != nil {
				return err
			}
		default:
			w.inv.seen++
			t.files++
			if fi.Mode().IsRegular() {
				t.bytes += fi.Size()
			}
		}
	}
	return nil
}
