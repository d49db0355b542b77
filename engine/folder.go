package engine

import (
	"errors"
	"fmt"
	"strings"

	"maia-dr/engine/fsx"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
)

// findOneDrive returns the OneDrive folder.
func (e *Engine) findOneDrive() (onedrive.Folder, error) {
	o := onedrive.Options{
		Flag: e.opt.OneDrivePath, Environment: e.env.Getenv("MAIA_ONEDRIVE_PATH"), Config: e.opt.Config.OneDrivePath,
		Home: e.env.Home,
		Holds: func(folder string) bool {
			// Without reading it: it may have to be downloaded.
			return exists(e.target(onedrive.Folder{Path: folder}).Path(repository.RepositoryName))
		},
	}
	if id, err := e.state.PeekIdentity(); err == nil && id != nil {
		o.Remembered = id.OneDrivePath
	}
	f, err := onedrive.Find(o)
	if err == nil {
		return f, nil
	}
	out := &Error{Op: "find the OneDrive folder", Code: CodeNoOneDrive, Err: err}
	if errors.Is(err, onedrive.ErrSeveral) {
		out.Hint = "say which one with --onedrive-path DIR; it is remembered"
	} else if moved := e.movedTo(o.Remembered); moved != "" {
		out.Hint = moved
	}
	return f, out
}

// repositoryGone is the error about a repository that this state directory knows and that is not where it was: the folder
// vanished from it, or a look-alike stands in its place.
func (e *Engine) repositoryGone(folder onedrive.Folder, err error) *Error {
	return &Error{Op: "open the repository", Path: e.target(folder).Dir, Code: CodeRepositoryGone, Err: err, Hint: e.movedTo(folder.Path)}
}

// movedTo says where the repository of this state directory lies now, if another account's folder holds it; empty: in
// none.
func (e *Engine) movedTo(from string) string {
	id, err := e.state.PeekIdentity()
	if err != nil || id == nil || id.RepositoryID == "" {
		return ""
	}
	folders, err := onedrive.Candidates(e.env.Home)
	if err != nil {
		return ""
	}
	var in []string
	for _, f := range folders {
		target := e.target(onedrive.Folder{Path: f})
		(&fetcher{e: e, forbid: true}).attach(&target)
		if d, err := target.Descriptor(); f != from && err == nil && d.RepositoryID == id.RepositoryID {
			in = append(in, f)
		}
	}
	if len(in) == 0 {
		return ""
	}
	return fmt.Sprintf("the backups lie in %s: name that folder once with --onedrive-path DIR", strings.Join(in, " and "))
}

// repositoryMissing says that the repository this state directory knows is not in the folder; nil: it is, or none is known.
func (e *Engine) repositoryMissing(folder onedrive.Folder) error {
	id, err := e.state.PeekIdentity()
	if err != nil || id == nil || id.RepositoryID == "" {
		return nil //nolint:nilerr // a damaged identity is told by whoever needs it
	}
	target := e.target(folder)
	(&fetcher{e: e, forbid: true}).attach(&target)
	d, err := e.descriptor(target)
	switch {
	case errors.Is(err, repository.ErrNotRepository):
		return e.repositoryGone(folder, errors.New("repository.json, which was there before, is gone"))
	case err == nil && d.RepositoryID != id.RepositoryID:
		return e.repositoryGone(folder, errors.New("another repository stands in the place of the one that was there before"))
	}
	return nil
}

// descriptor reads a repository's descriptor without a download: that of a repository this state directory knows is known
// by its mirror too.
func (e *Engine) descriptor(target repository.Repo) (*repository.Descriptor, error) {
	if e.evicted(target.Path(repository.RepositoryName)) {
		id, err := e.state.PeekIdentity()
		if d, derr := e.mirror().Descriptor(); err == nil && id != nil && derr == nil && d.RepositoryID == id.RepositoryID {
			return d, nil
		}
	}
	return target.Descriptor()
}

// evicted reports whether a file's content lies in the cloud only, so that reading it would download it.
func (e *Engine) evicted(path string) bool {
	if e.opt.Evicted != nil {
		return e.opt.Evicted(path)
	}
	return fsx.Dataless(path)
}
