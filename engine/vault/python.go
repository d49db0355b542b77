package vault

import "strings"

// A pyToken is a token of Python. Newlines within brackets are none.
type pyToken struct {
	kind       pyKind
	text       string // of a name or operator; the digits of a number
	value      string // of a string, without its escapes
	parts      []pyPart
	start, end int  // of a string: within its quotes
	column     int  // of the first token of a line
	first      bool // of a line
}

// pyPart is a literal part of an f-string.
type pyPart struct {
	value      string
	start, end int
}

type pyKind uint8

const (
	pyName pyKind = iota
	pyNumber
	pyString
	pyFString
	pyOp
	pyNewline
)

// pyComment is a comment, or several in lines one after the other.
type pyComment struct{ start, end int }

// pyLexer splits a text, whatever is in it, into tokens.
type pyLexer struct {
	text     string
	at       int
	depth    int // of brackets
	tokens   []pyToken
	comments []pyComment
}

// lexPython reads the text between two places.
func lexPython(text string, from int) *pyLexer {
	l := &pyLexer{text: text, at: from}
	lineStart, fresh := from, true
	for l.at < len(text) {
		c := text[l.at]
		n := len(l.tokens)
		switch {
		case c == '\n':
			l.at++
			if l.depth == 0 {
				l.tokens = append(l.tokens, pyToken{kind: pyNewline})
			}
			lineStart, fresh = l.at, true
			continue
		case c == ' ' || c == '\t' || c == '\r' || c == '\f':
			l.at++
			continue
		case c == '\\' && l.at+1 < len(text) && (text[l.at+1] == '\n' || text[l.at+1] == '\r'):
			l.at += 2
			continue
		case c == '#':
			l.comment(lineStart)
			continue
		case l.string():
		case isLetter(c) || c == '_' || c >= 0x80:
			l.run(pyName, func(c byte) bool { return isAlnum(c) || c == '_' || c >= 0x80 })
		case isDigit(c):
			l.run(pyNumber, func(c byte) bool { return isAlnum(c) || c == '_' || c == '.' })
		default:
			l.operator()
		}
		if len(l.tokens) > n && fresh {
			l.tokens[n].first, l.tokens[n].column = true, l.tokens[n].start-lineStart
			fresh = false
		}
	}
	return l
}

func (l *pyLexer) run(kind pyKind, in func(byte) bool) {
	start := l.at
	for l.at < len(l.text) && in(l.text[l.at]) {
		l.at++
	}
	l.tokens = append(l.tokens, pyToken{kind: kind, text: l.text[start:l.at], start: start, end: l.at})
}

// pyOperators are those of two characters and more that begin with others.
var pyOperators = []string{"**=", "//=", ">>=", "<<=", "==", "!=", "<=", ">=", ":=", "->", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "//"}

func (l *pyLexer) operator() {
	op := l.text[l.at : l.at+1]
	for _, o := range pyOperators {
		if strings.HasPrefix(l.text[l.at:], o) {
			op = o
			break
		}
	}
	switch op {
	case "(", "[", "{":
		l.depth++
	case ")", "]", "}":
		l.depth = max(0, l.depth-1)
	}
	l.tokens = append(l.tokens, pyToken{kind: pyOp, text: op, start: l.at, end: l.at + len(op)})
	l.at += len(op)
}

// comment notes a comment down. One that is alone in its line goes on with that in the line before.
func (l *pyLexer) comment(lineStart int) {
	c := pyComment{start: l.at}
	for l.at < len(l.text) && l.text[l.at] != '\n' {
		l.at++
	}
	c.end = l.at
	if n := len(l.comments); n > 0 {
		between := l.text[l.comments[n-1].end:c.start]
		if strings.Count(between, "\n") == 1 && strings.TrimSpace(between) == "" && strings.TrimSpace(l.text[lineStart:c.start]) == "" {
			l.comments[n-1].end = c.end
			return
		}
	}
	l.comments = append(l.comments, c)
}

// string reads a string with its prefix. One of one line that is not closed ends with the line.
func (l *pyLexer) string() bool {
	i := l.at
	raw, format := false, false
	for i < len(l.text) && i < l.at+3 && strings.IndexByte("rbfutRBFUT", l.text[i]) >= 0 {
		raw = raw || l.text[i]|0x20 == 'r'
		format = format || l.text[i]|0x20 == 'f' || l.text[i]|0x20 == 't'
		i++
	}
	if i == len(l.text) || l.text[i] != '"' && l.text[i] != '\'' {
		return false
	}
	quote := l.text[i : i+1]
	if strings.HasPrefix(l.text[i:], strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	start := i + len(quote)
	end := start
	for end < len(l.text) && !strings.HasPrefix(l.text[end:], quote) && (len(quote) == 3 || l.text[end] != '\n') {
		if l.text[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(l.text))
	t := pyToken{kind: pyString, start: start, end: end}
	decode := func(s string) string {
		if raw || !strings.Contains(s, `\`) {
			return s
		}
		return unescape(s, true)
	}
	if format {
		t.kind = pyFString
		for _, p := range literalParts(l.text, start, end) {
			p.value = strings.NewReplacer("{{", "{", "}}", "}").Replace(decode(p.value))
			t.parts = append(t.parts, p)
		}
	} else {
		t.value = decode(l.text[start:end])
	}
	l.tokens = append(l.tokens, t)
	l.at = end
	if strings.HasPrefix(l.text[end:], quote) {
		l.at += len(quote)
	}
	return true
}

// literalParts returns what of an f-string is no expression.
func literalParts(text string, start, end int) (parts []pyPart) {
	add := func(to int) {
		if to > start {
			parts = append(parts, pyPart{text[start:to], start, to})
		}
	}
	depth := 0
	for i := start; i < end; i++ {
		c := text[i]
		switch {
		case depth == 0 && (c == '{' || c == '}') && i+1 < end && text[i+1] == c:
			i++
		case c == '{':
			if depth == 0 {
				add(i)
			}
			depth++
		case c == '}' && depth > 0:
			if depth--; depth == 0 {
				start = i + 1
			}
		}
	}
	if depth == 0 {
		add(end)
	}
	return parts
}
