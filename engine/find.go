package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"maia-dr/engine/repository"
)

// FindResult is the history of files over all backups.
type FindResult struct {
	Version int    `json:"version"`
	Glob    string `json:"glob"`
	// Backups are those that were searched, oldest first.
	Backups []string `json:"backups"`
	// Files are by path, then component.
	Files []FoundFile `json:"files"`
	// NotSearched are the backups whose file list could not be read, each with the reason.
	NotSearched []NotSearched `json:"not_searched,omitempty"`
}

// NotSearched is a backup that could not be searched.
type NotSearched struct {
	BackupID string `json:"backup_id"`
	Error    string `json:"error"`
}

// FoundFile is one place in the backups.
type FoundFile struct {
	Component string          `json:"component"`
	Path      repository.Name `json:"path"`
	// Last is the newest backup that has it; InLatest: that is the newest one that was searched.
	Last     string `json:"last"`
	InLatest bool   `json:"in_latest"`
	// Versions are runs of backups in which its content is the same, newest first.
	Versions []FoundVersion `json:"versions"`
}

// FoundVersion is a file as it was in a run of backups that follow each other.
type FoundVersion struct {
	// Type is that of the file list, or DiffSecret for what bears secrets: such a file's versions cannot be told apart.
	Type string `json:"type"`
	// SizeBytes is nil for what has no content, and for what bears secrets.
	SizeBytes *int64 `json:"size,omitempty"`
	// ModTimeNS is that of the run's first backup.
	ModTimeNS int64           `json:"mtime_ns,omitempty"`
	Link      repository.Name `json:"link,omitempty"`
	// First and Last are the backups that the run begins and ends with, Backups how many it has.
	First   string `json:"first"`
	Last    string `json:"last"`
	Backups int    `json:"backups"`

	hash repository.Hash
}

// Find looks for files in every backup. A glob without a slash is a name in any folder, one with a slash a path. It reads
// no chunk. An error is one of the repository; a backup that cannot be read is in NotSearched.
func (e *Engine) Find(glob string) (*FindResult, error) {
	glob = strings.TrimSuffix(glob, "/")
	if glob == "" || !doublestar.ValidatePattern(glob) {
		return nil, &Error{Op: "find", Code: CodeUsage, Err: fmt.Errorf("%q is not a valid pattern", glob)}
	}
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	ids := v.ids()
	if len(ids) == 0 {
		return nil, &Error{Op: "find", Code: CodeNoBackup, Err: errors.New("there is no backup yet")}
	}
	pattern := glob
	if !strings.Contains(glob, "/") {
		pattern = "**/" + glob
	}
	out := &FindResult{Version: 1, Glob: glob, Backups: []string{}, Files: []FoundFile{}}
	found := map[string]*FoundFile{}
	for _, id := range slices.Backward(ids) {
		if err := v.findIn(id, pattern, found, out.Backups); err != nil {
			out.NotSearched = append(out.NotSearched, NotSearched{BackupID: id, Error: err.Error()})
			continue
		}
		out.Backups = append(out.Backups, id)
	}
	out.collect(found)
	return out, nil
}

// findIn adds what matches in one backup; searched are the older ones.
func (v *view) findIn(id, pattern string, found map[string]*FoundFile, searched []string) error {
	m, _, err := v.manifest(id)
	if err != nil {
		return err
	}
	contents, err := v.contents(m)
	if err != nil {
		return err
	}
	before := ""
	if len(searched) > 0 {
		before = searched[len(searched)-1]
	}
	for key, c := range contents {
		if !doublestar.MatchUnvalidated(pattern, string(c.path)) {
			continue
		}
		f := found[key]
		if f == nil {
			f = &FoundFile{Component: c.component, Path: c.path}
			found[key] = f
		}
		f.add(id, before, c.version())
	}
	return nil
}

// add takes up a version: into the newest run, if it is the same and the run ends with the backup before.
func (f *FoundFile) add(id, before string, now FoundVersion) {
	f.Last = id
	if n := len(f.Versions); n > 0 {
		last := &f.Versions[n-1]
		if last.Last == before && last.hash == now.hash && last.Type == now.Type && last.Link == now.Link {
			last.Last = id
			last.Backups++
			return
		}
	}
	now.First, now.Last, now.Backups = id, id, 1
	f.Versions = append(f.Versions, now)
}

// version is what may be told of it.
func (h *held) version() FoundVersion {
	if h.secret {
		return FoundVersion{Type: DiffSecret}
	}
	v := FoundVersion{Type: kindOf(h.file), SizeBytes: h.size(), ModTimeNS: h.file.ModTimeNS, Link: h.file.Link}
	if h.file.HasContent() {
		v.hash = *h.file.SHA256
	}
	return v
}

func (r *FindResult) collect(found map[string]*FoundFile) {
	newest := ""
	if n := len(r.Backups); n > 0 {
		newest = r.Backups[n-1]
	}
	for _, f := range found {
		f.InLatest = f.Last == newest
		slices.Reverse(f.Versions)
		r.Files = append(r.Files, *f)
	}
	slices.SortFunc(r.Files, func(a, b FoundFile) int {
		return cmp.Or(strings.Compare(string(a.Path), string(b.Path)), strings.Compare(a.Component, b.Component))
	})
}
