package component

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrNoRoot says that no Maia root was found where it is looked for.
var ErrNoRoot = errors.New("no Maia root found")

// FindRootOptions are the places in which the Maia root may be named, and those where it is looked for.
type FindRootOptions struct {
	// Flag and Config are what the command line and the configuration name; empty: nothing.
	Flag, Config string
	// Home and Cwd are absolute.
	Home, Cwd string
	Getenv    func(string) string
}

// FindRoot returns the Maia root, an absolute path. One that is named (flag, MAIA_ROOT, configuration, in this order)
// is taken if it is a directory, whatever is in it; one that does not exist is an error, since another would be a
// surprise. Otherwise it is looked for: the current directory or one above it, ~/git/maia, ~/maia, the first that is a
// Maia. If none is, the error is ErrNoRoot, and tried lists where was looked.
func FindRoot(o FindRootOptions) (root string, tried []string, err error) {
	env := ""
	if o.Getenv != nil {
		env = o.Getenv("MAIA_ROOT")
	}
	for _, named := range []struct{ who, path string }{
		{"--maia-root", o.Flag}, {"MAIA_ROOT", env}, {"maia_root in the configuration", o.Config},
	} {
		if named.path == "" {
			continue
		}
		root := o.absolute(named.path)
		if err := isDirectory(root); err != nil {
			return "", nil, fmt.Errorf("%s names %s: %w", named.who, root, err)
		}
		return root, nil, nil
	}
	for _, dir := range o.places() {
		if IsMaia(dir) {
			return dir, tried, nil
		}
		tried = append(tried, dir)
	}
	return "", tried, ErrNoRoot
}

// places are the directories to look at, each once.
func (o *FindRootOptions) places() (dirs []string) {
	seen := map[string]bool{}
	add := func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	if filepath.IsAbs(o.Cwd) {
		for dir := filepath.Clean(o.Cwd); ; dir = filepath.Dir(dir) {
			add(dir)
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if o.Home != "" {
		add(filepath.Join(o.Home, "git", "maia"))
		add(filepath.Join(o.Home, "maia"))
	}
	return dirs
}

// absolute expands "~" and what is relative to the current directory.
func (o *FindRootOptions) absolute(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && o.Home != "" && (rest == "" || rest[0] == '/') {
		return filepath.Join(o.Home, rest)
	}
	if !filepath.IsAbs(path) {
		return filepath.Join(o.Cwd, path)
	}
	return filepath.Clean(path)
}

func isDirectory(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		// Without the path, which the caller has said.
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			return pe.Err
		}
		return err
	}
	if !fi.IsDir() {
		return syscall.ENOTDIR
	}
	return nil
}

// IsMaia reports whether a directory is a Maia: it has CLAUDE.md and claude/.
func IsMaia(root string) bool {
	doc, err := os.Stat(filepath.Join(root, "CLAUDE.md"))
	if err != nil || !doc.Mode().IsRegular() {
		return false
	}
	dir, err := os.Stat(filepath.Join(root, "claude"))
	return err == nil && dir.IsDir()
}
