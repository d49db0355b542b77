package state

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// ours are the names in a state directory, of all parts of the program: those of the menu's as well.
var ours = []string{
	lockName, statusName, historyName, identityName, journalName, keepsakesName, secretsName, scheduleName, scheduleLockName, probeName,
	"block.index", "stat.cache", packagesName, "recovery-sheet.html", reportName,
	"sync.json", "sync.lock", choicesName, "choices.lock", "incidents.json", "incidents.lock", "tray.lock",
}

// passing are the names of what the program makes for a while in its folders for that, and clears away: databases being
// copied, the filesystem's clock, a drill, files without a name in the moment before they lose it; and what waits for its
// rename into OneDrive, besides temporary files of any name.
var passing = map[string][]string{
	"scratch": {"snapshot-*", "clock-*.tmp", "drill", "nameless.*.tmp"},
	"staging": repository.StagedNames,
}

// temporary is what fsx calls the temporary file that becomes NAME: .NAME.random.tmp.
var temporary = regexp.MustCompile(`^\.(.+)\.[0-9]+` + regexp.QuoteMeta(fsx.TempSuffix) + `$`)

// logs and scripts are the names in the folders log, with those of full logs that were moved away, and terminal.
var (
	logs    = regexp.MustCompile(`^(maia-dr|maia-dr-menu|menu-job|schedule)(-[0-9][0-9T.-]*)?\.log$`)
	scripts = regexp.MustCompile(`^maia-dr .+\.command$`)
)

// mirrored are the names at the top of a mirror, besides its backups.
var mirrored = []string{repository.ChunksDir, "repository.json", "writer-*.json", "README.txt", "restore_maia.sh"}

// Contents lists what lies in the state directory, by paths below it: what the program has put there, and what is
// somebody else's, as in a folder that has other things in it. A mirror is the program's if it is one, of the folders for
// logs and for the scripts of the menu that in them which has the names of such, then the folder itself if it is empty. The
// folders scratch and staging, which are names that anybody may choose, are the program's only where its identity lies
// beside and nothing else is in them, or nothing at all.
func (d Dir) Contents() (owned, foreign []string, err error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case slices.Contains(ours, name), isTemporary(e):
			owned = append(owned, name)
		case name == "mirror" || passing[name] != nil:
			if name == "mirror" && d.isMirror() || passing[name] != nil && e.IsDir() && d.isPassing(name) {
				owned = append(owned, name)
			} else {
				foreign = append(foreign, name)
			}
		case name == "log":
			owned, foreign = d.folder(name, logs, owned, foreign)
		case name == "terminal":
			owned, foreign = d.folder(name, scripts, owned, foreign)
		default:
			foreign = append(foreign, name)
		}
	}
	return owned, foreign, nil
}

// isTemporary reports whether an entry of the state directory is what a killed write of one of the program's files left.
func isTemporary(e fs.DirEntry) bool {
	of := temporary.FindStringSubmatch(e.Name())
	return of != nil && slices.Contains(ours, of[1]) && e.Type().IsRegular()
}

// isPassing reports whether the folder scratch or staging is the program's, by what is in it and lies beside it. An empty
// one needs no identity: it is made before.
func (d Dir) isPassing(name string) bool {
	entries, err := os.ReadDir(filepath.Join(d.Path, name))
	if err != nil || len(entries) == 0 {
		return err == nil
	}
	if id, err := d.PeekIdentity(); err != nil || id == nil {
		return false
	}
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !passes(name, e) })
}

// passes reports whether an entry of scratch or staging is called what the program calls what it makes there.
func passes(folder string, e fs.DirEntry) bool {
	if folder == "staging" && temporary.MatchString(e.Name()) && e.Type().IsRegular() {
		return true
	}
	return slices.ContainsFunc(passing[folder], func(pattern string) bool { ok, err := path.Match(pattern, e.Name()); return ok && err == nil })
}

// Passing lists what killed runs left in scratch and staging, by paths below the state directory; only the holder of the
// lock may call it. What the program does not call so is somebody else's.
func (d Dir) Passing() (left []string, err error) {
	for _, folder := range []string{"scratch", "staging"} {
		entries, err := os.ReadDir(filepath.Join(d.Path, folder))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if passes(folder, e) {
				left = append(left, path.Join(folder, e.Name()))
			}
		}
	}
	return left, nil
}

// Temporary lists what killed writes of the program's files left beside them.
func (d Dir) Temporary() (left []string, err error) {
	entries, err := os.ReadDir(d.Path)
	for _, e := range entries {
		if isTemporary(e) {
			left = append(left, e.Name())
		}
	}
	return left, err
}

// isMirror reports whether the folder mirror has nothing in it but what a mirror has.
func (d Dir) isMirror() bool {
	entries, err := os.ReadDir(d.Mirror())
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		n := e.Name()
		return !repository.IsID(n) && !strings.HasSuffix(n, fsx.TempSuffix) &&
			!slices.ContainsFunc(mirrored, func(pattern string) bool { ok, err := path.Match(pattern, n); return ok && err == nil })
	})
}

// folder adds what matches in a folder, and the folder where all of it does.
func (d Dir) folder(name string, pattern *regexp.Regexp, owned, foreign []string) (o, f []string) {
	entries, err := os.ReadDir(filepath.Join(d.Path, name))
	if err != nil {
		return owned, append(foreign, name)
	}
	strange := 0
	for _, e := range entries {
		if pattern.MatchString(e.Name()) && e.Type().IsRegular() {
			owned = append(owned, path.Join(name, e.Name()))
		} else {
			foreign = append(foreign, path.Join(name, e.Name()))
			strange++
		}
	}
	if strange == 0 {
		owned = append(owned, name)
	}
	return owned, foreign
}
