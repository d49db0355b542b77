package cli

import (
	"strings"
	"unicode"
)

// manualDate is when the frame of the page was last changed by hand. A page needs a date, and the commands have none.
const manualDate = "November 26, 2026"

// mdoc writes the manual as a page for man, in the language that macOS, BSD and Linux share (mdoc(7)). It is ASCII.
func (m *manual) mdoc() string {
	w := &mdocWriter{}
	short := strings.ToLower(m.root.Short[:1]) + m.root.Short[1:]
	w.line(`.\" Written by "maia-dr help --man" from the definitions of the commands: change those.`)
	w.line(".Dd " + manualDate)
	w.line(".Dt MAIA-DR 1")
	w.line(".Os")
	w.line(".Sh NAME")
	w.line(".Nm maia-dr")
	w.line(".Nd " + mdocWords(short))
	w.line(".Sh SYNOPSIS")
	w.line(".Nm")
	w.line(".Op Ar command")
	w.line(".Op Ar flags")
	w.line(".Op Ar arguments")
	w.line(".Sh DESCRIPTION")
	w.paragraphs(description(m.root))
	w.line(".Pp")
	w.prose("These flags are those of every command, which also have --help:")
	w.flags(flagsOf(m.root.PersistentFlags()))
	w.line(".Sh COMMANDS")
	for _, c := range m.commands {
		// The last bracket would be taken for punctuation.
		w.line(".Ss " + mdocWords(usageOf(c)) + `\&`)
		w.paragraphs(description(c))
		w.flags(flagsOf(c.LocalNonPersistentFlags()))
		if c.Example != "" {
			w.line(".Pp")
			w.prose("For example:")
			w.examples(c.Example)
		}
	}
	for _, t := range m.topics {
		w.line(".Sh " + t.heading)
		w.prose(t.intro)
		w.line(".Bl -tag -width Ds")
		for _, e := range t.terms {
			w.line(".It " + mdocWords(e.name))
			w.prose(e.text)
		}
		w.line(".El")
	}
	w.line(".Sh EXAMPLES")
	w.examples(m.root.Example)
	w.line(".Sh SEE ALSO")
	w.prose("docs/DISASTER_RECOVERY_GUIDE.md for the day of the disaster, docs/configuration.md for the configuration, " +
		"engine/repository/FORMAT.md for the format of the repository.")
	return w.String()
}

// mdocWriter writes one request or one line of text at a time.
type mdocWriter struct{ strings.Builder }

func (w *mdocWriter) line(s string) {
	w.WriteString(s)
	w.WriteByte('\n')
}

func (w *mdocWriter) paragraphs(ps []paragraph) {
	for i, p := range ps {
		if p.lines != nil {
			w.literal(p.lines)
			continue
		}
		if i > 0 {
			w.line(".Pp")
		}
		w.prose(p.prose)
	}
}

// prose writes each sentence on lines of its own, which is how such pages tell where one ends.
func (w *mdocWriter) prose(text string) {
	for _, sentence := range sentences(text) {
		for _, l := range wrap(strings.Fields(mdocWords(sentence)), 78) {
			w.line(l)
		}
	}
}

func (w *mdocWriter) flags(flags []flagText) {
	if len(flags) == 0 {
		return
	}
	w.line(".Bl -tag -width Ds")
	for _, f := range flags {
		item := ".It Fl " + mdocWords("-"+f.name)
		switch {
		case f.optional:
			item += " Ns Op = Ns Ar " + mdocWords(f.value)
		case f.value != "":
			item += " Ar " + mdocWords(f.value)
		}
		w.line(item)
		w.prose(f.text)
	}
	w.line(".El")
}

func (w *mdocWriter) examples(text string) {
	for _, p := range paragraphs(text) {
		w.literal(p.lines)
	}
}

func (w *mdocWriter) literal(lines []string) {
	w.line(".Bd -literal -offset indent")
	for _, l := range lines {
		w.line(mdocWords(l))
	}
	w.line(".Ed")
}

// sentences cuts after a full stop that a capital follows.
func sentences(text string) (out []string) {
	words := strings.Fields(text)
	begin := 0
	for i := 1; i < len(words); i++ {
		end := strings.TrimRight(words[i-1], `")`)
		first := strings.TrimLeft(words[i], `"(`)
		if strings.HasSuffix(end, ".") && first != "" && !unicode.IsLower(rune(first[0])) {
			out = append(out, strings.Join(words[begin:i], " "))
			begin = i
		}
	}
	return append(out, strings.Join(words[begin:], " "))
}

// mdocWords makes words of text that no request and no escape is read out of, and that can be copied from the screen.
func mdocWords(text string) string {
	text = mdocEscapes.Replace(text)
	out := &strings.Builder{}
	begin := true
	for i, r := range text {
		// A dot or quote begins a request; a word of two or three letters, or of punctuation, may be the name of a macro.
		if begin && (r == '.' || r == '\'' || isMacro(text[i:])) {
			out.WriteString(`\&`)
		}
		out.WriteRune(r)
		begin = r == ' '
	}
	return out.String()
}

var mdocEscapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "’", "'", "–", `\(en`, `"`, `\(dq`, "`", "\\`", "^", `\(ha`, "~", `\(ti`)

// isMacro reports whether the first word could be taken for a macro or for punctuation where one takes arguments.
func isMacro(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	switch {
	case word == "":
		return false
	case len(word) == 1:
		return strings.ContainsAny(word, "|,.;:()[]?!=")
	case len(word) > 3:
		return false
	}
	for i, r := range word {
		if i == 0 && !unicode.IsUpper(r) || i > 0 && !unicode.IsLower(r) {
			return false
		}
	}
	return true
}
