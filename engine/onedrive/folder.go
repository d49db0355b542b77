package onedrive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	// ErrNone says that no OneDrive folder was found, or that the one named does not exist.
	ErrNone = errors.New("no OneDrive folder")
	// ErrSeveral says that several accounts have a folder and nothing tells which one is meant.
	ErrSeveral = errors.New("several OneDrive folders")
)

// Folder is the OneDrive folder that was found.
type Folder struct {
	Path string
	// Why says how it was found, for people.
	Why string
	// Candidates are all folders that would have served.
	Candidates []string
}

// Options say where to look. The first that is set wins: Flag, Environment, Config, then what is found below Home.
type Options struct {
	Flag, Environment, Config string
	Home                      string
	// Remembered is the folder used before; among several candidates it is the one meant.
	Remembered string
	// Holds reports whether a folder holds a repository of backups; nil: none does. Among several candidates of which
	// none is remembered, the only one that does is the one meant.
	Holds func(folder string) bool
}

// Find returns the OneDrive folder. It never creates one: a folder in the place of one that vanished would only look
// like it. With ErrSeveral, the folder returned has candidates and no path.
func Find(o Options) (Folder, error) {
	for _, given := range []struct{ path, why string }{
		{o.Flag, "given with --onedrive-path"},
		{o.Environment, "given by MAIA_ONEDRIVE_PATH"},
		{o.Config, "set as onedrive_path in the configuration"},
	} {
		if given.path == "" {
			continue
		}
		abs, err := filepath.Abs(given.path)
		if err != nil {
			return Folder{}, err
		}
		if err := mustBeDir(abs); err != nil {
			return Folder{}, fmt.Errorf("%w: %s, %s: %w", ErrNone, abs, given.why, err)
		}
		return Folder{Path: abs, Why: given.why, Candidates: []string{abs}}, nil
	}
	found, tried, err := candidates(o.Home)
	if err != nil {
		return Folder{}, err
	}
	switch {
	case o.Remembered != "" && mustBeDir(o.Remembered) == nil:
		return Folder{Path: o.Remembered, Why: "used before", Candidates: found}, nil
	case o.Remembered != "":
		return Folder{}, fmt.Errorf("%w: %s, used before, is gone", ErrNone, o.Remembered)
	case len(found) == 0:
		return Folder{}, fmt.Errorf("%w: looked for %s", ErrNone, strings.Join(tried, " and "))
	case len(found) > 1:
		if i := onlyHolder(found, o.Holds); i >= 0 {
			return Folder{Path: found[i], Why: fmt.Sprintf("of %d OneDrive folders the one that holds backups", len(found)), Candidates: found}, nil
		}
		return Folder{Candidates: found}, fmt.Errorf("%w: %s", ErrSeveral, strings.Join(found, ", "))
	}
	return Folder{Path: found[0], Why: "the only OneDrive folder found", Candidates: found}, nil
}

// onlyHolder returns the index of the only folder that holds a repository; -1: none or several do.
func onlyHolder(folders []string, holds func(string) bool) int {
	only := -1
	for i, f := range folders {
		if holds == nil || !holds(f) {
			continue
		}
		if only >= 0 {
			return -1
		}
		only = i
	}
	return only
}

// Candidates returns the folders of all accounts below home, each once: what Find would choose from.
func Candidates(home string) ([]string, error) {
	found, _, err := candidates(home)
	return found, err
}

func mustBeDir(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return errors.Unwrap(err)
	}
	if !fi.IsDir() {
		return errors.New("not a folder")
	}
	return nil
}

// archived matches the name macOS gives to the folder of an account that was removed: "OneDrive-Contoso (1-2-25 3:04 PM)".
var archived = regexp.MustCompile(`\(.*[0-9].*\)$`)

// candidates lists the folders of all accounts, each once: ~/OneDrive… is a link to one of the others on a Mac.
func candidates(home string) (found, tried []string, err error) {
	var seen []fs.FileInfo
	for _, pattern := range []struct{ dir, prefix string }{
		{filepath.Join(home, "Library", "CloudStorage"), "OneDrive-"},
		{home, "OneDrive"},
	} {
		tried = append(tried, filepath.Join(pattern.dir, pattern.prefix)+"*")
		entries, err := os.ReadDir(pattern.dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look for the OneDrive folder: %w", err)
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasPrefix(name, pattern.prefix) || strings.HasPrefix(name, "OneDrive-SharedLibraries") || archived.MatchString(name) {
				continue
			}
			path := filepath.Join(pattern.dir, name)
			fi, err := os.Stat(path)
			if err != nil || !fi.IsDir() || slices.ContainsFunc(seen, func(o fs.FileInfo) bool { return os.SameFile(o, fi) }) {
				continue
			}
			seen = append(seen, fi)
			found = append(found, path)
		}
	}
	return found, tried, nil
}
