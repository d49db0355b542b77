package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// stockPath is where the tools of a fresh machine are.
const stockPath = "/usr/local/sbin:/usr/local/bin:/usr/bin:/bin"

// tool is a program that backs up, with one repository of its own. Its methods are called one at a time. A command
// that is not timed (to make a repository) is run inside them.
type tool interface {
	// name is what the table calls it, about one line for the notes.
	name() string
	about() string
	// history tells whether it keeps earlier backups.
	history() bool
	// repository is the folder that would be uploaded.
	repository() string
	// fresh makes an empty repository in the place of the one there is.
	fresh(ctx context.Context) error
	// backup makes the backup of a day; 0 is that of the first, and of those without a change.
	backup(ctx context.Context, day int) (run, error)
	// restore restores the newest backup into an empty folder.
	restore(ctx context.Context, to string) (run, error)
	// verify reads everything stored and compares it with its hashes.
	verify(ctx context.Context) (run, error)
}

// place is what all tools work with.
type place struct {
	work string // everything lies below
	home string // the sample's home
	root string // what is backed up
	// excluded are paths below root, as of fixture.Fixture.
	excluded []string
}

// area is the folder of one tool.
func (p place) area(name string) string { return filepath.Join(p.work, "tools", name) }

// env is a small environment: a home below the work folder, stock tools, and what is given, NAME=VALUE.
func (p place) env(more ...string) []string {
	return append([]string{"HOME=" + filepath.Join(p.work, "home"), "PATH=" + stockPath, "LC_ALL=C.UTF-8", "TMPDIR=" + filepath.Join(p.work, "tmp")}, more...)
}

// isFolder tells whether an entry of Excluded is a folder with all below it, and returns its path without the slash.
func isFolder(excluded string) (path string, folder bool) { return strings.CutSuffix(excluded, "/") }

// found is a tool, or why it is left out.
type found struct {
	tool    tool
	leftOut string
}

// peers looks for the peers that are installed; cache is where restic is put.
func peers(ctx context.Context, p place, cache string) []found {
	var all []found
	if r, err := newRestic(ctx, p, cache); err != nil {
		all = append(all, found{leftOut: "restic: " + err.Error()})
	} else {
		all = append(all, found{tool: r})
	}
	for _, kind := range borgKinds {
		if b, err := newBorg(ctx, p, kind); err != nil {
			all = append(all, found{leftOut: kind.name + ": " + err.Error()})
		} else {
			all = append(all, found{tool: b})
		}
	}
	if t, err := newPlan(ctx, p); err != nil {
		all = append(all, found{leftOut: "the plan: " + err.Error()})
	} else {
		all = append(all, found{tool: t})
	}
	if t, err := newRclone(ctx, p); err != nil {
		all = append(all, found{leftOut: "rclone: " + err.Error()})
	} else {
		all = append(all, found{tool: t})
	}
	return all
}

// stock finds a program among the stock tools.
func stock(name string) (string, error) {
	for dir := range strings.SplitSeq(stockPath, ":") {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// firstLine runs a program to learn its version.
func firstLine(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line, nil
}

// backUp measures one backup of root and what it added.
func backUp(ctx context.Context, t tool, day int, root string) (run, error) {
	before, err := list(t.repository())
	if err != nil {
		return run{}, err
	}
	flush()
	warm(root)
	r, err := t.backup(ctx, day)
	if err != nil {
		return run{}, err
	}
	after, err := list(t.repository())
	if err != nil {
		return run{}, err
	}
	r.AddedFiles, r.AddedBytes = after.since(before)
	r.StoredBytes = after.bytes()
	return r, nil
}

// warm reads all files that can be read, so that every tool finds them in the system's memory: borg and rclone take them out of it.
func warm(root string) {
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // the tool will tell
		}
		if f, err := os.Open(path); err == nil {
			_, _ = io.Copy(io.Discard, f)
			f.Close()
		}
		return nil
	})
}

// digest is the SHA-256 of a file.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	return string(h.Sum(nil)), nil
}
