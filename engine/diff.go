package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// Diff is what differs between two backups, the earlier one first. Of what is in a vault only names are compared: its
// sizes and hashes stand nowhere outside, and nothing here lets anybody work them out.
type Diff struct {
	Version int `json:"version"`
	// A and B are the backups; a file is added that is in B alone.
	A string `json:"a"`
	B string `json:"b"`
	// Components have an entry for each component of which something differs, in their usual order.
	Components []DiffComponent `json:"components"`
	// Files are those that differ, by component and path.
	Files []DiffFile `json:"files"`
	// Touched is how many are the same but for their time.
	Touched int `json:"touched"`
	// Sealed is how many secret-bearing files are in both: whether their secrets differ is not known.
	Sealed int `json:"sealed_not_compared"`
}

// DiffComponent counts what differs in one component. Bytes are those of all its files but
// those that bear secrets on either side.
type DiffComponent struct {
	Name        string `json:"name"`
	Added       int    `json:"added"`
	Changed     int    `json:"changed"`
	Removed     int    `json:"removed"`
	BeforeBytes int64  `json:"before_bytes"`
	AfterBytes  int64  `json:"after_bytes"`
}

// What became of a file.
const (
	DiffAdded   = "added"
	DiffChanged = "changed"
	DiffRemoved = "removed"
)

// DiffFile is a file, folder or link that differs.
type DiffFile struct {
	Component string          `json:"component"`
	Path      repository.Name `json:"path"`
	// Type is that of the later one; DiffSecret for what is in a vault on either side.
	Type   string `json:"type"`
	Change string `json:"change"`
	// InVault: it bears secrets, and a vault has it on either side.
	InVault bool `json:"in_vault,omitempty"`
	// What says how a changed one differs: content, mode, type, target, or vault: it moved into the vault or out of it.
	What []string `json:"what,omitempty"`
	// BeforeBytes and AfterBytes are sizes of contents; nil where there is none, and of everything in a vault.
	BeforeBytes *int64 `json:"before_bytes,omitempty"`
	AfterBytes  *int64 `json:"after_bytes,omitempty"`
}

// DiffSecret is the type of a file that bears secrets.
const DiffSecret = "secret"

// Diff compares two backups by their file lists. Names are as in Show; an empty b is the newest complete backup, an empty
// a the one before b. It reads no chunk.
func (e *Engine) Diff(a, b string) (*Diff, error) {
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	after, _, _, err := v.resolve(b)
	if err != nil {
		return nil, err
	}
	before, err := v.resolveBefore(a, after)
	if err != nil {
		return nil, err
	}
	if before.BackupID > after.BackupID {
		before, after = after, before
	}
	return v.diff(before, after)
}

// resolveBefore is resolve, with the newest readable backup older than m for an empty name.
func (v *view) resolveBefore(name string, m *repository.Manifest) (*repository.Manifest, error) {
	if name != "" {
		before, _, _, err := v.resolve(name)
		return before, err
	}
	for _, id := range v.ids() {
		if id >= m.BackupID {
			continue
		}
		if before, _, err := v.manifest(id); err == nil {
			return before, nil
		}
	}
	return nil, &Error{Op: "choose a backup", Path: m.BackupID, Code: CodeUnknownBackup, Err: errors.New("there is none before it to compare it with"),
		Hint: "make another with `maia-dr backup`, or name two from `maia-dr list`"}
}

func (v *view) diff(before, after *repository.Manifest) (*Diff, error) {
	old, err := v.contents(before)
	if err != nil {
		return nil, err
	}
	now, err := v.contents(after)
	if err != nil {
		return nil, err
	}
	d := &Diff{Version: 1, A: before.BackupID, B: after.BackupID, Files: []DiffFile{}}
	count := map[string]*DiffComponent{}
	at := func(name string) *DiffComponent {
		if count[name] == nil {
			count[name] = &DiffComponent{Name: name}
		}
		return count[name]
	}
	for key, o := range old {
		n := now[key]
		if n == nil || !n.secret {
			at(o.component).BeforeBytes += o.bytes()
		}
		switch {
		case n == nil:
			d.Files = append(d.Files, o.gone())
			at(o.component).Removed++
		case o.secret && n.secret && o.sealed == n.sealed:
			d.Sealed++
		default:
			what, touched := o.compare(n)
			if touched {
				d.Touched++
			}
			if len(what) > 0 {
				d.Files = append(d.Files, changed(o, n, what))
				at(o.component).Changed++
			}
		}
	}
	for key, n := range now {
		if o := old[key]; o == nil || !o.secret {
			at(n.component).AfterBytes += n.bytes()
		}
		if old[key] == nil {
			d.Files = append(d.Files, n.arrived())
			at(n.component).Added++
		}
	}
	d.sort(count)
	return d, nil
}

func (d *Diff) sort(count map[string]*DiffComponent) {
	d.Components = []DiffComponent{}
	for _, c := range count {
		if c.Added+c.Changed+c.Removed > 0 {
			d.Components = append(d.Components, *c)
		}
	}
	slices.SortFunc(d.Components, func(x, y DiffComponent) int {
		return cmp.Or(component.Order(x.Name)-component.Order(y.Name), strings.Compare(x.Name, y.Name))
	})
	slices.SortFunc(d.Files, func(x, y DiffFile) int {
		return cmp.Or(component.Order(x.Component)-component.Order(y.Component), strings.Compare(x.Component, y.Component), strings.Compare(string(x.Path), string(y.Path)))
	})
}

// held is something that a backup holds: a line of the file list, or what is known of a secret-bearing file.
type held struct {
	component string
	path      repository.Name
	// secret: it bears secrets, in the vault or left out. file may then be its redacted copy, whose size and hash would
	// tell how long a secret is to whoever knows the rest: they are not looked at.
	secret, sealed bool
	file           *repository.File // nil: a secret-bearing file without a redacted copy
}

// contents returns everything a backup holds, by place.
func (v *view) contents(m *repository.Manifest) (map[string]*held, error) {
	files, err := v.files(m)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*held, len(files))
	for i := range files {
		f := &files[i]
		out[place(f.Component, string(f.Path))] = &held{component: f.Component, path: f.Path, file: f}
	}
	for _, s := range m.Coverage.Secrets {
		key := place(s.Component, string(s.Path))
		if !s.Captured && out[key] == nil {
			continue // it is in no part of the backup
		}
		if out[key] == nil {
			out[key] = &held{component: s.Component, path: s.Path}
		}
		out[key].secret, out[key].sealed = true, s.Captured
	}
	return out, nil
}

func (h *held) bytes() int64 {
	if h.secret {
		return 0
	}
	return h.file.SizeBytes
}

// size is what may be told of its size.
func (h *held) size() *int64 {
	if h.secret || !h.file.HasContent() {
		return nil
	}
	return &h.file.SizeBytes
}

func (h *held) kind() string {
	if h.secret {
		return DiffSecret
	}
	return h.file.Type
}

func (h *held) arrived() DiffFile {
	return DiffFile{Component: h.component, Path: h.path, Type: h.kind(), Change: DiffAdded, InVault: h.sealed, AfterBytes: h.size()}
}

func (h *held) gone() DiffFile {
	return DiffFile{Component: h.component, Path: h.path, Type: h.kind(), Change: DiffRemoved, InVault: h.sealed, BeforeBytes: h.size()}
}

func changed(before, after *held, what []string) DiffFile {
	f := DiffFile{Component: after.component, Path: after.path, Type: after.kind(), Change: DiffChanged, What: what}
	if after.secret || before.secret {
		// Its size on one side would be that on the other.
		f.Type, f.InVault = DiffSecret, before.sealed || after.sealed
		return f
	}
	f.BeforeBytes, f.AfterBytes = before.size(), after.size()
	return f
}

// compare says in what two differ that do not both lie in a vault; touched: in their time alone.
func (h *held) compare(d *held) (what []string, touched bool) {
	if h.secret != d.secret || h.sealed != d.sealed {
		return []string{"vault"}, false
	}
	a, b := h.file, d.file
	if kindOf(a) != kindOf(b) {
		return []string{"type"}, false
	}
	if a.HasContent() && *a.SHA256 != *b.SHA256 {
		what = append(what, "content")
	}
	if a.Link != b.Link {
		what = append(what, "target")
	}
	if a.Mode != b.Mode && a.Type != repository.TypeSymlink {
		what = append(what, "mode")
	}
	// Large databases have whole seconds: one may have become large.
	return what, len(what) == 0 && a.Type != repository.TypeDir && a.ModTimeNS/1e9 != b.ModTimeNS/1e9
}

// kindOf tells files, folders and links apart: whether a file is a large database depends on its size.
func kindOf(f *repository.File) string {
	if f.HasContent() {
		return repository.TypeFile
	}
	return f.Type
}

// Keep leaves only what belongs to the named components. Sealed and Touched stay those of all.
func (d *Diff) Keep(names []string) error {
	for _, name := range names {
		if component.Order(name) < 0 {
			return fmt.Errorf("%q is no component: there are %s", name, strings.Join(component.Names(), ", "))
		}
	}
	d.Components = slices.DeleteFunc(d.Components, func(c DiffComponent) bool { return !slices.Contains(names, c.Name) })
	d.Files = slices.DeleteFunc(d.Files, func(f DiffFile) bool { return !slices.Contains(names, f.Component) })
	return nil
}
