package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"maia-dr/engine/component"
	"maia-dr/engine/relocate"
	"maia-dr/engine/repository"
)

// RelocatedFile is a file in which paths are changed.
type RelocatedFile struct {
	Component string `json:"component"`
	// Path is where it goes.
	Path string `json:"path"`
	// Sealed: it comes from the vault. Then its changes are the mapped paths alone, and not the lines or strings around
	// them, which may hold secrets.
	Sealed  bool              `json:"sealed,omitempty"`
	Changes []relocate.Change `json:"changes,omitempty"`
	// Unchanged says why the file is restored as it was although its paths may be wrong here.
	Unchanged string `json:"unchanged,omitempty"`
}

// relocate changes the old machine's paths in the files that go to the home. Their bytes are those of the backup until
// here: they are hashed before.
func (r *restore) relocate() error {
	if r.home == nil {
		return nil
	}
	from := originOf(r.m)
	m, ambiguous := relocate.NewMap(relocate.Options{
		Maps: r.opt.Maps, Root: string(r.m.MaiaRoot), NewRoot: r.target.root, OldRoots: from.OldRoots,
		Home: from.Home, NewHome: r.home.root, Prefix: from.Prefix, NewPrefix: homebrewPrefix(runtime.GOARCH),
		Pythons: ownPythons(from.Pythons, r.target.root),
	})
	for _, root := range ambiguous {
		r.plan.Ambiguous = append(r.plan.Ambiguous, root+": agents work there, and nothing says where it is now; add --map "+root+"=NEW")
	}
	personal := map[*repository.File]*placement{}
	var order []*placement
	for _, p := range r.places {
		if p.area == r.home && p.file.HasContent() {
			order = append(order, p)
			if p.body == nil {
				personal[p.file] = p
			}
		}
	}
	if err := r.fetchSmall(personal); err != nil {
		return err
	}
	slices.SortFunc(order, func(a, b *placement) int {
		return cmp.Or(strings.Compare(a.file.Component, b.file.Component), strings.Compare(a.rel, b.rel))
	})
	for _, p := range order {
		if p.body != nil {
			r.relocateOne(m, p)
		}
	}
	r.plan.Activates = r.activates() == "" && slices.ContainsFunc(order, func(p *placement) bool { return p.file.Component == component.LaunchAgents })
	return nil
}

// homebrewPrefix is where Homebrew lies on a Mac of this kind.
func homebrewPrefix(goarch string) string {
	if goarch == "arm64" {
		return "/opt/homebrew"
	}
	return "/usr/local"
}

func (r *restore) relocateOne(m *relocate.Map, p *placement) {
	file := RelocatedFile{Component: p.file.Component, Path: p.dest, Sealed: r.sealed[place(p.file.Component, string(p.file.Path))] != nil}
	var out []byte
	var left []relocate.Leftover
	if p.file.Component == component.LaunchAgents {
		var err error
		if out, file.Changes, err = m.Plist(p.body); err != nil {
			// The text of the error may hold a piece of the list.
			file.Unchanged, p.asItWas = relocate.ErrPlist.Error(), true
		}
		left = m.PlistLeftovers(out)
	} else {
		out, file.Changes = m.Text(p.body)
		left = m.TextLeftovers(out)
	}
	if file.Sealed {
		file.Changes = onlyPairs(file.Changes)
	}
	if len(file.Changes) > 0 || file.Unchanged != "" {
		r.plan.Relocated = append(r.plan.Relocated, file)
	}
	for _, l := range left {
		where := p.dest
		if l.Line > 0 {
			where = fmt.Sprintf("%s:%d", where, l.Line)
		}
		what, text := "it still names "+m.User(), l.Text
		if l.Key {
			what = "a key, which is not changed, is a path of the old machine"
		}
		if file.Sealed {
			text = "(not shown: the file holds secrets)"
		}
		r.plan.Ambiguous = append(r.plan.Ambiguous, fmt.Sprintf("%s: %s: %s", where, what, text))
	}
	if len(file.Changes) == 0 {
		return
	}
	p.rewritten = bytes.HasPrefix(p.body, []byte("bplist"))
	changed := *p.file
	sum := repository.SumHash(out)
	changed.SizeBytes, changed.SHA256 = int64(len(out)), &sum
	r.plan.Bytes += changed.SizeBytes - p.file.SizeBytes
	p.file, p.body = &changed, out
}

// onlyPairs replaces whole lines by the paths that are mapped in them.
func onlyPairs(changes []relocate.Change) []relocate.Change {
	var out []relocate.Change
	for _, c := range changes {
		for _, pair := range c.Pairs {
			out = append(out, relocate.Change{Line: c.Line, Old: pair[0], New: pair[1]})
		}
	}
	return out
}
