package vault

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A shell's text is not parsed as a program but looked through for words that something is assigned to: those in
// comments, aliases and other quoted commands count, and so do those of shells with another syntax (csh, fish).

var (
	// assignment finds names that something is assigned to. What it finds is judged by accepts.
	assignment = compile("=", `([A-Za-z_][A-Za-z0-9_.-]*)(["']?[ \t]*)(\+?=)`)
	// setCommand is how csh and fish assign.
	setCommand = compile("set", `(?m)^[ \t#]*(?:set(?:[ \t]+-[A-Za-z-]+)*|setenv)[ \t]+([A-Za-z_][A-Za-z0-9_]*)[ \t]+([^ \t=\n])`)
	// option finds options of commands with an argument in the next word.
	option = compile("--", `(?:^|[\s"'(=])--([A-Za-z][A-Za-z0-9_-]*)[ \t]+([^-\s<>|&;])`)
	// header finds credentials of HTTP.
	header = compile(":", `(?i)\b(authorization|x-api-key|private-token|x-auth-token)["']?\s*:\s*["']?(?:(?:bearer|basic|token)\s+)?([A-Za-z0-9._~+/=$({-][^\s"']{5,})`)
	// hereDoc finds where a text begins that is no code.
	hereDoc = compile("<<", `<<-?[ \t]*\\?["']?([A-Za-z_][A-Za-z0-9_]*)["']?`)
)

// shell finds what is assigned in a part of the text.
func (f *finder) shell(from, to int) {
	text := f.text[:to]
	q := &quoting{text: text, at: from}
	lineStart, seen := from, from
	for _, m := range assignment.FindAllStringSubmatchIndex(text[from:], -1) {
		for i := range m {
			m[i] += from
		}
		if i := strings.LastIndexByte(text[seen:m[0]], '\n'); i >= 0 {
			lineStart = seen + i + 1
		}
		seen = m[0]
		if accepts(text, lineStart, m) {
			f.word(text[m[2]:m[3]], text, skipBlanks(text, m[1]), q.upTo(m[0]))
		}
	}
	for _, re := range []expression{setCommand, option} {
		q = &quoting{text: text, at: from}
		for _, m := range re.FindAllStringSubmatchIndex(text[from:], -1) {
			f.word(text[from+m[2]:from+m[3]], text, from+m[4], q.upTo(from+m[4]))
		}
	}
	for _, re := range []expression{fallback, header} {
		for _, m := range re.FindAllStringSubmatchIndex(text[from:], -1) {
			start, end := from+m[4], from+m[5]
			f.assigned([]string{text[from+m[2] : from+m[3]]}, text[start:end], start, end, "")
		}
	}
}

func skipBlanks(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
		i++
	}
	return i
}

// word judges the word of a shell that begins at a place.
func (f *finder) word(name, text string, at int, outer byte) {
	value, start, end := shellWord(text, at, outer)
	f.assigned([]string{name}, value, start, end, "")
}

// accepts judges a match of assignment in the line that begins at start.
func accepts(text string, start int, m []int) bool {
	name, gap, rest := m[2], text[m[4]:m[5]], text[m[1]:]
	if name > start {
		if c := text[name-1]; c == '$' || c == '{' && name > start+1 && text[name-2] == '$' || isDigit(c) || isLetter(c) {
			return false
		}
	}
	if strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "~=") {
		return false
	}
	before := text[start:name]
	first := strings.Trim(before, " \t\"'{,-#") == "" || strings.TrimSpace(before) == "export"
	if gap == "" {
		// A shell assigns nothing in NAME= value.
		return first || !strings.HasPrefix(rest, " ") && !strings.HasPrefix(rest, "\t")
	}
	return first
}

// quoting follows a text to say what quotes a place is in.
type quoting struct {
	text  string
	at    int
	quote byte // ', " or 0
}

// upTo moves on to a place, which must not lie before the last one.
func (q *quoting) upTo(place int) byte {
	for q.at < place {
		c := q.text[q.at]
		switch {
		case c == '\\' && q.quote != '\'':
			q.at++
		case q.quote != 0:
			if c == q.quote {
				q.quote = 0
			}
		case c == '\'' || c == '"':
			q.quote = c
		case c == '#' && (q.at == 0 || strings.IndexByte(" \t\n;", q.text[q.at-1]) >= 0):
			q.line(place)
		case c == '<':
			q.here(place)
		}
		q.at++
	}
	return q.quote
}

// line skips a comment.
func (q *quoting) line(place int) {
	for q.at < place && q.text[q.at] != '\n' {
		q.at++
	}
}

// here skips a here-document: what stands in it is in no quotes.
func (q *quoting) here(place int) {
	rest := q.text[q.at:min(len(q.text), q.at+128)]
	m := hereDoc.FindStringSubmatchIndex(rest)
	if m == nil || m[0] != 0 {
		return
	}
	word := rest[m[2]:m[3]]
	for q.at++; q.at < place; q.at++ {
		if q.text[q.at] != '\n' {
			continue
		}
		line := strings.TrimLeft(q.text[q.at+1:min(len(q.text), q.at+1+len(word)+64)], "\t")
		if after, ok := strings.CutPrefix(line, word); ok && (after == "" || after[0] == '\n') {
			return
		}
	}
}

// maxNested is the most bytes that a substitution is looked for an end in.
const maxNested = 64 << 10

// maxList is the most bytes of a list in brackets that is judged as one value.
const maxList = 4 << 10

// shellWord reads the word at a place as a shell does. outer is the quote that the place is in, which ends the word as
// well. start and end are the place of what is to be replaced: within the quotes, if all of the word is in one pair.
func shellWord(text string, at int, outer byte) (value string, start, end int) {
	var b strings.Builder
	pieces, bare := 0, false
	start, end = at, at
	i := at
	for i < len(text) {
		c := text[i]
		if outer != 0 && c == outer || strings.IndexByte(" \t\r\n;&|<>)", c) >= 0 {
			break
		}
		open, ansi := 0, false
		switch {
		case c == '\'' || c == '"':
			open = 1
		case c == '$' && outer == 0 && i+1 < len(text) && text[i+1] == '\'':
			open, ansi = 2, true
		case c == '\\' && outer == '"' && i+1 < len(text) && text[i+1] == '"':
			open = 2
		case c == '(' && i == at:
			list := text[i:min(len(text), i+maxList)]
			if n := nested(list, '(', ')'); n > 1 && list[n-1] == ')' {
				return list[1 : n-1], i + 1, i + n - 1
			}
			return "", at, at
		}
		if open > 0 {
			first := i + open
			last, next := quoted(text, first, text[first-1], ansi, open == 2 && !ansi, outer)
			b.WriteString(unquote(text[first:last], text[first-1], ansi))
			if pieces++; pieces == 1 && !bare {
				start, end = first, last
			}
			i = next
			continue
		}
		bare = true
		n := 1
		switch {
		case c == '`':
			if n = strings.IndexByte(text[i+1:min(len(text), i+maxNested)], '`') + 2; n == 1 {
				n = 1
			}
		case strings.HasPrefix(text[i:], "$("):
			n = 1 + nested(text[i+1:], '(', ')')
		case strings.HasPrefix(text[i:], "${"):
			n = 1 + nested(text[i+1:], '{', '}')
		case c == '\\' && i+1 < len(text):
			if text[i+1] != '\n' {
				b.WriteByte(text[i+1])
			}
			i += 2
			continue
		}
		n = max(1, min(n, len(text)-i))
		b.WriteString(text[i : i+n])
		i += n
	}
	if pieces > 1 || bare {
		start, end = at, i
	}
	return b.String(), start, end
}

// nested returns the length of what begins with an opening bracket, up to its closing one, or all of the line where it is
// not closed.
func nested(text string, open, shut byte) int {
	depth := 0
	for i := range min(len(text), maxNested) {
		switch text[i] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	n := strings.IndexByte(text, '\n')
	if n < 0 {
		n = len(text)
	}
	return n
}

// quoted returns where a quoted piece ends and the text goes on. One that is not closed ends with its line.
func quoted(text string, first int, quote byte, ansi, escaped bool, outer byte) (last, next int) {
	for i := first; i < len(text); i++ {
		switch c := text[i]; {
		case escaped && c == '\\' && i+1 < len(text) && text[i+1] == quote:
			return i, i + 2
		case escaped && c == outer:
			return i, i
		case c == '\\' && (quote == '"' || ansi):
			i++
		case c == quote:
			return i, i + 1
		case outer != 0 && c == outer:
			return i, i
		}
	}
	n := strings.IndexByte(text[first:], '\n')
	if n < 0 {
		return len(text), len(text)
	}
	return first + n, first + n
}

// unquote takes the escapes out of a quoted piece.
func unquote(s string, quote byte, ansi bool) string {
	if !strings.Contains(s, `\`) || quote == '\'' && !ansi {
		return s
	}
	if ansi {
		return unescape(s, false)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`\n", s[i+1]) >= 0 {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

var escapes = map[byte]byte{'a': 7, 'b': 8, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11, 'e': 27, 'E': 27}

// unescape takes out escapes as C, Python, JSON and TOML know them. The backslash of one that is unknown stays with keep,
// as in Python.
func unescape(s string, keep bool) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i]
		digits, base := 0, 16
		switch c {
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		case '0', '1', '2', '3', '4', '5', '6', '7':
			digits, base, i = 3, 8, i-1
		case '\n':
			continue
		}
		n := 0
		for n < digits && i+1+n < len(s) && strings.IndexByte("0123456789abcdefABCDEF"[:min(base, 16)+6*(base/16)], s[i+1+n]) >= 0 {
			n++
		}
		if n > 0 {
			v, err := strconv.ParseUint(s[i+1:i+1+n], base, 32)
			i += n
			switch {
			case err != nil:
			case c == 'u' || c == 'U':
				b.WriteString(surrogates(&i, s, rune(min(v, utf8.MaxRune))))
			case c == 'x' && v > 127, v > 255:
				b.WriteRune(rune(v))
			default:
				b.WriteByte(byte(v))
			}
			continue
		}
		if e, ok := escapes[c]; ok {
			c = e
		} else if keep && strings.IndexByte("\\'\"", c) < 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// surrogates joins the two halves that JSON writes a rare character in.
func surrogates(i *int, s string, r rune) string {
	if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(s[*i+1:], `\u`) && len(s) > *i+6 {
		if low, err := strconv.ParseUint(s[*i+3:*i+7], 16, 32); err == nil && low >= 0xdc00 && low < 0xe000 {
			*i += 6
			r = 0x10000 + (r-0xd800)<<10 + (rune(low) - 0xdc00)
		}
	}
	return string(r)
}
