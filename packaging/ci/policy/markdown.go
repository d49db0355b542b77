package policy

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Block is a block of code in a Markdown document.
type Block struct {
	Line     int    // of its first line of code, from 1
	Fenced   bool   // between fences; else it is indented
	Language string // of a fence
	Note     string // the comment before it: "mac" of <!-- mac -->
	Lines    []string
}

// Span is code within a line, or a comment that is no note of a block.
type Span struct {
	Line int
	Text string
}

// Document is a Markdown document, as far as the rules need to understand it.
type Document struct {
	Blocks []Block
	Spans  []Span
	// prose are the lines without blocks, spans and comments: each is there, some are empty.
	prose []string
	// open is how many lines at the end of prose are of the paragraph that is being read.
	open    int
	anchors map[string]bool
	slugs   map[string]int // how often a heading has had it
}

var (
	fence     = regexp.MustCompile("^\\s*(```+|~~~+)\\s*([\\w-]*)[^`]*$")
	listItem  = regexp.MustCompile(`^\s*([-*+]|\d+[.)])\s`)
	heading   = regexp.MustCompile(`^#{1,6}\s+(.*?)(\s+#*)?$`)
	underline = regexp.MustCompile(`^(=+|-+)\s*$`)
	idHTML    = regexp.MustCompile(`(?i)<[a-z][^>]*\s(?:id|name)="([^"]+)"`)
)

// ParseDocument reads a document. It never fails: what it does not understand is prose.
func ParseDocument(text string) *Document {
	d := &Document{anchors: make(map[string]bool), slugs: make(map[string]int)}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	note, inList, blank := "", false, true
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.TrimSpace(line) == "" || !isProse.MatchString(line) || listItem.MatchString(line) {
			d.endParagraph()
		}
		switch m := fence.FindStringSubmatch(line); {
		case strings.HasPrefix(strings.TrimSpace(line), "<!--") && (!isIndented(line) || !blank || inList):
			end := i
			for end < len(lines)-1 && !strings.Contains(lines[end], "-->") {
				end++
			}
			comment := strings.Join(lines[i:end+1], " ")
			comment, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(comment), "<!--"), "-->")
			note = strings.TrimSpace(comment)
			d.endParagraph()
			d.Spans = append(d.Spans, codeSpans(note, i+1)...)
			d.prose = append(d.prose, make([]string, end+1-i)...)
			i, blank = end, true
			continue
		case m != nil:
			d.endParagraph()
			i = d.fenced(lines, i, m, note)
			blank = false
		case isIndented(line) && blank && !inList:
			i = d.indented(lines, i, note)
			blank = false
		case strings.TrimSpace(line) == "":
			d.prose = append(d.prose, "")
			blank = true
			continue // a note stays
		default:
			if listItem.MatchString(line) {
				inList = true
			} else if line[0] != ' ' {
				inList = false
			}
			before := ""
			if i > 0 {
				before = lines[i-1]
			}
			d.text(line, before)
			if heading.MatchString(line) {
				d.endParagraph()
			}
			blank = false
		}
		note = ""
	}
	d.endParagraph()
	return d
}

// isProse matches a line that can belong to the paragraph of the line before: no heading, row of a table, or item of a list.
var isProse = regexp.MustCompile(`^\s*[^#|\s*+-]|^\s*[*+-]\S`)

func isIndented(line string) bool {
	return (strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")) && strings.TrimSpace(line) != ""
}

// fenced reads the block whose fence is line i, and returns the line of its end.
func (d *Document) fenced(lines []string, i int, m []string, note string) int {
	b := Block{Line: i + 2, Fenced: true, Language: m[2], Note: note}
	indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
	end := i + 1
	for end < len(lines) && !isClosing(lines[end], m[1]) {
		line := lines[end]
		for n := 0; n < indent && strings.HasPrefix(line, " "); n++ {
			line = line[1:]
		}
		b.Lines = append(b.Lines, line)
		end++
	}
	d.Blocks = append(d.Blocks, b)
	end = min(end, len(lines)-1)
	d.prose = append(d.prose, make([]string, end+1-i)...)
	return end
}

// isClosing reports whether a line closes a block that was opened by a fence.
func isClosing(line, opened string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= len(opened) && strings.Trim(line, opened[:1]) == ""
}

// indented reads the block that begins in line i, and returns its last line.
func (d *Document) indented(lines []string, i int, note string) int {
	b := Block{Line: i + 1, Note: note}
	end := i
	for j := i; j < len(lines) && (isIndented(lines[j]) || strings.TrimSpace(lines[j]) == ""); j++ {
		if isIndented(lines[j]) {
			end = j
		}
	}
	for _, line := range lines[i : end+1] {
		b.Lines = append(b.Lines, strings.TrimPrefix(strings.TrimPrefix(line, "\t"), "    "))
	}
	d.Blocks = append(d.Blocks, b)
	d.prose = append(d.prose, make([]string, end+1-i)...)
	return end
}

// text reads a line of prose, which has spans, and may be a heading or make one of the line before.
func (d *Document) text(line, before string) {
	switch m := heading.FindStringSubmatch(line); {
	case m != nil:
		d.heading(m[1])
	case underline.MatchString(line) && strings.TrimSpace(before) != "" && !strings.HasPrefix(before, "|"):
		d.heading(before)
	}
	for _, m := range idHTML.FindAllStringSubmatch(line, -1) {
		d.anchors[m[1]] = true
	}
	d.prose = append(d.prose, line)
	d.open++
}

// endParagraph takes the code out of the paragraph that ends here: it may go on from one line to the next.
func (d *Document) endParagraph() {
	lines := d.prose[len(d.prose)-d.open:]
	text := strings.Join(lines, "\n")
	d.Spans = append(d.Spans, codeSpans(text, len(d.prose)-d.open+1)...)
	copy(lines, strings.Split(withoutSpans(text), "\n"))
	d.open = 0
}

// heading notes the anchor that GitHub gives a heading: in small letters, without punctuation, spaces as hyphens; one
// that was there before gets a number.
func (d *Document) heading(text string) {
	text = linkText.ReplaceAllString(text, "$1")
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsMark(r), unicode.Is(unicode.Nd, r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(text))
	n := d.slugs[slug]
	d.slugs[slug]++
	if n > 0 {
		slug += "-" + strconv.Itoa(n)
	}
	d.anchors[slug] = true
}

var linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)

// codeSpan is code between as many backquotes as it begins with; a longer row of them is part of it.
func codeSpanAt(line string, i int) (inner string, end int, ok bool) {
	n := 0
	for i+n < len(line) && line[i+n] == '`' {
		n++
	}
	for j := i + n; j < len(line); {
		if line[j] != '`' {
			j++
			continue
		}
		k := j
		for k < len(line) && line[k] == '`' {
			k++
		}
		if k-j == n {
			return strings.Join(strings.Fields(line[i+n:j]), " "), k, true
		}
		j = k
	}
	return "", i + n, false
}

// codeSpans are those of a text whose first line has a number.
func codeSpans(text string, number int) (spans []Span) {
	eachSpan(text, func(begin, _ int, inner string) {
		spans = append(spans, Span{number + strings.Count(text[:begin], "\n"), inner})
	})
	return spans
}

func eachSpan(text string, do func(begin, end int, inner string)) {
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		inner, end, ok := codeSpanAt(text, i)
		if ok {
			do(i, end, inner)
		}
		i = end
	}
}

// withoutSpans is the text with spaces for its code, and the same lines.
func withoutSpans(text string) string {
	out := []byte(text)
	eachSpan(text, func(begin, end int, _ string) {
		for i := begin; i < end; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	})
	return string(out)
}
