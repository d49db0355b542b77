package vault

import (
	"regexp"
	"slices"
	"strings"
)

// maxPython is how deep brackets are followed.
const maxPython = 200

// pyParser reads what assigns a string to a name, and passes over all else. It accepts any tokens.
type pyParser struct {
	f       *finder
	tokens  []pyToken
	at      int
	depth   int
	classes []pyClass
}

type pyClass struct {
	column int
	name   string
}

// python finds the strings that are assigned to names: by statements, as arguments, in dictionaries, as defaults; in
// code that is commented out as well.
func (f *finder) python() {
	l := lexPython(f.text, 0)
	p := &pyParser{f: f, tokens: l.tokens}
	p.module()
	code := uncommented(f.text, l.comments)
	for _, c := range l.comments {
		p := &pyParser{f: f, tokens: lexPython(code[:c.end], c.start).tokens}
		p.module()
		before := len(f.hits)
		f.shell(c.start, c.end)
		bare := slices.DeleteFunc(f.hits[before:], func(h hit) bool { // what is in no quotes may be any word
			return !tokenish(h.value) || strings.ContainsAny(h.value, "()[]{}")
		})
		f.hits = f.hits[:before+len(bare)]
	}
}

// uncommented returns the text with blanks for the signs that make a line a comment.
func uncommented(text string, comments []pyComment) string {
	b := []byte(text)
	for _, c := range comments {
		begin := true
		for i := c.start; i < c.end; i++ {
			switch b[i] {
			case '\n':
				begin = true
			case '#':
				if begin {
					b[i] = ' '
				}
			case ' ', '\t':
			default:
				begin = false
			}
		}
	}
	return string(b)
}

func (p *pyParser) module() {
	for p.at < len(p.tokens) {
		before := p.at
		p.statement()
		if p.at == before {
			p.at++
		}
	}
}

func (p *pyParser) peek() pyToken {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return pyToken{kind: pyNewline}
}

func (p *pyParser) is(op string) bool {
	t := p.peek()
	return t.kind == pyOp && t.text == op
}

// accept passes over an operator.
func (p *pyParser) accept(op string) bool {
	if p.is(op) {
		p.at++
		return true
	}
	return false
}

func (p *pyParser) ends() bool { return p.peek().kind == pyNewline || p.is(";") }

var (
	pyCompound = []string{"if", "elif", "else", "for", "while", "with", "try", "except", "finally", "match", "case", "lambda"}
	pySimple   = []string{"return", "yield", "raise", "import", "from", "assert", "del", "global", "pass", "await", "not", "print"}
	pyBetween  = []string{"or", "if", "else", "and", "in", "is", "not", "lambda", "for", "await", "async", "yield"}
	// pyGetters return what is kept under their first argument.
	pyGetters = []string{"getenv", "get", "setdefault", "pop", "environ", "getpass", "get_secret", "get_password", "config", "env", "getattr", "putenv"}
)

// statement reads up to the end of a statement, or to the colon of a compound one.
func (p *pyParser) statement() {
	t := p.peek()
	if t.first {
		for len(p.classes) > 0 && p.classes[len(p.classes)-1].column >= t.column {
			p.classes = p.classes[:len(p.classes)-1]
		}
	}
	switch {
	case p.ends():
		p.at++
	case t.kind == pyName && t.text == "class" && p.at+1 < len(p.tokens):
		name := p.tokens[p.at+1].text
		p.at += 2
		p.until(":")
		p.classes = append(p.classes, pyClass{t.column, name})
	case t.kind == pyName && (t.text == "def" || t.text == "async"):
		p.at++
		p.until(":")
	case t.kind == pyName && slices.Contains(pyCompound, t.text):
		p.at++
		p.until(":")
	case t.kind == pyName && slices.Contains(pySimple, t.text):
		p.at++
		p.until("")
	default:
		p.assignment()
	}
}

// until reads expressions up to an operator, which it passes over, or to the end of the statement.
func (p *pyParser) until(op string) {
	for !p.ends() {
		if op != "" && p.accept(op) {
			return
		}
		before := p.at
		p.expression(nil, true)
		if p.at == before {
			p.at++
		}
	}
}

// assignment reads targets and what is assigned to them, or an expression that is a statement.
func (p *pyParser) assignment() {
	targets := p.targets()
	if len(targets) == 0 {
		p.until("")
		return
	}
	for n := 0; ; n++ {
		names := targets[min(n, len(targets)-1)]
		p.emit(names, p.expression(names, false))
		if p.accept("=") {
			n = -1
		} else if !p.accept(",") {
			return
		}
	}
}

// targets reads the names before "=", passing over annotations; without "=" there are none, and it is where it was
// behind what was read.
func (p *pyParser) targets() (targets [][]string) {
	for {
		t := p.peek()
		if t.kind != pyName {
			return nil
		}
		names, callee := []string{t.text}, t.text
		for p.at++; ; {
			switch {
			case p.accept("."):
				callee = p.peek().text
				names = []string{callee}
				p.at++
				continue
			case p.is("("):
				p.call(nil, callee)
				continue
			case p.is("["):
				if k := p.at + 1; k < len(p.tokens) && p.tokens[k].kind == pyString {
					if callee == "environ" {
						names = nil
					}
					names = append(names, p.tokens[k].value)
				}
				p.skip()
				continue
			}
			break
		}
		targets = append(targets, names)
		if p.accept(":") {
			for !p.ends() && !p.is("=") {
				p.skip()
			}
		}
		t = p.peek()
		switch {
		case t.kind == pyOp && (t.text == "=" || t.text == "+=" || t.text == "|=" || t.text == ":="):
			p.at++
			return targets
		case !p.accept(","):
			return nil
		}
	}
}

// skip passes over a token, or all of what is in brackets.
func (p *pyParser) skip() {
	depth := 0
	for p.at < len(p.tokens) {
		t := p.tokens[p.at]
		p.at++
		if t.kind == pyOp {
			switch t.text {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
		}
		if depth <= 0 {
			return
		}
	}
}

// literal is a string that an expression is, with its place; ok is false for any other expression.
type literal struct {
	value      string
	start, end int
	ok         bool
}

func (l *literal) add(value string, start, end int) {
	if !l.ok {
		l.start = start
	}
	l.value, l.end, l.ok = l.value+value, end, true
}

// emit judges a string under its names; those of the classes around it say nothing of it and go before.
func (p *pyParser) emit(names []string, l literal) {
	if !l.ok || len(names) == 0 || l.value == "" {
		return
	}
	n := len(p.f.hits)
	p.f.assigned(names, l.value, l.start, l.end, "")
	for ; n < len(p.f.hits); n++ {
		var all []string
		for _, c := range p.classes {
			all = append(all, c.name)
		}
		p.f.hits[n].name = joined(append(all, names...))
	}
}

// expression reads an expression up to a comma, a closing bracket, "=" or the end; and up to a colon, if asked to. One
// that is a single string is returned; the strings of others are judged under the names.
func (p *pyParser) expression(names []string, colon bool) literal {
	var cur literal
	single, callee, value, compared := true, "", false, false
	flush := func() {
		single = false
		if !compared {
			p.emit(names, cur)
		}
		cur, compared = literal{}, false
	}
	for !p.ends() {
		t := p.peek()
		switch {
		case t.kind == pyOp && (strings.Contains(",)]}=", t.text) || t.text == ":" && colon):
			if !single {
				flush()
			}
			return cur
		case t.kind == pyString:
			cur.add(t.value, t.start, t.end)
			p.at++
			callee, value = "", true
			continue
		case t.kind == pyFString:
			for _, part := range t.parts {
				p.emit(names, literal{part.value, part.start, part.end, tokenish(part.value)})
			}
			single, value = false, true
			p.at++
			continue
		case t.kind == pyNumber:
			if len(t.text) >= 4 {
				cur.add(t.text, t.start, t.end)
			}
			p.at++
		case t.kind == pyName:
			flush()
			callee, value = t.text, !slices.Contains(pyBetween, t.text)
			p.at++
			continue
		case t.text == "+":
			p.at++
		case t.text == "." && value:
			p.at++
			if method := p.peek(); method.kind == pyName {
				p.at++
				if callee == "" && cur.ok {
					p.method(names, method.text, &cur)
					continue
				}
				callee = method.text
			}
			continue
		case t.text == "(" || t.text == "[" || t.text == "{":
			if p.depth++; p.depth > maxPython {
				p.skip()
			} else if l := p.bracket(names, callee, value); l.ok {
				cur.add(l.value, l.start, l.end)
			} else {
				single = false
			}
			p.depth--
			value = true
			continue
		default:
			flush()
			compared = t.text == "==" || t.text == "!="
			p.at++
		}
		callee, value = "", false
	}
	if !single {
		flush()
	}
	return cur
}

// bracket reads what begins with a bracket: a call or subscript behind a value, else a group, list or dictionary.
func (p *pyParser) bracket(names []string, callee string, value bool) literal {
	switch {
	case p.is("(") && value:
		p.call(names, callee)
	case p.is("[") && value:
		p.skip()
	case p.accept("("), p.accept("["):
		return p.items(names)
	case p.accept("{"):
		p.dictionary(names)
	}
	return literal{}
}

// items reads up to the closing bracket. A single string is returned, so that it can be a piece of a longer one.
func (p *pyParser) items(names []string) literal {
	var first literal
	for n := 0; p.at < len(p.tokens); n++ {
		before := p.at
		l := p.expression(names, false)
		if n == 0 && l.ok && (p.is(")") || p.is("]")) {
			p.at++
			return l
		}
		p.emit(names, l)
		if p.accept(")") || p.accept("]") || p.accept("}") {
			return first
		}
		if !p.accept(",") && p.at == before {
			p.at++
		}
	}
	return first
}

func (p *pyParser) dictionary(names []string) {
	for p.at < len(p.tokens) {
		before := p.at
		key := p.expression(nil, true)
		if p.accept(":") {
			inner := slices.Clone(names)
			if key.ok {
				inner = append(inner, key.value)
			}
			p.emit(inner, p.expression(inner, false))
		} else {
			p.emit(names, key)
		}
		if p.accept("}") || p.accept(")") || p.accept("]") {
			return
		}
		if !p.accept(",") && p.at == before {
			p.at++
		}
	}
}

// method reads the arguments of a string's method: join makes one of those of a list.
func (p *pyParser) method(names []string, name string, cur *literal) {
	if !p.is("(") {
		return
	}
	if name != "join" {
		p.skip()
		return
	}
	sep := *cur
	*cur = literal{}
	p.at++
	if !p.accept("[") && !p.accept("(") {
		p.items(names)
		return
	}
	for n := 0; p.at < len(p.tokens); n++ {
		before := p.at
		if l := p.expression(nil, false); l.ok {
			if n > 0 {
				l.value = sep.value + l.value
			}
			cur.add(l.value, l.start, l.end)
		}
		if p.accept("]") || p.accept(")") {
			p.accept(")")
			return
		}
		if !p.accept(",") && p.at == before {
			p.at++
		}
	}
}

// pyKey matches what may be a name for the argument that follows it.
var pyKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// pyVariable matches names of environment variables, which no secret is.
var pyVariable = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)

// call reads the arguments of a call, or the parameters of a function with their defaults.
func (p *pyParser) call(names []string, callee string) {
	if p.depth++; p.depth > maxPython {
		p.skip()
		p.depth--
		return
	}
	defer func() { p.depth-- }()
	getter := slices.Contains(pyGetters, callee)
	key := ""
	p.at++
	for p.at < len(p.tokens) {
		before := p.at
		if kw := p.keyword(); kw != "" {
			inner := append(slices.Clone(names), kw)
			p.emit(inner, p.expression(inner, false))
		} else if l := p.expression(names, false); l.ok {
			switch {
			case key != "" && strengthOf(key) > none || getter && key != "":
				p.emit([]string{key}, l)
			case !getter && !pyVariable.MatchString(l.value):
				p.emit(names, l)
			}
			key = ""
			if pyKey.MatchString(l.value) {
				key = l.value
			}
		}
		if p.accept(")") || p.accept("]") || p.accept("}") {
			return
		}
		if !p.accept(",") && p.at == before {
			p.at++
		}
	}
}

// keyword passes over the name of an argument or parameter, its annotation and "=", if that is what follows.
func (p *pyParser) keyword() string {
	t, start := p.peek(), p.at
	if t.kind != pyName {
		return ""
	}
	p.at++
	if p.accept(":") {
		for p.at < len(p.tokens) && !p.is("=") && !p.is(",") && !p.is(")") {
			p.skip()
		}
	}
	if p.accept("=") {
		return t.text
	}
	p.at = start
	return ""
}
