package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand explains a command or a topic. With --man or --markdown it writes the whole manual, from the same definitions.
func (a *app) helpCommand() *cobra.Command {
	var man, markdown bool
	cmd := &cobra.Command{
		Use: "help [COMMAND…]", Short: "Explain a command or a topic; write the manual",
		Long: `Explain a command, as its --help does, or a topic: exit-codes, environment, files.

--man writes the manual page: pipe it into "man -l -" on Linux, into "mandoc -a" on a Mac. Of the installed application
it lies in Maia Recovery.app/Contents/Resources. --markdown writes the same as docs/commands.md.`,
		Example: `  maia-dr help restore
  maia-dr help exit-codes
  maia-dr help --man | man -l -`,
		Args:              argsBetween(0, -1),
		ValidArgsFunction: completeTopics,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case man && markdown:
				return usageErrorFor(cmd, fmt.Errorf("--man and --markdown are two forms of one text"))
			case (man || markdown) && len(args) > 0:
				return usageErrorFor(cmd, fmt.Errorf("the manual is about all commands, not %q", args[0]))
			case man:
				a.printf("%s", manualOf(cmd.Root()).mdoc())
				return nil
			case markdown:
				a.printf("%s", manualOf(cmd.Root()).markdown())
				return nil
			}
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageErrorFor(cmd.Root(), fmt.Errorf("there is no command %q to explain", strings.Join(args, " ")))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
	cmd.Flags().BoolVar(&man, "man", false, "write the manual page")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write the manual as Markdown")
	return cmd
}

// completeTopics offers what can be explained below the words given so far.
func completeTopics(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	about, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, c := range about.Commands() {
		if forPeople(c) || c.IsAdditionalHelpTopicCommand() && !c.Hidden {
			out = append(out, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// forPeople reports whether a command is one that a person may call.
func forPeople(c *cobra.Command) bool {
	return c.IsAvailableCommand() || c.Name() == "help"
}

// completionCommand is cobra's, in one command and in this program's words.
func (a *app) completionCommand() *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use: "completion SHELL", Short: "Have the shell complete commands, flags and backups", Args: argsBetween(1, 1),
		Long: `Write what a shell reads to complete commands, flags, the ids of backups and the names of components. SHELL is bash,
zsh, fish or powershell. Bash needs the package bash-completion, zsh needs compinit before it.`,
		Example: `  source <(maia-dr completion bash)           # in ~/.bashrc
  source <(maia-dr completion zsh)            # in ~/.zshrc, after compinit
  maia-dr completion fish | source            # in ~/.config/fish/config.fish`,
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, !plain)
			case "zsh":
				if plain {
					return root.GenZshCompletionNoDesc(a.Out)
				}
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, !plain)
			case "powershell":
				if plain {
					return root.GenPowerShellCompletion(a.Out)
				}
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			return usageErrorFor(cmd, fmt.Errorf("there is no completion for %q: there is for %s", args[0], strings.Join(cmd.ValidArgs, ", ")))
		},
	}
	cmd.Flags().BoolVar(&plain, "no-descriptions", false, "complete without descriptions")
	return cmd
}
