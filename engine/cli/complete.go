package cli

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
	"maia-dr/tray"
)

// completeBackups offers the backups' ids to the shell, with their local time. It reads no manifest: nobody waits for a
// download with a key pressed.
func (a *app) completeBackups(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	e, err := a.engine(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids, err := e.BackupIDs()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	out := []string{"latest\tthe newest complete backup"}
	now := a.Env.Now()
	for _, id := range ids {
		if at, err := repository.IDTime(id); err == nil {
			out = append(out, id+"\t"+at.Local().Format("Mon 2 Jan 2006 15:04")+", "+ago(now, at))
		}
	}
	for _, given := range args {
		// A backup is named once.
		for i, o := range out {
			if o == given || strings.HasPrefix(o, given+"\t") {
				out = append(out[:i], out[i+1:]...)
				break
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeUpTo is completeBackups for commands that take at most n backups.
func (a *app) completeUpTo(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.completeBackups(cmd, args, word)
	}
}

// completeFlag has the shell offer values for a flag.
func completeFlag(cmd *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err) // a flag that the command does not have: every start would fail
	}
}

// completeComponents offers the names of components after the last comma.
func completeComponents(more ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		before := word[:strings.LastIndexByte(word, ',')+1]
		var out []string
		for _, name := range append(component.Names(), more...) {
			out = append(out, before+name)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeProblems offers the codes of the problems there are, or of those that are muted.
func (a *app) completeProblems(there bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (out []string, _ cobra.ShellCompDirective) {
		e, err := a.engine(nil)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if !there {
			c, err := tray.ReadChoices(e.State().Path)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return slices.Sorted(maps.Keys(c.Muted)), cobra.ShellCompDirectiveNoFileComp
		}
		s, err := e.Status()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		for _, p := range s.Problems {
			if !slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(o, p.Code+"\t") }) {
				out = append(out, cobra.CompletionWithDesc(p.Code, clean(p.Text)))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePlainly has the shell offer no files where a command takes none, and folders where a flag takes one.
func completePlainly(c *cobra.Command) {
	if c.ValidArgsFunction == nil && c.ValidArgs == nil && c.Args != nil && c.Args(c, []string{""}) != nil {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, flags := range []*pflag.FlagSet{c.PersistentFlags(), c.LocalNonPersistentFlags()} {
		for _, f := range flagsOf(flags) {
			if f.value == "DIR" {
				completeFlag(c, f.name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
					return nil, cobra.ShellCompDirectiveFilterDirs
				})
			}
		}
	}
	for _, child := range c.Commands() {
		completePlainly(child)
	}
}

// completeWords offers words for a flag.
func completeWords(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}
