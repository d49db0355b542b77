package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// markdown writes the manual as docs/commands.md.
func (m *manual) markdown() string {
	w := &strings.Builder{}
	w.WriteString("# Commands\n\n<!-- Written by `go test ./engine/cli -run TestManual -update` from the definitions of the commands: change those. -->\n\n")
	w.WriteString("What `maia-dr help COMMAND` and the manual page say (`maia-dr help --man`).\n")
	markdownExamples(w, m.root.Example)
	w.WriteString("\n| command | |\n|---|---|\n")
	for _, c := range m.commands {
		fmt.Fprintf(w, "| [`%s`](#%s) | %s |\n", nameOf(c), strings.ReplaceAll(nameOf(c), " ", "-"), markdownText(c.Short))
	}
	for _, t := range m.topics {
		fmt.Fprintf(w, "| [%s](#%s) | %s |\n", t.name, t.name, markdownText(t.short))
	}
	w.WriteString("\n## Flags of every command\n\n")
	markdownFlags(w, flagsOf(m.root.PersistentFlags()))
	for _, c := range m.commands {
		fmt.Fprintf(w, "\n## %s\n\n```text\n%s %s\n```\n", nameOf(c), m.root.Name(), usageOf(c))
		for _, p := range description(c) {
			markdownParagraph(w, p)
		}
		if flags := flagsOf(c.LocalNonPersistentFlags()); len(flags) > 0 {
			w.WriteString("\n")
			markdownFlags(w, flags)
		}
		if c.Example != "" {
			markdownExamples(w, c.Example)
		}
	}
	for _, t := range m.topics {
		fmt.Fprintf(w, "\n## %s\n\n%s. %s\n\n| | |\n|---|---|\n", t.name, markdownText(t.short), markdownText(t.intro))
		for _, e := range t.terms {
			fmt.Fprintf(w, "| `%s` | %s |\n", e.name, markdownText(e.text))
		}
	}
	return w.String()
}

func markdownParagraph(w *strings.Builder, p paragraph) {
	if p.lines != nil {
		fmt.Fprintf(w, "\n```sh\n%s\n```\n", strings.Join(p.lines, "\n"))
		return
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(wrap(strings.Fields(markdownText(p.prose)), 120), "\n"))
}

// markdownExamples marks them for the test that runs what the documents show: they stand in no order.
func markdownExamples(w *strings.Builder, text string) {
	for _, p := range paragraphs(text) {
		w.WriteString("\n<!-- by hand: examples, in no order -->")
		markdownParagraph(w, p)
	}
}

func markdownFlags(w *strings.Builder, flags []flagText) {
	w.WriteString("| flag | |\n|---|---|\n")
	for _, f := range flags {
		fmt.Fprintf(w, "| `%s` | %s |\n", f.spelled(), markdownText(f.text))
	}
}

var longFlag = regexp.MustCompile(`--[a-z][a-z-]+`)

// markdownText makes flags code, and the rest text that has no markup in it.
func markdownText(text string) string {
	text = strings.NewReplacer("*", `\*`, "<", `\<`, "|", `\|`, "[", `\[`).Replace(text)
	// What stands between backquotes is code already.
	parts := strings.Split(text, "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = longFlag.ReplaceAllString(parts[i], "`$0`")
	}
	return strings.Join(parts, "`")
}
