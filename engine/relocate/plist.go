package relocate

import (
	"errors"
	"fmt"
	"html"
	"strconv"
	"strings"

	"maia-dr/engine/vault"
)

// ErrPlist says that a property list cannot be changed: it is none, a string in it is more than text, or the result
// could not be read.
var ErrPlist = errors.New("its strings cannot be changed")

func diffLine(sign string, n int, text string) string {
	if n == 0 {
		return sign + " " + text
	}
	return sign + " " + strconv.Itoa(n) + " " + text
}

// xmlEscape is how text stands in a property list: Apple escapes no more.
var xmlEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func isBinary(b []byte) bool { return strings.HasPrefix(string(b[:min(len(b), 7)]), "bplist0") }

// Plist changes the paths in the strings of a property list. An XML list keeps all other bytes; a binary one in which
// something is changed becomes XML. On an error, ErrPlist, b itself is returned.
func (m *Map) Plist(b []byte) (out []byte, changes []Change, err error) {
	top, err := vault.ReadPlist(b)
	if err != nil {
		return b, nil, fmt.Errorf("%w: %v", ErrPlist, err)
	}
	if isBinary(b) {
		mapped := m.tree(top, &changes)
		if len(changes) == 0 {
			return b, nil, nil
		}
		out = appendXML(mapped)
	} else if out, changes, err = m.xml(b); err != nil || len(changes) == 0 {
		return b, nil, err
	}
	if _, err := vault.ReadPlist(out); err != nil {
		return b, nil, fmt.Errorf("%w: after the change: %v", ErrPlist, err)
	}
	return out, changes, nil
}

// tree returns a copy of a value with its strings changed.
func (m *Map) tree(v any, changes *[]Change) any {
	switch v := v.(type) {
	case string:
		hits := find(m.pairs, v)
		if len(hits) == 0 {
			return v
		}
		now := replace(v, 0, hits)
		*changes = append(*changes, Change{Old: v, New: now, Pairs: pairsOf(hits)})
		return now
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = m.tree(x, changes)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			out[k] = m.tree(v[k], changes)
		}
		return out
	}
	return v
}

// xml changes the strings of an XML list where they stand.
func (m *Map) xml(b []byte) (out []byte, changes []Change, err error) {
	text := string(b)
	spans, err := elementSpans(text, "string")
	if err != nil {
		return b, nil, err
	}
	escaped := make([]pair, len(m.pairs))
	plain := map[pair]pair{}
	for i, p := range m.pairs {
		escaped[i] = pair{xmlEscape.Replace(p.old), xmlEscape.Replace(p.new)}
		plain[escaped[i]] = p
	}
	done, line, counted := 0, 1, 0
	for _, s := range spans {
		old := text[s[0]:s[1]]
		hits := find(escaped, old)
		if len(hits) == 0 {
			continue
		}
		now := replace(old, 0, hits)
		out = append(append(out, text[done:s[0]]...), now...)
		done = s[1]
		line += strings.Count(text[counted:s[0]], "\n")
		counted = s[0]
		for i := range hits {
			hits[i].pair = plain[hits[i].pair]
		}
		changes = append(changes, Change{Line: line, Old: html.UnescapeString(old), New: html.UnescapeString(now), Pairs: pairsOf(hits)})
	}
	return append(out, text[done:]...), changes, nil
}

// PlistLeftovers returns what is left to a person in a property list: the strings that hold the old user name as a word,
// and the keys that hold an old path, which are not changed.
func (m *Map) PlistLeftovers(b []byte) (left []Leftover) {
	if isBinary(b) {
		if top, err := vault.ReadPlist(b); err == nil {
			m.treeLeftovers(top, &left)
		}
		return left
	}
	text := string(b)
	for _, name := range []string{"string", "key"} {
		// A list that cannot be changed is named as such.
		spans, _ := elementSpans(text, name)
		for _, s := range spans {
			v := html.UnescapeString(text[s[0]:s[1]])
			if key := name == "key"; key && len(find(m.pairs, v)) > 0 || !key && m.holdsUser(v) {
				left = append(left, Leftover{1 + strings.Count(text[:s[0]], "\n"), v, key})
			}
		}
	}
	return left
}

func (m *Map) treeLeftovers(v any, left *[]Leftover) {
	switch v := v.(type) {
	case string:
		if m.holdsUser(v) {
			*left = append(*left, Leftover{Text: v})
		}
	case []any:
		for _, x := range v {
			m.treeLeftovers(x, left)
		}
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if len(find(m.pairs, k)) > 0 {
				*left = append(*left, Leftover{Text: k, Key: true})
			}
			m.treeLeftovers(v[k], left)
		}
	}
}

// elementSpans returns where the contents of the elements of a name begin and end. They must be text.
func elementSpans(text, name string) (spans [][2]int, err error) {
	for i := 0; ; {
		j := strings.IndexByte(text[i:], '<')
		if j < 0 {
			return spans, nil
		}
		i += j
		end, err := markupEnd(text, i)
		if err != nil {
			return nil, err
		}
		tag := text[i:end]
		i = end
		if tagName(tag) != name || strings.HasSuffix(tag, "/>") {
			continue
		}
		j = strings.IndexByte(text[i:], '<')
		if j < 0 {
			return nil, fmt.Errorf("%w: a %s has no end", ErrPlist, name)
		}
		if end, err = markupEnd(text, i+j); err != nil {
			return nil, err
		}
		if tagName(text[i+j:end]) != "/"+name {
			return nil, fmt.Errorf("%w: a %s holds more than text", ErrPlist, name)
		}
		spans = append(spans, [2]int{i, i + j})
		i = end
	}
}

// tagName returns the name of a tag, with the slash of one that closes.
func tagName(tag string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(tag[1:], ">"), "/")
	if i := strings.IndexAny(name, " \t\r\n"); i >= 0 {
		name = name[:i]
	}
	return name
}

// markupEnd returns where the markup that begins at i ends: a tag, a comment, a CDATA section, an instruction or a
// declaration.
func markupEnd(text string, i int) (int, error) {
	for _, m := range [][2]string{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}} {
		if strings.HasPrefix(text[i:], m[0]) {
			from := i + len(m[0])
			j := strings.Index(text[from:], m[1])
			if j < 0 {
				return 0, fmt.Errorf("%w: markup without an end", ErrPlist)
			}
			return from + j + len(m[1]), nil
		}
	}
	depth, quote := 0, byte(0)
	for j := i; j < len(text); j++ {
		c := text[j]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '<' && j > i && strings.HasPrefix(text[j:], "<!--"):
			// A comment within a declaration may hold a single quote.
			k := strings.Index(text[j+4:], "-->")
			if k < 0 {
				return 0, fmt.Errorf("%w: markup without an end", ErrPlist)
			}
			j += 4 + k + 2
		case c == '<':
			depth++
		case c == '>':
			if depth--; depth == 0 {
				return j + 1, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: markup without an end", ErrPlist)
}
