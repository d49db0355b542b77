package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manual is the program's definitions of its commands, for those who write them down: the manual page and docs/commands.md.
type manual struct {
	root     *cobra.Command
	commands []*cobra.Command // all that a person may call, each followed by those below it
	topics   []topic
}

// manualOf collects the commands below root.
func manualOf(root *cobra.Command) *manual {
	m := &manual{root: root, topics: topics()}
	var visit func(*cobra.Command)
	visit = func(parent *cobra.Command) {
		for _, c := range parent.Commands() {
			if forPeople(c) {
				m.commands = append(m.commands, c)
				visit(c)
			}
		}
	}
	visit(root)
	return m
}

// nameOf is a command's name without the program's: "schedule install".
func nameOf(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// usageOf is a command's name and arguments without the program's name and "[flags]".
func usageOf(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return nameOf(c) + " COMMAND"
	}
	return strings.TrimSuffix(strings.TrimPrefix(c.UseLine(), c.Root().Name()+" "), " [flags]")
}

// flagText is a flag as the manual has it.
type flagText struct {
	name  string // without dashes
	value string // what it takes; "" for none
	// optional: the value may be missing, and must follow an equals sign.
	optional bool
	text     string
}

// flagsOf are the flags of a set in the order of their names, but --help, which every command has.
func flagsOf(set *pflag.FlagSet) (out []flagText) {
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		out = append(out, flagText{f.Name, value, f.NoOptDefVal != "" && value != "", text})
	})
	return out
}

// spelled is the flag as it is typed: --to DIR, --files[=GLOB].
func (f flagText) spelled() string {
	switch {
	case f.value == "":
		return "--" + f.name
	case f.optional:
		return "--" + f.name + "[=" + f.value + "]"
	}
	return "--" + f.name + " " + f.value
}

// paragraph is a part of a command's text: prose, or lines that stay as they are.
type paragraph struct {
	prose string
	lines []string
}

// paragraphs reads a command's Long or Example: what is indented stays as it is.
func paragraphs(text string) (out []paragraph) {
	for part := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		if !strings.HasPrefix(part, "  ") {
			out = append(out, paragraph{prose: strings.Join(strings.Fields(part), " ")})
			continue
		}
		lines := strings.Split(part, "\n")
		for i, l := range lines {
			lines[i] = strings.TrimPrefix(l, "  ")
		}
		out = append(out, paragraph{lines: lines})
	}
	return out
}

// description is a command's text; one that has no more is its short one as a sentence.
func description(c *cobra.Command) []paragraph {
	if c.Long == "" {
		return paragraphs(c.Short + ".")
	}
	return paragraphs(c.Long)
}
