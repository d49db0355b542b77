// Package relocate changes the paths of an old machine to those of a new one: in property lists, where every string is
// a text of its own, and in shell files, which are one text each. Both keep all other bytes. A pair is an old path and
// its new one; a change is a string or a line in which pairs were applied. docs/relocation.md is the specification,
// which restore_maia.sh follows, too. Everything here is pure and safe for concurrent use.
package relocate

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// Options are the places of both machines: absolute paths without a slash at the end. What is empty is not mapped.
type Options struct {
	// Maps are the user's own pairs. They come first.
	Maps [][2]string
	// Root is the Maia root of the backup, OldRoots are those that its agents name.
	Root, NewRoot string
	OldRoots      []string
	Home, NewHome string
	// Prefix is Homebrew's.
	Prefix, NewPrefix string
	// Pythons are interpreters that agents run and that get an environment of their own.
	Pythons [][2]string
}

// Map is an ordered list of pairs.
type Map struct {
	pairs []pair // the longest old side first
	// user is the old user name, where the new one is another; else empty.
	user string
}

type pair struct{ old, new string }

// brewFolders are the folders of a Homebrew prefix that are mapped. In /usr/local there is much else.
var brewFolders = []string{"bin", "sbin", "opt", "Cellar", "Caskroom"}

// NewMap makes the map. ambiguous are old roots for which there is no new place.
func NewMap(o Options) (m *Map, ambiguous []string) {
	var all []pair
	for _, p := range o.Maps {
		all = append(all, pair{p[0], p[1]})
	}
	all = append(all, pair{o.Root, o.NewRoot}, pair{o.Home, o.NewHome})
	if o.Prefix != "" && o.NewPrefix != "" && o.Prefix != o.NewPrefix {
		for _, x := range brewFolders {
			all = append(all, pair{o.Prefix + "/" + x, o.NewPrefix + "/" + x})
		}
	}
	all = slices.DeleteFunc(all, func(p pair) bool { return !isPath(p.old) || !isPath(p.new) })
	covered := func(dir string) bool {
		return slices.ContainsFunc(all, func(p pair) bool { return dir == p.old || strings.HasPrefix(dir, p.old+"/") })
	}
	// Sorted, a folder comes before what is in it.
	for _, dir := range slices.Sorted(slices.Values(o.OldRoots)) {
		switch {
		case !isPath(dir) || covered(dir):
		case o.Root != "" && isPath(o.NewRoot) && path.Base(dir) == path.Base(o.Root):
			all = append(all, pair{dir, o.NewRoot})
		default:
			ambiguous = append(ambiguous, dir)
		}
	}
	for _, p := range o.Pythons {
		if isPath(p[0]) && isPath(p[1]) {
			all = append(all, pair{p[0], p[1]})
		}
	}
	m = new(Map)
	for _, p := range all {
		if p.old != p.new && !slices.ContainsFunc(m.pairs, func(q pair) bool { return q.old == p.old }) {
			m.pairs = append(m.pairs, p)
		}
	}
	slices.SortStableFunc(m.pairs, func(a, b pair) int { return len(b.old) - len(a.old) })
	if isPath(o.Home) && isPath(o.NewHome) && path.Base(o.Home) != path.Base(o.NewHome) {
		m.user = path.Base(o.Home)
	}
	return m, slices.Compact(ambiguous)
}

func isPath(s string) bool { return len(s) > 1 && s[0] == '/' && s[len(s)-1] != '/' }

// Pairs returns the pairs that are applied, the longest old side first.
func (m *Map) Pairs() [][2]string {
	out := make([][2]string, len(m.pairs))
	for i, p := range m.pairs {
		out[i] = [2]string{p.old, p.new}
	}
	return out
}

// Change is a line of a shell file or a string of a property list that was changed.
type Change struct {
	// Line is its number in the file it came from, counted from 1; 0 in a binary property list, which has none.
	Line int `json:"line,omitempty"`
	// Old and New are the whole line or string, without escapes.
	Old string `json:"old"`
	New string `json:"new"`
	// Pairs are the pairs that were applied in it, each once: what may be shown of a file with secrets.
	Pairs [][2]string `json:"-"`
}

// Diff returns the changes as lines: "-" and the old line, "+" and the new one, with their number.
func Diff(changes []Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, diffLine("-", c.Line, c.Old), diffLine("+", c.Line, c.New))
	}
	return out
}

// hit is a place of a text at which a pair is applied.
type hit struct {
	at   int
	pair pair
}

// find returns the places of a text at which pairs are applied, in order.
func find(pairs []pair, text string) (hits []hit) {
	for i := 0; i < len(text); i++ {
		if text[i] != '/' || i > 0 && inName(text[i-1]) {
			continue
		}
		for _, p := range pairs {
			if end := i + len(p.old); strings.HasPrefix(text[i:], p.old) && (end == len(text) || !inName(text[end]) && text[end] < 0x80) {
				hits = append(hits, hit{i, p})
				i = end - 1
				break
			}
		}
	}
	return hits
}

// inName reports whether a byte before or after a path makes it a part of another one.
func inName(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// replace applies hits to the text that begins at base of the one they were found in.
func replace(text string, base int, hits []hit) string {
	var out strings.Builder
	done := 0
	for _, h := range hits {
		out.WriteString(text[done : h.at-base])
		out.WriteString(h.pair.new)
		done = h.at - base + len(h.pair.old)
	}
	out.WriteString(text[done:])
	return out.String()
}

func pairsOf(hits []hit) (out [][2]string) {
	for _, h := range hits {
		if p := [2]string{h.pair.old, h.pair.new}; !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// Text changes the paths in a shell file. What holds a NUL is no text and stays as it is, as does b.
func (m *Map) Text(b []byte) (out []byte, changes []Change) {
	text := string(b)
	if strings.IndexByte(text, 0) >= 0 {
		return b, nil
	}
	hits := find(m.pairs, text)
	if len(hits) == 0 {
		return b, nil
	}
	out = []byte(replace(text, 0, hits))
	line, counted := 1, 0
	for len(hits) > 0 {
		begin := strings.LastIndexByte(text[:hits[0].at], '\n') + 1
		// A path may hold a line feed: what is shown ends where no hit crosses it.
		n, end := 0, begin
		for n < len(hits) && (n == 0 || hits[n].at < end) {
			end = hits[n].at + len(hits[n].pair.old)
			if i := strings.IndexByte(text[end:], '\n'); i >= 0 {
				end += i
			} else {
				end = len(text)
			}
			n++
		}
		line += strings.Count(text[counted:begin], "\n")
		counted = begin
		changes = append(changes, Change{Line: line, Old: text[begin:end], New: replace(text[begin:end], begin, hits[:n]), Pairs: pairsOf(hits[:n])})
		hits = hits[n:]
	}
	return out, changes
}

// Leftover is a line or a string that still holds the old user name, or a key that holds an old path.
type Leftover struct {
	Line int // 0 in a binary property list
	Text string
	Key  bool
}

// User returns the old user name if the new one is another, else "".
func (m *Map) User() string { return m.user }

// TextLeftovers returns the lines of a shell file that hold the old user name as a word.
func (m *Map) TextLeftovers(b []byte) (left []Leftover) {
	if m.user == "" || bytes.IndexByte(b, 0) >= 0 {
		return nil
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		if line = strings.TrimSuffix(line, "\n"); m.holdsUser(line) {
			left = append(left, Leftover{Line: n, Text: line})
		}
	}
	return left
}

func (m *Map) holdsUser(text string) bool {
	for from := 0; m.user != ""; {
		i := strings.Index(text[from:], m.user)
		if i < 0 {
			return false
		}
		begin := from + i
		end := begin + len(m.user)
		if (begin == 0 || !inName(text[begin-1])) && (end == len(text) || !inName(text[end]) && text[end] < 0x80) {
			return true
		}
		from = begin + 1
	}
	return false
}
