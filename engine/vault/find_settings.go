package vault

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
)

// settings finds keys with values in JSON, YAML and TOML. JSON is parsed; all else, JSON with comments too, is read line
// by line.
func (f *finder) settings() {
	if !f.json() {
		f.hits = nil
		f.lines()
	}
	for _, m := range header.FindAllStringSubmatchIndex(f.text, -1) {
		f.assigned([]string{f.text[m[2]:m[3]]}, f.text[m[4]:m[5]], m[4], m[5], "")
	}
}

// maxDepth is how deep JSON may be nested to be parsed.
const maxDepth = 500

// level is a container of JSON that is open.
type level struct {
	object, value bool // value: the next token of an object is one
	key           string
	option        string // of a list of arguments: the option before
}

// json reads the text as JSON, or several one after the other. It reports whether it is that.
func (f *finder) json() bool {
	if t := strings.TrimLeft(f.text, " \t\r\n\ufeff"); t == "" || strings.IndexByte("{[", t[0]) < 0 {
		return false
	}
	at := strings.IndexAny(f.text, "{[") // behind a byte order mark
	dec := json.NewDecoder(strings.NewReader(f.text[at:]))
	dec.UseNumber()
	var stack []level
	base, end := at, at
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return len(stack) == 0
		}
		if err != nil {
			return false
		}
		start := end + len(f.text[end:]) - len(strings.TrimLeft(f.text[end:], " \t\r\n,:"))
		end = base + int(dec.InputOffset())
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
		}
		if d, ok := tok.(json.Delim); ok {
			switch d {
			case '{', '[':
				if len(stack) == maxDepth {
					return false
				}
				if top != nil {
					top.value = false
				}
				stack = append(stack, level{object: d == '{'})
			default:
				stack = stack[:len(stack)-1]
			}
			continue
		}
		if top == nil {
			continue // a value of its own between documents
		}
		if top.object && !top.value {
			top.key, _ = tok.(string)
			top.value = true
			continue
		}
		switch v := tok.(type) {
		case string:
			f.jsonText(stack, v, start+1, end-1)
		case json.Number:
			f.assigned(keysOf(stack), v.String(), start, end, `"`)
		}
		top.value, top.option = false, ""
		if s, ok := tok.(string); ok && !top.object && strings.HasPrefix(s, "-") && !strings.Contains(s, "=") {
			top.option = strings.TrimLeft(s, "-")
		}
	}
}

func keysOf(stack []level) []string {
	var names []string
	for i := range stack {
		names = append(names, stack[i].key) // "" of a list
	}
	return names
}

// jsonText judges a string: as a value, as the argument of the option before it, as a command.
func (f *finder) jsonText(stack []level, v string, start, end int) {
	if f.assigned(keysOf(stack), v, start, end, "") {
		return
	}
	top := stack[len(stack)-1]
	if !top.object && top.option != "" && !strings.HasPrefix(v, "-") && f.assigned([]string{top.option}, v, start, end, "") {
		return
	}
	if v == f.text[start:end] {
		f.shell(start, end)
	}
}

var (
	// settingsLine is a key with a value in YAML or TOML, or in JSON of one key a line.
	settingsLine = regexp.MustCompile(`^([ \t]*)((?:(?:[#;]|//|-)[ \t]*)*)(?:"([^"\n]+)"|'([^'\n]+)'|([A-Za-z_][A-Za-z0-9_./-]*))[ \t]*(=|:[ \t]|:\r?\n|:$)[ \t]*`)
	settingsItem = regexp.MustCompile(`^([ \t]*)-[ \t]+()`)
	settingsHead = regexp.MustCompile(`^[ \t]*\[+[ \t]*([A-Za-z0-9_."' -]+?)[ \t]*\]+[ \t]*(?:#.*)?\r?\n?$`)
	// inlineKey is a key within braces.
	inlineKey = regexp.MustCompile(`[{,][ \t]*["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=][ \t]*`)
)

// indented is a key of YAML that those further to the right belong to.
type indented struct {
	at  int
	key string
}

// lines reads the text line by line.
func (f *finder) lines() {
	var section []string
	var stack []indented
	at, done := 0, 0
	for line := range strings.Lines(f.text) {
		start := at
		at += len(line)
		if start < done {
			continue // within a value of several lines
		}
		if m := settingsHead.FindStringSubmatch(line); m != nil {
			section, stack = strings.Split(strings.NewReplacer(`"`, "", "'", "").Replace(m[1]), "."), nil
			continue
		}
		m := settingsLine.FindStringSubmatchIndex(line)
		item := m == nil
		if item {
			if m = settingsItem.FindStringSubmatchIndex(line); m == nil {
				f.inline(section, start, start+len(line))
				continue
			}
		}
		depth := m[3] + strings.Count(line[m[4]:m[5]], "-")
		for len(stack) > 0 && (stack[len(stack)-1].at > depth || !item && stack[len(stack)-1].at == depth) {
			stack = stack[:len(stack)-1]
		}
		if !item {
			key := line[max(m[6], m[8], m[10]):max(m[7], m[9], m[11])]
			if strings.ContainsAny(line[m[4]:m[5]], "#;/") {
				depth = -1 // what is commented out has nothing below it
			}
			stack = append(stack, indented{depth, key})
		}
		names := append([]string(nil), section...)
		for _, s := range stack {
			names = append(names, s.key)
		}
		if item {
			names = append(names, "")
		}
		if item || !strings.HasSuffix(line[m[12]:m[13]], "\n") {
			done = f.setting(names, start+m[1], start+m[3])
		}
		if len(stack) > 0 && stack[len(stack)-1].at < 0 {
			stack = stack[:len(stack)-1]
		}
	}
}

// setting judges the value at a place and returns where it ends; margin is where the line's indentation ends.
func (f *finder) setting(names []string, at, margin int) (end int) {
	rest := f.text[at:]
	for _, q := range []string{`"""`, "'''"} {
		if inner, ok := strings.CutPrefix(rest, q); ok {
			if n := strings.Index(inner, q); n >= 0 {
				value := strings.TrimPrefix(inner[:n], "\n")
				first := at + 3 + n - len(value)
				if q[0] == '"' {
					value = unescape(value, false)
				}
				f.assigned(names, value, first, at+3+n, "")
				return at + 6 + n
			}
		}
	}
	if rest != "" && strings.IndexByte("|>", rest[0]) >= 0 {
		return f.block(names, at, margin)
	}
	value, first, last := lineValue(f.text, at, "#")
	bare := first == at
	if bare && value != "" && strings.IndexByte("{[", value[0]) >= 0 {
		f.inline(names, first, last)
		return last
	}
	wrap := ""
	if bare {
		value = strings.TrimRight(value, ",")
		last = first + len(value)
		if number.MatchString(value) {
			wrap = `"`
		}
	}
	if last > at && !f.assigned(names, value, first, last, wrap) && value == f.text[first:last] {
		f.shell(first, last)
	}
	return last
}

// block judges the lines that follow "key: |".
func (f *finder) block(names []string, at, margin int) (end int) {
	n := strings.IndexByte(f.text[at:], '\n')
	if n < 0 {
		return len(f.text)
	}
	indent := 0 // of the block
	lineStart := strings.LastIndexByte(f.text[:margin], '\n') + 1
	first := at + n + 1
	end = first
	var b strings.Builder
	for line := range strings.Lines(f.text[first:]) {
		text := strings.TrimLeft(line, " \t")
		depth := len(line) - len(text)
		if strings.TrimSpace(text) != "" && depth <= margin-lineStart {
			break
		}
		if indent == 0 {
			indent = depth
		}
		b.WriteString(line[min(depth, indent, len(line)):])
		end += len(line)
	}
	value := strings.TrimRight(b.String(), "\r\n")
	from, to := first+indent, end-(len(f.text[first:end])-len(strings.TrimRight(f.text[first:end], " \t\r\n")))
	if value != "" && from <= to && !f.assigned(names, value, from, to, "") {
		f.shell(from, to)
	}
	return end
}

// inline judges the keys within braces and the strings in a list.
func (f *finder) inline(names []string, from, to int) {
	text := f.text[from:to]
	for _, m := range inlineKey.FindAllStringSubmatchIndex(text, -1) {
		at := from + m[1]
		var value string
		var first, last int
		if at < to && strings.IndexByte("\"'`", f.text[at]) >= 0 {
			value, first, last = lineValue(f.text[:to], at, "#")
		} else {
			n := strings.IndexAny(f.text[at:to], ",{}[]\r\n")
			if n < 0 {
				n = to - at
			}
			value = strings.TrimRight(f.text[at:at+n], " \t")
			first, last = at, at+len(value)
		}
		f.assigned(append(append([]string(nil), names...), text[m[2]:m[3]]), value, first, last, "")
	}
	if strings.HasPrefix(text, "[") {
		for i := 0; i < len(text); i++ {
			if text[i] != '"' && text[i] != '\'' {
				continue
			}
			last, next := quoted(text, i+1, text[i], false, false, 0)
			f.assigned(append(append([]string(nil), names...), ""), text[i+1:last], from+i+1, from+last, "")
			i = next
		}
	}
}
