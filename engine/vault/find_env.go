package vault

import (
	"regexp"
	"strings"
)

// envLine is an assignment in an environment file; one that is commented out counts.
var envLine = regexp.MustCompile(`(?m)^[ \t]*(?:#[ \t#]*)?(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:=|:[ \t])[ \t]*`)

// env finds what an environment file assigns, as the usual readers of such files do.
func (f *finder) env() {
	end := 0
	for _, m := range envLine.FindAllStringSubmatchIndex(f.text, -1) {
		if m[0] < end {
			continue // within a value of several lines
		}
		value, first, last := lineValue(f.text, m[1], "#")
		if strings.Contains(value, "\n") || f.text[m[1]-1] != '#' {
			end = last
		}
		f.assigned([]string{f.text[m[2]:m[3]]}, value, first, last, "")
	}
	for _, m := range fallback.FindAllStringSubmatchIndex(f.text, -1) {
		f.assigned([]string{f.text[m[2]:m[3]]}, f.text[m[4]:m[5]], m[4], m[5], "")
	}
}

// lineValue reads the value at a place: in quotes, then of one or more lines, or bare up to the end of the line or to a
// comment, which one of the marks begins after a blank.
func lineValue(text string, at int, marks string) (value string, start, end int) {
	if at < len(text) && strings.IndexByte("\"'`", text[at]) >= 0 {
		quote := text[at]
		last, _ := quoted(text, at+1, quote, quote == '`', false, 0)
		inner := text[at+1 : last]
		if quote == '"' {
			inner = unescape(inner, false)
		}
		return inner, at + 1, last
	}
	end = at
	for end < len(text) && text[end] != '\n' {
		if strings.IndexByte(marks, text[end]) >= 0 && (end == at || text[end-1] == ' ' || text[end-1] == '\t') {
			break
		}
		end++
	}
	value = strings.TrimRight(text[at:end], " \t\r")
	return value, at, at + len(value)
}

// gitLine is a key of a git configuration.
var gitLine = regexp.MustCompile(`^[ \t]*(?:[#;][ \t]*)?([A-Za-z][A-Za-z0-9-]*)[ \t]*=[ \t]*`)

// gitSection is a section, with what it is about.
var gitSection = regexp.MustCompile(`^[ \t]*\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?\]`)

// gitConfig finds tokens in the addresses of remotes, and keys that are called like secrets.
func (f *finder) gitConfig() {
	var section []string
	at := 0
	for line := range strings.Lines(f.text) {
		start := at
		at += len(line)
		if m := gitSection.FindStringSubmatchIndex(line); m != nil {
			section = []string{line[m[2]:m[3]]}
			if m[4] >= 0 {
				about := line[m[4]:m[5]]
				if f.assigned([]string{section[0]}, about, start+m[4], start+m[5], "") {
					about = ""
				}
				section = append(section, about)
			}
			continue
		}
		m := gitLine.FindStringSubmatchIndex(line)
		if m == nil {
			continue
		}
		value, first, last := lineValue(line, m[1], "#;")
		names := append(append([]string(nil), section...), line[m[2]:m[3]])
		if !f.assigned(names, value, start+first, start+last, "") {
			f.shell(start+first, start+last) // an alias of git is a command
		}
	}
	for _, m := range header.FindAllStringSubmatchIndex(f.text, -1) {
		f.assigned([]string{f.text[m[2]:m[3]]}, f.text[m[4]:m[5]], m[4], m[5], "")
	}
}

// addresses adds the passwords of addresses that are no value of a name.
func (f *finder) addresses(from, to int) {
	for _, p := range urlParts(f.text[from:to]) {
		start, end := from+p[0], from+p[1]
		f.hits = append(f.hits, hit{name: "url-password", value: f.text[start:end], start: start, end: end})
	}
}
