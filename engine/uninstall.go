package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
)

// Leftovers is what an installation consists of besides its schedule and its password, and what stays.
type Leftovers struct {
	// StateDir is removed whole; empty: there is none.
	StateDir string
	// Repository is where the backups are; empty: not known.
	Repository string
	// Backups is how many there are that can be restored from there, OnlyHere are those that are not there yet and would
	// be lost.
	Backups  int
	OnlyHere []string
}

// Leftovers looks at what would be removed and what would stay.
func (e *Engine) Leftovers() (*Leftovers, error) {
	out := new(Leftovers)
	if fi, err := os.Stat(e.state.Path); err == nil && fi.IsDir() {
		out.StateDir = e.state.Path
	}
	folder, err := e.findOneDrive()
	if err == nil {
		out.Repository = filepath.Join(folder.Path, repository.DirName)
	}
	l, err := e.List()
	if errors.Is(err, repository.ErrNotRepository) || CodeOf(err) == CodeNoOneDrive && err != nil {
		return out, e.mirrorOnly(out)
	}
	if err != nil {
		return nil, err
	}
	for _, b := range l.Backups {
		switch b.State {
		case StateComplete:
			out.Backups++
		case StateLocalOnly:
			out.OnlyHere = append(out.OnlyHere, b.BackupID)
		}
	}
	return out, nil
}

// mirrorOnly counts what the mirror holds where there is no repository to compare it with.
func (e *Engine) mirrorOnly(out *Leftovers) error {
	l, err := e.mirror().List()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explain("look at the local mirror", e.state.Path, err)
	}
	out.OnlyHere = l.IDs()
	return nil
}

// RemoveState removes all that the program has put into the state directory, and the folder, if nothing else is in it:
// somebody may have named one that has other things in it, his home at worst. kept are those. The backups in OneDrive
// stay. A run that is active is an error, CodeBusy.
func (e *Engine) RemoveState() (kept []string, err error) {
	const op = "remove the state directory"
	dir := e.state.Path
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := e.state.Lock()
	if errors.Is(err, fsx.ErrLocked) {
		return nil, &Error{Op: op, Code: CodeBusy, Err: e.whoIsActive(err)}
	}
	if err != nil {
		return nil, explain(op, dir, err)
	}
	defer lock.Unlock()
	owned, kept, err := e.state.Contents()
	for _, name := range owned {
		err = errors.Join(err, e.removeTree(filepath.Join(dir, name)))
	}
	if err == nil && len(kept) == 0 {
		err = e.fs.Remove(dir)
	}
	return kept, explain(op, dir, err)
}
