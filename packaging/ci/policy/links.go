package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// link is what a document leads to, or shows.
type link struct {
	line   int
	target string
	image  bool
	alt    string // of an image
}

var (
	definition = regexp.MustCompile(`^ {0,3}\[([^\]]+)\]:\s*<?([^>\s]+)>?`)
	linkHTML   = regexp.MustCompile(`(?i)<(a|img|source|link)\s[^>]*?\b(?:href|src|srcset)="([^"]*)"[^>]*>`)
	altHTML    = regexp.MustCompile(`(?i)\balt="([^"]*)"`)
	autolink   = regexp.MustCompile(`<([a-z][a-z0-9+.-]*:[^>\s]+)>`)
)

// links finds all links of a document: inline, by reference, between angle brackets and in HTML. A reference without a
// definition has no target.
func (d *Document) links() (out []link) {
	defined := make(map[string]string)
	for _, line := range d.prose {
		if m := definition.FindStringSubmatch(line); m != nil {
			defined[strings.ToLower(m[1])] = m[2]
		}
	}
	out = inline(strings.Join(d.prose, "\n"), defined)
	for i, line := range d.prose {
		for _, m := range linkHTML.FindAllStringSubmatch(line, -1) {
			l := link{line: i + 1, target: m[2], image: !strings.EqualFold(m[1], "a")}
			if alt := altHTML.FindStringSubmatch(m[0]); alt != nil {
				l.alt = alt[1]
			} else if strings.EqualFold(m[1], "source") {
				l.alt = "the img has it"
			}
			out = append(out, l)
		}
		for _, m := range autolink.FindAllStringSubmatch(line, -1) {
			out = append(out, link{line: i + 1, target: m[1]})
		}
	}
	return out
}

// inline finds [text](target), ![text](target), [text][reference] and [reference].
func inline(text string, defined map[string]string) (out []link) {
	var open []int
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], "\n\n"):
			open = nil // no link goes beyond its paragraph
		case text[i] == '[':
			open = append(open, i)
		case text[i] == ']' && len(open) > 0:
			from := open[len(open)-1]
			open = open[:len(open)-1]
			inner, after := text[from+1:i], text[i+1:]
			l := link{line: 1 + strings.Count(text[:i], "\n"), image: from > 0 && text[from-1] == '!', alt: inner}
			reference, bracketed := inner, false
			if end := strings.Index(after, "]"); strings.HasPrefix(after, "[") && end > 0 {
				bracketed = true
				if end > 1 {
					reference = after[1:end]
				}
				i += end + 1
			}
			l.target = defined[strings.ToLower(reference)]
			switch {
			case strings.HasPrefix(after, "("):
				l.target = destination(after[1:])
				out = append(out, l)
			case strings.HasPrefix(after, ":") && (from == 0 || text[from-1] == '\n' || text[from-1] == ' '):
				// a definition
			case bracketed, l.target != "":
				out = append(out, l)
			}
		}
	}
	return out
}

// destination reads a target up to its closing bracket or a title.
func destination(s string) string {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "<") {
		target, _, _ := strings.Cut(s[1:], ">")
		return target
	}
	depth := 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return s[:i]
			}
			depth--
		case ' ':
			return s[:i]
		}
	}
	return s
}

// CheckLinks holds the documents of a module to these rules: a relative link leads to something in the module, with an
// anchor that is there; another one is well-formed (nothing is asked of the network); an image says in words what it
// shows; every document below docs is reached from README.md, and every picture there is shown. documents are patterns
// (path.Match).
func CheckLinks(module fs.FS, documents ...string) (violations []string, err error) {
	c := &linkChecker{module: module, documents: make(map[string]*Document), led: make(map[string][]string), used: make(map[string]bool)}
	for _, pattern := range documents {
		names, err := fs.Glob(module, pattern)
		if err != nil || len(names) == 0 {
			return nil, fmt.Errorf("find documents: %s: nothing, %w", pattern, err)
		}
		for _, name := range names {
			if _, err := c.document(name); err != nil {
				return nil, err
			}
		}
	}
	var names []string
	for name := range c.documents {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c.check(name)
	}
	return append(c.violations, c.unreached(names)...), nil
}

type linkChecker struct {
	module     fs.FS
	documents  map[string]*Document
	led        map[string][]string // from a document to what in the module
	used       map[string]bool
	violations []string
}

func (c *linkChecker) document(name string) (*Document, error) {
	if d := c.documents[name]; d != nil {
		return d, nil
	}
	text, err := fs.ReadFile(c.module, name)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	c.documents[name] = ParseDocument(string(text))
	return c.documents[name], nil
}

func (c *linkChecker) check(name string) {
	for _, l := range c.documents[name].links() {
		if l.image && strings.TrimSpace(l.alt) == "" {
			c.violations = append(c.violations, fmt.Sprintf("%s:%d: the image %s has no words for those who do not see it", name, l.line, l.target))
		}
		if err := c.follow(name, l.target); err != nil {
			c.violations = append(c.violations, fmt.Sprintf("%s:%d: the link to %q: %v", name, l.line, l.target, err))
		}
	}
}

// follow returns why a target of a document leads nowhere.
func (c *linkChecker) follow(from, target string) error {
	u, err := url.Parse(target)
	switch {
	case target == "":
		return errors.New("it has no target")
	case err != nil:
		return err
	case u.Scheme == "http" || u.Scheme == "https":
		if u.Hostname() == "" || !strings.Contains(u.Hostname(), ".") {
			return errors.New("it names no host")
		}
		return nil
	case u.Scheme == "mailto":
		return nil
	case u.Scheme != "":
		return errors.New("neither the web nor mail")
	case u.Host != "" || strings.HasPrefix(u.Path, "/"):
		return errors.New("a path within the module is relative")
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	info, err := fs.Stat(c.module, to)
	if err != nil {
		return errors.New("there is no such file")
	}
	c.led[from], c.used[to] = append(c.led[from], to), true
	if u.Fragment == "" {
		return nil
	}
	if info.IsDir() || path.Ext(to) != ".md" {
		return errors.New("only a document has anchors")
	}
	d := c.documents[to]
	if d == nil {
		text, err := fs.ReadFile(c.module, to)
		if err != nil {
			return err
		}
		d = ParseDocument(string(text))
	}
	if !d.anchors[u.Fragment] {
		return fmt.Errorf("%s has no heading for it", to)
	}
	return nil
}

// unreached are the documents and pictures below docs that no link leads to, from README.md on.
func (c *linkChecker) unreached(names []string) (violations []string) {
	seen := map[string]bool{"README.md": true}
	for next := []string{"README.md"}; len(next) > 0; {
		name := next[0]
		next = next[1:]
		for _, to := range c.led[name] {
			if !seen[to] {
				seen[to] = true
				next = append(next, to)
			}
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "docs/") && !seen[name] {
			violations = append(violations, name+": no link leads here from README.md")
		}
	}
	pictures, err := fs.Glob(c.module, "docs/images/*")
	if err != nil {
		panic(err) // the pattern is well-formed
	}
	for _, name := range pictures {
		if !c.used[name] {
			violations = append(violations, name+": no document shows it")
		}
	}
	return violations
}
